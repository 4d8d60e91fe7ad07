/*
 * One socket to an NBD server: see block/io/nbd/link.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/nbd/link.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- transfers ---- */

NbdTransfer *nbd_transfer_new(const NbdLimits *limits, NbdCommand command, GQueue *done, BlockRequest *request)
{
    uint64_t mask = limits->alignment - 1;
    uint64_t start = request->offset & ~mask;
    uint64_t end = MIN((request->offset + request->size + mask) & ~mask, limits->length);
    NbdTransfer *transfer = g_new0(NbdTransfer, 1);

    *transfer = (NbdTransfer){
        .link_in_queue.data = transfer,
        .command = command,
        .request = request,
        .done = done,
        .offset = start,
        .size = end - start,
    };
    if (transfer->size != request->size) {
        transfer->bounce = g_try_malloc(transfer->size);
        transfer->error = transfer->bounce ? 0 : -ENOMEM;
    }
    return transfer;
}

void nbd_transfer_end(NbdTransfer *transfer, int error)
{
    BlockRequest *request = transfer->request;

    if (error == 0 && transfer->bounce) {
        memcpy(request->buffer, transfer->bounce + (request->offset - transfer->offset), request->size);
    }
    request->error = error;
    g_queue_push_tail(transfer->done, request);
    g_free(transfer->bounce);
    g_free(transfer);
}

static void finish_part(NbdTransfer *transfer)
{
    NbdLink *link = transfer->link;

    assert(transfer->parts > 0);
    if (--transfer->parts == 0) {
        if (transfer->unanswered > 0 && transfer->error == 0) {
            transfer->error = -EIO;
        }
        g_queue_unlink(&link->in_flight, &transfer->link_in_queue);
        g_queue_push_tail_link(&link->finished, &transfer->link_in_queue);
    }
}

/* Called by libnbd, under the lock. The 1 says that the command needs no other farewell. */
static int part_answered(void *opaque, int *error)
{
    NbdTransfer *transfer = opaque;

    transfer->unanswered--;
    if (*error != 0) {
        transfer->error = -*error;
    }
    return 1;
}

/* Called by libnbd, under the lock, once for each part, in whatever way it has ended: not each has an answer. */
static void part_ended(void *opaque)
{
    finish_part(opaque);
}

/* Sends a part of @size bytes, @sent bytes from the start. */
static int64_t send_part(const NbdTransfer *transfer, size_t sent, size_t size, nbd_completion_callback answered)
{
    struct nbd_handle *nbd = transfer->link->nbd;
    char *buffer = transfer->bounce ? transfer->bounce : transfer->request->buffer;
    uint64_t offset = transfer->offset + sent;

    switch (transfer->command) {
    case NBD_COMMAND_WRITE:
        return nbd_aio_pwrite(nbd, buffer + sent, size, offset, answered, 0);
    case NBD_COMMAND_WRITE_FUA:
        return nbd_aio_pwrite(nbd, buffer + sent, size, offset, answered, LIBNBD_CMD_FLAG_FUA);
    case NBD_COMMAND_TRIM:
        return nbd_aio_trim(nbd, size, offset, answered, 0);
    case NBD_COMMAND_FLUSH:
        return nbd_aio_flush(nbd, answered, 0);
    default:
        return nbd_aio_pread(nbd, buffer + sent, size, offset, answered, 0);
    }
}

/* Sends all parts of @transfer, which is in flight. */
static void send_parts(NbdLink *link, NbdTransfer *transfer)
{
    size_t sent = 0;

    transfer->parts = 1; /* this loop, so that the last answer is not seen before the last part is sent */
    transfer->unanswered = 0;
    transfer->error = 0;
    do {
        size_t size = MIN(transfer->size - sent, link->limits.max_size);
        nbd_completion_callback answered = {.callback = part_answered, .user_data = transfer, .free = part_ended};

        transfer->parts++;
        transfer->unanswered++;
        if (send_part(transfer, sent, size, answered) < 0) {
            transfer->error = nbd_get_errno() ? -nbd_get_errno() : -EIO;
            break;
        }
        sent += size;
    } while (sent < transfer->size); /* a flush has no bytes, and is one part */
    finish_part(transfer);
}

