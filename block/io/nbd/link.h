/*
 * One socket to an NBD server: a handle of libnbd, and what is in flight on it.
 *
 * A link belongs to a connection (block/io/nbd/connection.h), and all calls are made under that one's lock. It decides
 * nothing: whether a lost link is made again, and what becomes of its transfers, is the connection's affair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_NBD_LINK_H
#define BLOCK_IO_NBD_LINK_H

#include <poll.h>
#include <stdbool.h>

#include "block/io/nbd/handle.h"
#include "block/source.h"

typedef struct NbdLink {
    struct nbd_handle *nbd; /* NULL: it is closed */
    NbdLimits limits;       /* of the export, as the first connection found them */
    bool connecting;        /* nothing can be sent yet */
    bool answered;          /* something was answered since the last connect */
    int64_t deadline;       /* when silence becomes a failure; monotonic time */
    GQueue in_flight;       /* of NbdTransfer */
    GQueue finished;        /* of NbdTransfer: answered, and not yet handed to whom they belong */
} NbdLink;

typedef enum NbdCommand {
    NBD_COMMAND_READ,
    NBD_COMMAND_WRITE,
    NBD_COMMAND_WRITE_FUA,
    NBD_COMMAND_TRIM,
    NBD_COMMAND_FLUSH
} NbdCommand;

/* A request on its way. What is asked of the server is aligned as the server wants it, in parts that it takes. */
typedef struct NbdTransfer {
    GList link_in_queue;
    NbdLink *link; /* that it was sent on last */
    NbdCommand command;
    BlockRequest *request;
    GQueue *done; /* of BlockRequest, where the request goes in the end */
    char *bounce; /* NULL: goes straight to the buffer of the request */
    uint64_t offset;
    size_t size;
    unsigned parts;      /* that libnbd is not done with */
    unsigned unanswered; /* parts without an answer, good or bad */
    int error;           /* negative errno value */
} NbdTransfer;

NbdTransfer *nbd_transfer_new(const NbdLimits *limits, NbdCommand command, GQueue *done, BlockRequest *request);

/* Hands the request back with @error, and frees the transfer, which is in no queue. */
void nbd_transfer_end(NbdTransfer *transfer, int error);

/* A link over @nbd, which is ready, or is connecting. */
NbdLink *nbd_link_new(struct nbd_handle *nbd, const NbdLimits *limits, bool connecting);

/* Nothing is in flight. */
void nbd_link_free(NbdLink *link);

/* Ends the socket. All that was in flight and has no good answer is in flight again, or rather to be sent again. */
void nbd_link_close(NbdLink *link);

/* Makes the link, which is closed, again within @timeout_ms; blocks. False and @errp set on failure. */
bool nbd_link_reconnect(NbdLink *link, const char *uri, unsigned timeout_ms, GError **errp);

typedef enum NbdLinkState {
    NBD_LINK_CONNECTING,
    NBD_LINK_READY,
    NBD_LINK_LOST, /* or it could not be made, or leads to another export */
} NbdLinkState;

NbdLinkState nbd_link_state(NbdLink *link);

/* Sends @transfer. If the link breaks here, the caller finds out by its state. */
void nbd_link_send(NbdLink *link, NbdTransfer *transfer);
void nbd_link_send_all_again(NbdLink *link);

/* Hands back what was answered. Of a lost link only good answers are believed: the rest is in flight again. */
void nbd_link_hand_back(NbdLink *link, bool lost);

/* What to wait for. Then pass on what poll() found; other threads may have changed meanwhile what is waited for. */
struct pollfd nbd_link_pollfd(const NbdLink *link);
void nbd_link_pass_events(NbdLink *link, short events);

/* Silence counts from now on. */
void nbd_link_restart_clock(NbdLink *link, int64_t patience);

/* Returns true if something is due from the server. */
static inline bool nbd_link_is_waiting(const NbdLink *link)
{
    return link->connecting || link->in_flight.length > 0;
}

#endif
