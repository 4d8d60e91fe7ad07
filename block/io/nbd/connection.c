/*
 * One connection to an NBD server: see block/io/nbd/connection.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/nbd/connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block/io/nbd/handle.h"

struct NbdConnection {
    NbdExport *nbd_export;
    NbdLimits limits;
    bool allows_more;
    int wake_fd; /* rouses the thread that watches the socket */

    GMutex lock;  /* for all below; held whenever libnbd is called */
    GCond turned; /* reads completed, or nobody watches the socket any more */
    struct nbd_handle *nbd;
    GQueue in_flight; /* of Transfer */
    GQueue finished;  /* of Transfer: answered, and not yet handed to whom they belong */
    bool watched;     /* a thread waits for the socket, without the lock */
    bool answered;    /* something was answered since the last connect */
    bool unflushed;   /* something was written, or is about to be, since the last flush */
    int64_t deadline; /* when silence becomes a failure; monotonic time */
    int failure;      /* 0, or the negative errno value of all reads from now on */
};

typedef enum Command { COMMAND_READ, COMMAND_WRITE, COMMAND_WRITE_FUA, COMMAND_TRIM, COMMAND_FLUSH } Command;

/* A request on its way. What is asked of the server is aligned as the server wants it, in parts that it takes. */
typedef struct Transfer {
    GList link;
    NbdConnection *connection;
    Command command;
    BlockRequest *request;
    GQueue *done;
    char *bounce; /* NULL: goes straight to the buffer of the request */
    uint64_t offset;
    size_t size;
    unsigned parts; /* not answered yet */
    int error;      /* negative errno value */
} Transfer;

/* ---- transfers ---- */

static void finish_part(Transfer *transfer)
{
    NbdConnection *connection = transfer->connection;

    if (--transfer->parts == 0) {
        g_queue_unlink(&connection->in_flight, &transfer->link);
        g_queue_push_tail_link(&connection->finished, &transfer->link);
    }
}

/* Called by libnbd, under the lock. The 1 says that the command needs no other farewell. */
static int part_answered(void *opaque, int *error)
{
    Transfer *transfer = opaque;

    if (*error != 0) {
        transfer->error = -*error;
    }
    finish_part(transfer);
    return 1;
}

/* Sends a part of @size bytes, @sent bytes from the start. */
static int64_t send_part(const Transfer *transfer, size_t sent, size_t size, nbd_completion_callback answered)
{
    struct nbd_handle *nbd = transfer->connection->nbd;
    char *buffer = transfer->bounce ? transfer->bounce : transfer->request->buffer;
    uint64_t offset = transfer->offset + sent;

    switch (transfer->command) {
    case COMMAND_WRITE:
        return nbd_aio_pwrite(nbd, buffer + sent, size, offset, answered, 0);
    case COMMAND_WRITE_FUA:
        return nbd_aio_pwrite(nbd, buffer + sent, size, offset, answered, LIBNBD_CMD_FLAG_FUA);
    case COMMAND_TRIM:
        return nbd_aio_trim(nbd, size, offset, answered, 0);
    case COMMAND_FLUSH:
        return nbd_aio_flush(nbd, answered, 0);
    default:
        return nbd_aio_pread(nbd, buffer + sent, size, offset, answered, 0);
    }
}

/* The transfer is in flight. If the connection breaks here, the caller finds out by the state of the handle. */
static void send_transfer(NbdConnection *connection, Transfer *transfer)
{
    size_t sent = 0;

    transfer->parts = 1; /* this loop, so that the last answer is not seen before the last part is sent */
    transfer->error = 0;
    do {
        size_t size = MIN(transfer->size - sent, connection->limits.max_size);
        nbd_completion_callback answered = {.callback = part_answered, .user_data = transfer};

        transfer->parts++;
        if (send_part(transfer, sent, size, answered) < 0) {
            transfer->error = nbd_get_errno() ? -nbd_get_errno() : -EIO;
            transfer->parts--;
            break;
        }
        sent += size;
    } while (sent < transfer->size); /* a flush has no bytes, and is one part */
    finish_part(transfer);
}