void nbd_link_send(NbdLink *link, NbdTransfer *transfer)
{
    transfer->link = link;
    g_queue_push_tail_link(&link->in_flight, &transfer->link_in_queue);
    send_parts(link, transfer);
}

void nbd_link_send_all_again(NbdLink *link)
{
    for (guint n = link->in_flight.length; n > 0; n--) {
        GList *first = g_queue_pop_head_link(&link->in_flight);

        nbd_link_send(link, first->data);
    }
}

void nbd_link_hand_back(NbdLink *link, bool lost)
{
    for (guint n = link->finished.length; n > 0; n--) {
        GList *first = g_queue_pop_head_link(&link->finished);
        NbdTransfer *transfer = first->data;

        if (!lost || transfer->error == 0) {
            link->answered = true;
            nbd_transfer_end(transfer, transfer->error);
        } else {
            g_queue_push_tail_link(&link->in_flight, first);
        }
    }
}

/* ---- the life of a link ---- */

NbdLink *nbd_link_new(struct nbd_handle *nbd, const NbdLimits *limits, bool connecting)
{
    NbdLink *link = g_new0(NbdLink, 1);

    *link = (NbdLink){.nbd = nbd, .limits = *limits, .connecting = connecting, .answered = true};
    return link;
}

void nbd_link_free(NbdLink *link)
{
    assert(link->in_flight.length == 0 && link->finished.length == 0);
    if (link->nbd) {
        nbd_aio_disconnect(link->nbd, 0); /* a politeness: sent if that does not block */
        nbd_close(link->nbd);
    }
    g_free(link);
}

void nbd_link_close(NbdLink *link)
{
    if (link->nbd) {
        nbd_close(link->nbd); /* gives up what is in flight, and calls that finished */
        link->nbd = NULL;
    }
    nbd_link_hand_back(link, true);
}

bool nbd_link_reconnect(NbdLink *link, const char *uri, unsigned timeout_ms, GError **errp)
{
    NbdLimits limits;

    assert(!link->nbd);
    link->nbd = nbd_handle_connect(uri, timeout_ms, &limits, errp);
    if (!link->nbd) {
        return false;
    }
    if (memcmp(&limits, &link->limits, sizeof(limits)) != 0) {
        g_set_error_literal(errp, BLOCK_ERROR, EIO, "the export is another one now");
        return false;
    }
    link->answered = false;
    return true;
}

NbdLinkState nbd_link_state(NbdLink *link)
{
    NbdLimits limits;

    if (link->connecting && nbd_aio_is_connecting(link->nbd) == 1) {
        return NBD_LINK_CONNECTING;
    }
    if (nbd_aio_is_ready(link->nbd) != 1 && nbd_aio_is_processing(link->nbd) != 1) {
        return NBD_LINK_LOST;
    }
    if (link->connecting) {
        link->connecting = false;
        return nbd_handle_limits(link->nbd, &limits, NULL) && memcmp(&limits, &link->limits, sizeof(limits)) == 0
                   ? NBD_LINK_READY
                   : NBD_LINK_LOST;
    }
    return NBD_LINK_READY;
}

struct pollfd nbd_link_pollfd(const NbdLink *link)
{
    unsigned direction = nbd_aio_get_direction(link->nbd);

    return (struct pollfd){.fd = nbd_aio_get_fd(link->nbd),
                           .events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                                     (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0)};
}

void nbd_link_pass_events(NbdLink *link, short events)
{
    if ((events & ~POLLOUT) && (nbd_aio_get_direction(link->nbd) & LIBNBD_AIO_DIRECTION_READ)) {
        nbd_aio_notify_read(link->nbd);
    }
    if ((events & ~POLLIN) && (nbd_aio_get_direction(link->nbd) & LIBNBD_AIO_DIRECTION_WRITE)) {
        nbd_aio_notify_write(link->nbd);
    }
}

void nbd_link_restart_clock(NbdLink *link, int64_t patience)
{
    link->deadline = g_get_monotonic_time() + patience;
}
