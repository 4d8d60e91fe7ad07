/*
 * A connection to an NBD server, with many requests in flight, over one socket or over several.
 *
 * Any number of threads may use a connection at once. Each brings a queue of its own, in which the connection puts
 * the thread's reads once they are complete. There is no thread behind it: of those that wait, one watches the
 * sockets for all. A connection that one thread has for itself costs no switch of threads.
 *
 * A server answers so many requests of a socket at once and no more, 16 for instance. So where it allows several
 * sockets of a client, and more is asked of a connection than one can bear, further ones are made meanwhile. They are
 * for reading only, and merely a help: one that cannot be had, or is lost, is done without, and what it owed is asked
 * on another.
 *
 * Time-outs, loss and reconnection: see block/remote.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_NBD_CONNECTION_H
#define BLOCK_IO_NBD_CONNECTION_H

#include "block/io/nbd/handle.h"
#include "block/remote.h"

#define NBD_MAX_SOCKETS 16 /* of all connections to an export */

typedef struct NbdConnection NbdConnection;

/* What all connections to one export have in common; outlives them. */
typedef struct NbdExport {
    char *name; /* as the user gave it */
    char *uri;
    RemoteOptions options;
    unsigned connect_ms;      /* how long a connection may take */
    unsigned further_ms;      /* the same for one that is merely a help */
    unsigned silence_seconds; /* how long an answer may be silent */
    const uint64_t *latency;  /* BlockSource.latency */

    /* All atomic. */
    int failure_told;
    int sockets;   /* those being made included */
    int no_more;   /* the server took no further one, or ended one */
    int unflushed; /* something was written, or is about to be, since the last flush */
} NbdExport;

/* Takes one of the sockets that may be had of the export; false if there is none. It goes when it is given up. */
bool nbd_export_take_socket(NbdExport *nbd_export);

/* One that was taken could not be made, or was lost: no further ones are taken. */
void nbd_export_give_up_socket(NbdExport *nbd_export);

/*
 * Connects within @connect_ms milliseconds; a socket was taken for it. NULL and @errp set on failure; the message is
 * what follows the colon in "Could not open 'NAME': ".
 */
NbdConnection *nbd_connection_new(NbdExport *nbd_export, unsigned connect_ms, GError **errp);
void nbd_connection_free(NbdConnection *connection);

const NbdLimits *nbd_connection_limits(const NbdConnection *connection);

/* Whether the server wants more than one connection of a client. */
bool nbd_connection_allows_more(const NbdConnection *connection);

/* Starts reading for @request. It comes to @done when it is complete, which may be at once. */
void nbd_connection_submit(NbdConnection *connection, GQueue *done, BlockRequest *request);

/* Waits until there is something in @done, and takes it out. Something of it must be in flight. */
BlockRequest *nbd_connection_wait(NbdConnection *connection, GQueue *done);

typedef enum NbdChange {
    NBD_WRITE,
    NBD_WRITE_FUA, /* on disk when it is done; NBD_CAN_FUA is needed */
    NBD_TRIM,      /* NBD_CAN_TRIM is needed */
    NBD_FLUSH      /* NBD_CAN_FLUSH is needed; offset and size are 0 */
} NbdChange;

/*
 * Makes a change and waits until it is done; 0 or a negative errno value. Offset and size are aligned as the server
 * wants it, or reach to its end. If a socket is lost while there is something that was written and not flushed,
 * all fails from then on: nobody knows whether it survived. All changes of an export go over one connection.
 */
int nbd_connection_change(NbdConnection *connection, NbdChange change, const void *bytes, uint64_t offset,
                          uint64_t size);

#endif
