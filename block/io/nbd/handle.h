/*
 * Making a connection with libnbd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_NBD_HANDLE_H
#define BLOCK_IO_NBD_HANDLE_H

#include <glib.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct NbdLimits {
    uint64_t length;    /* of the export, bytes */
    uint64_t alignment; /* of offset and size of each request, bytes; a power of two, at most 64 KiB */
    uint64_t max_size;  /* of a request, bytes; a multiple of the alignment, at most 32 MiB */
    uint64_t abilities; /* NBD_CAN_X */
} NbdLimits;

#define NBD_CAN_WRITE 1u
#define NBD_CAN_FLUSH 2u
#define NBD_CAN_TRIM  4u
#define NBD_CAN_FUA   8u

/*
 * Connects to @uri within @timeout_ms, and fills @limits. NULL and @errp set on failure. To be closed with
 * nbd_close().
 */
struct nbd_handle *nbd_handle_connect(const char *uri, unsigned timeout_ms, NbdLimits *limits, GError **errp);

/*
 * Begins to connect to @uri; what follows is done when the socket is ready for it. NULL and @errp set on failure. To be
 * closed with nbd_close().
 */
struct nbd_handle *nbd_handle_start(const char *uri, GError **errp);

/* Fills @limits from a handle that is connected. False and @errp set if they cannot be kept. */
bool nbd_handle_limits(struct nbd_handle *nbd, NbdLimits *limits, GError **errp);

/* The last error of libnbd in this thread, without the name of the function that it starts with. */
const char *nbd_handle_last_error(void);

#endif