static Transfer *transfer_new(NbdConnection *connection, Command command, GQueue *done, BlockRequest *request)
{
    uint64_t mask = connection->limits.alignment - 1;
    uint64_t start = request->offset & ~mask;
    uint64_t end = MIN((request->offset + request->size + mask) & ~mask, connection->limits.length);
    Transfer *transfer = g_new0(Transfer, 1);

    *transfer = (Transfer){
        .link.data = transfer,
        .connection = connection,
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

static void hand_back(Transfer *transfer, int error)
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

/* ---- the life of a connection ---- */

static bool is_alive(NbdConnection *connection)
{
    return nbd_aio_is_ready(connection->nbd) == 1 || nbd_aio_is_processing(connection->nbd) == 1;
}

static void restart_clock(NbdConnection *connection)
{
    connection->deadline = g_get_monotonic_time() + connection->nbd_export->silence_seconds * G_TIME_SPAN_SECOND;
}

/* Hands back what was answered. On a dead connection only good answers are believed: the rest is asked again. */
static void hand_back_finished(NbdConnection *connection, bool alive)
{
    for (guint n = connection->finished.length; n > 0; n--) {
        GList *link = g_queue_pop_head_link(&connection->finished);
        Transfer *transfer = link->data;

        if (alive || transfer->error == 0) {
            connection->answered = true;
            hand_back(transfer, transfer->error);
        } else {
            g_queue_push_tail_link(&connection->in_flight, link);
        }
    }
    g_cond_broadcast(&connection->turned);
}

/* The end: all reads fail, now and later. */
static void fail(NbdConnection *connection, int failure, const char *message)
{
    NbdExport *nbd_export = connection->nbd_export;

    connection->failure = failure;
    if (connection->nbd) {
        nbd_close(connection->nbd);
        connection->nbd = NULL;
    }
    hand_back_finished(connection, false);
    while (connection->in_flight.length > 0) {
        hand_back(g_queue_pop_head_link(&connection->in_flight)->data, failure);
    }
    if (g_atomic_int_compare_and_exchange(&nbd_export->failure_told, 0, 1)) {
        nbd_export->options.report(nbd_export->name, message);
    }
}

static bool reconnect(NbdConnection *connection, GError **errp)
{
    NbdExport *nbd_export = connection->nbd_export;
    NbdLimits limits;

    nbd_close(connection->nbd);
    connection->nbd = nbd_handle_connect(nbd_export->uri, nbd_export->connect_ms, &limits, errp);
    if (!connection->nbd) {
        return false;
    }
    if (memcmp(&limits, &connection->limits, sizeof(limits)) != 0) {
        g_set_error_literal(errp, BLOCK_ERROR, EIO, "the export is another one now");
        return false;
    }
    connection->answered = false;
    restart_clock(connection);
    return true;
}

static void send_all_again(NbdConnection *connection)
{
    for (guint n = connection->in_flight.length; n > 0; n--) {
        GList *link = g_queue_pop_head_link(&connection->in_flight);

        g_queue_push_tail_link(&connection->in_flight, link);
        send_transfer(connection, link->data);
    }
}

static char *loss_message(const NbdConnection *connection, const char *loss, const GError *error)
{
    if (error) {
        return g_strdup_printf("Lost the connection to the server (%s), and could not connect again: %s", loss,
                               error->message);
    }
    return g_strdup_printf("Lost the connection to the server (%s) %s", loss,
                           connection->unflushed ? "before what was written was on disk"
                                                 : "twice without an answer between");
}

/* Follows each call that may have brought answers or ended the connection. */
static void settle(NbdConnection *connection)
{
    while (connection->failure == 0) {
        bool alive = is_alive(connection);
        g_autofree char *loss = alive ? NULL : g_strdup(nbd_handle_last_error());
        g_autoptr(GError) error = NULL;

        hand_back_finished(connection, alive);
        if (alive) {
            return;
        }
        if (connection->unflushed || !connection->answered || !reconnect(connection, &error)) {
            g_autofree char *message = loss_message(connection, loss, error);

            fail(connection, -EIO, message);
            return;
        }
        hand_back_finished(connection, false); /* what closing the old handle gave up */
        send_all_again(connection);
    }
}

NbdConnection *nbd_connection_new(NbdExport *nbd_export, unsigned connect_ms, GError **errp)
{
    NbdLimits limits;
    struct nbd_handle *nbd = nbd_handle_connect(nbd_export->uri, connect_ms, &limits, errp);
    NbdConnection *connection;
    int wake_fd;

    if (!nbd) {
        return NULL;
    }
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) {
        g_set_error(errp, BLOCK_ERROR, errno, "Could not make an event descriptor: %s", g_strerror(errno));
        nbd_close(nbd);
        return NULL;
    }
    connection = g_new0(NbdConnection, 1);
    *connection = (NbdConnection){
        .nbd_export = nbd_export,
        .limits = limits,
        .allows_more = nbd_can_multi_conn(nbd) == 1,
        .wake_fd = wake_fd,
        .nbd = nbd,
        .answered = true,
    };
    g_mutex_init(&connection->lock);
    g_cond_init(&connection->turned);
    return connection;
}

void nbd_connection_free(NbdConnection *connection)
{
    if (connection->nbd) {
        nbd_aio_disconnect(connection->nbd, 0); /* a politeness: sent if that does not block */
        nbd_close(connection->nbd);
    }
    close(connection->wake_fd);
    g_mutex_clear(&connection->lock);
    g_cond_clear(&connection->turned);
    g_free(connection);
}

const NbdLimits *nbd_connection_limits(const NbdConnection *connection)
{
    return &connection->limits;
}

bool nbd_connection_allows_more(const NbdConnection *connection)
{
    return connection->allows_more;
}

/* ---- requests ---- */

static void rouse_watcher(NbdConnection *connection)
{
    uint64_t one = 1;

    /* It fails only when the counter is full, and then the watcher is roused as well. */
    if (connection->watched && write(connection->wake_fd, &one, sizeof(one)) < 0) {
        g_assert(errno == EAGAIN);
    }
}

static void submit(NbdConnection *connection, Command command, GQueue *done, BlockRequest *request)
{
    Transfer *transfer = transfer_new(connection, command, done, request);

    g_mutex_lock(&connection->lock);
    connection->unflushed |= command == COMMAND_WRITE;
    if (connection->failure != 0 || transfer->error != 0) {
        hand_back(transfer, transfer->error ? transfer->error : connection->failure);
    } else {
        if (connection->in_flight.length == 0) {
            restart_clock(connection);
        }
        g_queue_push_tail_link(&connection->in_flight, &transfer->link);
        send_transfer(connection, transfer);
        settle(connection);
        rouse_watcher(connection);
    }
    g_mutex_unlock(&connection->lock);
}

void nbd_connection_submit(NbdConnection *connection, GQueue *done, BlockRequest *request)
{
    submit(connection, COMMAND_READ, done, request);
}

/* What the socket is ready for, told to libnbd. Other threads may have changed meanwhile what that waits for. */
static void pass_events(NbdConnection *connection, short events)
{
    if ((events & ~POLLOUT) && (nbd_aio_get_direction(connection->nbd) & LIBNBD_AIO_DIRECTION_READ)) {
        nbd_aio_notify_read(connection->nbd);
    }
    if ((events & ~POLLIN) && (nbd_aio_get_direction(connection->nbd) & LIBNBD_AIO_DIRECTION_WRITE)) {
        nbd_aio_notify_write(connection->nbd);
    }
}

static void forget_rousing(NbdConnection *connection)
{
    uint64_t count;

    if (read(connection->wake_fd, &count, sizeof(count)) < 0) {
        g_assert(errno == EAGAIN);
    }
}

/* Waits for the socket, the lock being given back meanwhile. */
static void watch(NbdConnection *connection)
{
    unsigned direction = nbd_aio_get_direction(connection->nbd);
    struct pollfd fds[] = {
        {.fd = nbd_aio_get_fd(connection->nbd),
         .events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                   (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0)},
        {.fd = connection->wake_fd, .events = POLLIN},
    };
    int64_t left = (connection->deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND + 1;
    int n;

    connection->watched = true;
    g_mutex_unlock(&connection->lock);
    n = poll(fds, G_N_ELEMENTS(fds), (int)CLAMP(left, 0, G_MAXINT));
    g_mutex_lock(&connection->lock);
    connection->watched = false;

    if (fds[1].revents) {
        forget_rousing(connection);
    }
    if (connection->failure != 0) {
        return;
    }
    if (n > 0 && fds[0].revents) {
        restart_clock(connection);
        pass_events(connection, fds[0].revents);
        settle(connection);
    } else if (n == 0 && g_get_monotonic_time() >= connection->deadline) {
        g_autofree char *message =
            g_strdup_printf("No answer from the server for %u seconds; --timeout sets how long to wait",
                            connection->nbd_export->silence_seconds);

        fail(connection, -ETIMEDOUT, message);
    }
}

BlockRequest *nbd_connection_wait(NbdConnection *connection, GQueue *done)
{
    BlockRequest *request;

    g_mutex_lock(&connection->lock);
    while (g_queue_is_empty(done)) {
        if (connection->watched) {
            g_cond_wait(&connection->turned, &connection->lock);
        } else {
            watch(connection);
        }
    }
    request = g_queue_pop_head(done);
    g_cond_broadcast(&connection->turned); /* somebody else has to watch now */
    g_mutex_unlock(&connection->lock);
    return request;
}

int nbd_connection_change(NbdConnection *connection, NbdChange change, const void *bytes, uint64_t offset,
                          uint64_t size)
{
    static const Command commands[] = {[NBD_WRITE] = COMMAND_WRITE,
                                       [NBD_WRITE_FUA] = COMMAND_WRITE_FUA,
                                       [NBD_TRIM] = COMMAND_TRIM,
                                       [NBD_FLUSH] = COMMAND_FLUSH};
    BlockRequest request = {.offset = offset, .size = size, .buffer = (void *)bytes};
    GQueue done = G_QUEUE_INIT;

    submit(connection, commands[change], &done, &request);
    nbd_connection_wait(connection, &done);
    if (change == NBD_FLUSH && request.error == 0) {
        connection->unflushed = false; /* the one thread that writes is here */
    }
    return request.error;
}
