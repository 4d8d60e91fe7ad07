/*
 * A connection to an NBD server: see block/io/nbd/connection.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/nbd/connection.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block/io/nbd/link.h"
#include "util/number.h"

#define MAX_LINKS  8    /* of a connection */
#define LINK_DEPTH 16   /* requests that a server works on for one link, if it works on many */
#define FAR        5000 /* microseconds that a read takes; below, a link carries enough, and more cost more */
#define LINK_QUEUED                                                                                                    \
    32 /* requests that a link has while another one could soon take the next; the rest waits for that */

struct NbdConnection {
    NbdExport *nbd_export;
    NbdLimits limits;
    bool allows_more;
    int wake_fd; /* rouses the thread that watches the sockets */

    pthread_mutex_t lock;      /* for all below; held whenever libnbd is called. Not glib's: see block/io/prefetch.c */
    pthread_cond_t turned;     /* reads completed, or nobody watches the sockets any more */
    NbdLink *links[MAX_LINKS]; /* the first one for all, the others for reading only */
    unsigned n_links;          /* at least 1 */
    GQueue waiting;            /* of NbdTransfer, not sent yet */
    unsigned in_flight;        /* requests, those that are not sent yet included */
    bool watched;              /* a thread waits for the sockets, without the lock */
    int failure;               /* 0, or the negative errno value of all reads from now on */
};

static int64_t patience(const NbdConnection *connection, const NbdLink *link)
{
    return link->connecting ? connection->nbd_export->further_ms * G_TIME_SPAN_MILLISECOND
                            : connection->nbd_export->silence_seconds * G_TIME_SPAN_SECOND;
}

/* ---- the end, and new beginnings ---- */

static void fail_transfers(GQueue *queue, int failure)
{
    while (queue->length > 0) {
        nbd_transfer_end(g_queue_pop_head_link(queue)->data, failure);
    }
}

/* The end: all reads fail, now and later. */
static void fail(NbdConnection *connection, int failure, const char *message)
{
    NbdExport *nbd_export = connection->nbd_export;

    connection->failure = failure;
    for (unsigned i = 0; i < connection->n_links; i++) {
        nbd_link_close(connection->links[i]);
        fail_transfers(&connection->links[i]->in_flight, failure);
    }
    fail_transfers(&connection->waiting, failure);
    pthread_cond_broadcast(&connection->turned);
    if (g_atomic_int_compare_and_exchange(&nbd_export->failure_told, 0, 1)) {
        nbd_export->options.report(nbd_export->name, message);
    }
}

static char *loss_message(const NbdExport *nbd_export, const char *loss, const GError *error)
{
    if (error) {
        return g_strdup_printf("Lost the connection to the server (%s), and could not connect again: %s", loss,
                               error->message);
    }
    return g_strdup_printf("Lost the connection to the server (%s) %s", loss,
                           g_atomic_int_get(&nbd_export->unflushed) ? "before what was written was on disk"
                                                                    : "twice without an answer between");
}

/* The first link is lost, because of @loss. */
static void begin_again(NbdConnection *connection, const char *loss)
{
    NbdExport *nbd_export = connection->nbd_export;
    NbdLink *link = connection->links[0];
    g_autoptr(GError) error = NULL;
    bool again = link->answered && !g_atomic_int_get(&nbd_export->unflushed);

    nbd_link_close(link);
    if (!again || !nbd_link_reconnect(link, nbd_export->uri, nbd_export->connect_ms, &error)) {
        g_autofree char *message = loss_message(nbd_export, loss, error);

        fail(connection, -EIO, message);
        return;
    }
    nbd_link_restart_clock(link, patience(connection, link));
    nbd_link_send_all_again(link);
}

/* Does without a link that is not the first; what it owes waits for another one. */
static void drop_link(NbdConnection *connection, unsigned i)
{
    NbdLink *link = connection->links[i];

    g_assert(i > 0);
    nbd_link_close(link);
    while (link->in_flight.length > 0) {
        g_queue_push_head_link(&connection->waiting, g_queue_pop_tail_link(&link->in_flight));
    }
    nbd_link_free(link);
    connection->links[i] = connection->links[--connection->n_links];
    nbd_export_give_up_socket(connection->nbd_export);
}

/* Follows each call that may have brought answers or ended link @i, which may be another one, or none, afterwards. */
static void settle(NbdConnection *connection, unsigned i)
{
    while (connection->failure == 0) {
        bool lost = nbd_link_state(connection->links[i]) == NBD_LINK_LOST;
        g_autofree char *loss = lost ? g_strdup(nbd_handle_last_error()) : NULL;

        nbd_link_hand_back(connection->links[i], lost);
        pthread_cond_broadcast(&connection->turned);
        if (!lost) {
            return;
        }
        if (i > 0) {
            drop_link(connection, i);
            return;
        }
        begin_again(connection, loss);
    }
}

/* ---- sending ---- */

bool nbd_export_take_socket(NbdExport *nbd_export)
{
    if (g_atomic_int_get(&nbd_export->no_more)) {
        return false;
    }
    if (g_atomic_int_add(&nbd_export->sockets, 1) < NBD_MAX_SOCKETS) {
        return true;
    }
    g_atomic_int_add(&nbd_export->sockets, -1);
    return false;
}

void nbd_export_give_up_socket(NbdExport *nbd_export)
{
    g_atomic_int_add(&nbd_export->sockets, -1);
    g_atomic_int_set(&nbd_export->no_more, 1);
}

/* Begins to make further links, if so many requests are in flight that they are of use. */
static void grow(NbdConnection *connection)
{
    NbdExport *nbd_export = connection->nbd_export;
    unsigned wanted = MIN(DIV_ROUND_UP(connection->in_flight, LINK_DEPTH), MAX_LINKS);

    if (!connection->allows_more || g_atomic_int_get(&nbd_export->unflushed) ||
        __atomic_load_n(nbd_export->latency, __ATOMIC_RELAXED) < FAR) {
        return;
    }
    while (connection->n_links < wanted && nbd_export_take_socket(nbd_export)) {
        struct nbd_handle *nbd = nbd_handle_start(nbd_export->uri, NULL);
        NbdLink *link;

        if (!nbd) {
            nbd_export_give_up_socket(nbd_export);
            return;
        }
        link = nbd_link_new(nbd, &connection->limits, true);
        nbd_link_restart_clock(link, patience(connection, link));
        connection->links[connection->n_links++] = link;
        settle(connection, connection->n_links - 1);
    }
}

/* The link that has least to do. What was not flushed is seen on the first one alone. */
static unsigned least_busy(const NbdConnection *connection)
{
    unsigned best = 0;

    if (g_atomic_int_get(&connection->nbd_export->unflushed)) {
        return 0;
    }
    for (unsigned i = 1; i < connection->n_links; i++) {
        const NbdLink *link = connection->links[i];

        if (!link->connecting && link->in_flight.length < connection->links[best]->in_flight.length) {
            best = i;
        }
    }
    return best;
}

/* Whether a link will soon be there that is not there now. */
static bool more_to_come(const NbdConnection *connection)
{
    for (unsigned i = 1; i < connection->n_links; i++) {
        if (connection->links[i]->connecting) {
            return true;
        }
    }
    return false;
}

/* Sends what waits to be sent, but for what had better wait for another link. */
static void send_waiting(NbdConnection *connection)
{
    grow(connection);
    while (connection->failure == 0 && connection->waiting.length > 0) {
        unsigned i = least_busy(connection);
        NbdLink *link = connection->links[i];

        if (link->in_flight.length >= LINK_QUEUED && more_to_come(connection)) {
            return;
        }
        if (link->in_flight.length == 0) {
            nbd_link_restart_clock(link, patience(connection, link));
        }
        nbd_link_send(link, g_queue_pop_head_link(&connection->waiting)->data);
        settle(connection, i);
    }
}

static void rouse_watcher(NbdConnection *connection)
{
    uint64_t one = 1;

    /* It fails only when the counter is full, and then the watcher is roused as well. */
    if (connection->watched && write(connection->wake_fd, &one, sizeof(one)) < 0) {
        g_assert(errno == EAGAIN);
    }
}

static void submit(NbdConnection *connection, NbdCommand command, GQueue *done, BlockRequest *request)
{
    NbdTransfer *transfer = nbd_transfer_new(&connection->limits, command, done, request);

    pthread_mutex_lock(&connection->lock);
    connection->in_flight++;
    if (command == NBD_COMMAND_WRITE) {
        g_atomic_int_set(&connection->nbd_export->unflushed, 1);
    }
    if (connection->failure != 0 || transfer->error != 0) {
        nbd_transfer_end(transfer, transfer->error ? transfer->error : connection->failure);
    } else {
        g_queue_push_tail_link(&connection->waiting, &transfer->link_in_queue);
        send_waiting(connection);
        rouse_watcher(connection);
    }
    pthread_mutex_unlock(&connection->lock);
}

void nbd_connection_submit(NbdConnection *connection, GQueue *done, BlockRequest *request)
{
    submit(connection, NBD_COMMAND_READ, done, request);
}

/* ---- waiting ---- */

static void forget_rousing(NbdConnection *connection)
{
    uint64_t count;

    if (read(connection->wake_fd, &count, sizeof(count)) < 0) {
        g_assert(errno == EAGAIN);
    }
}

/* What a thread watches, as it is when it begins to. */
typedef struct Watch {
    struct pollfd fds[MAX_LINKS + 1]; /* the last one rouses */
    struct nbd_handle *handles[MAX_LINKS];
    unsigned n; /* links */
    int64_t deadline;
} Watch;

static void prepare_watch(const NbdConnection *connection, Watch *watch)
{
    watch->n = connection->n_links;
    watch->deadline = INT64_MAX;
    for (unsigned i = 0; i < watch->n; i++) {
        const NbdLink *link = connection->links[i];

        watch->fds[i] = nbd_link_pollfd(link);
        watch->handles[i] = link->nbd;
        if (nbd_link_is_waiting(link)) {
            watch->deadline = MIN(watch->deadline, link->deadline);
        }
    }
    watch->fds[watch->n] = (struct pollfd){.fd = connection->wake_fd, .events = POLLIN};
}

/* The event of link @i, if that is still the one that was watched. */
static short event_of(const NbdConnection *connection, const Watch *watch, unsigned i)
{
    return i < watch->n && connection->links[i]->nbd == watch->handles[i] ? watch->fds[i].revents : 0;
}

/* Nothing came from link @i: gives up what takes too long. */
static void look_at_clock(NbdConnection *connection, unsigned i)
{
    NbdLink *link = connection->links[i];

    if (!nbd_link_is_waiting(link) || g_get_monotonic_time() < link->deadline) {
        return;
    }
    if (link->connecting) {
        drop_link(connection, i);
    } else {
        g_autofree char *message =
            g_strdup_printf("No answer from the server for %u seconds; --timeout sets how long to wait",
                            connection->nbd_export->silence_seconds);

        fail(connection, -ETIMEDOUT, message);
    }
}

/* Waits for the sockets, the lock being given back meanwhile. */
static void watch(NbdConnection *connection)
{
    Watch watch;
    int64_t left;

    prepare_watch(connection, &watch);
    left = (watch.deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND + 1;
    connection->watched = true;
    pthread_mutex_unlock(&connection->lock);
    if (poll(watch.fds, watch.n + 1, (int)CLAMP(left, 0, G_MAXINT)) < 0) {
        for (unsigned i = 0; i <= watch.n; i++) {
            watch.fds[i].revents = 0;
        }
    }
    pthread_mutex_lock(&connection->lock);
    connection->watched = false;

    if (watch.fds[watch.n].revents) {
        forget_rousing(connection);
    }
    /* from the last one, since one that is dropped has the last in its place */
    for (unsigned i = connection->n_links; i-- > 0 && connection->failure == 0;) {
        short events = event_of(connection, &watch, i);

        if (events) {
            nbd_link_restart_clock(connection->links[i], patience(connection, connection->links[i]));
            nbd_link_pass_events(connection->links[i], events);
            settle(connection, i);
        } else {
            look_at_clock(connection, i);
        }
    }
    if (connection->failure == 0) {
        send_waiting(connection);
    }
}

BlockRequest *nbd_connection_wait(NbdConnection *connection, GQueue *done)
{
    BlockRequest *request;

    pthread_mutex_lock(&connection->lock);
    while (g_queue_is_empty(done)) {
        if (connection->watched) {
            pthread_cond_wait(&connection->turned, &connection->lock);
        } else {
            watch(connection);
        }
    }
    request = g_queue_pop_head(done);
    connection->in_flight--;
    pthread_cond_broadcast(&connection->turned); /* somebody else has to watch now */
    pthread_mutex_unlock(&connection->lock);
    return request;
}

int nbd_connection_change(NbdConnection *connection, NbdChange change, const void *bytes, uint64_t offset,
                          uint64_t size)
{
    static const NbdCommand commands[] = {[NBD_WRITE] = NBD_COMMAND_WRITE,
                                          [NBD_WRITE_FUA] = NBD_COMMAND_WRITE_FUA,
                                          [NBD_TRIM] = NBD_COMMAND_TRIM,
                                          [NBD_FLUSH] = NBD_COMMAND_FLUSH};
    BlockRequest request = {.offset = offset, .size = size, .buffer = (void *)bytes};
    GQueue done = G_QUEUE_INIT;

    submit(connection, commands[change], &done, &request);
    nbd_connection_wait(connection, &done);
    if (change == NBD_FLUSH && request.error == 0) {
        /* the one thread that writes is here */
        g_atomic_int_set(&connection->nbd_export->unflushed, 0);
    }
    return request.error;
}

/* ---- the life of a connection ---- */

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
        .links = {nbd_link_new(nbd, &limits, false)},
        .n_links = 1,
    };
    pthread_mutex_init(&connection->lock, NULL);
    pthread_cond_init(&connection->turned, NULL);
    return connection;
}

void nbd_connection_free(NbdConnection *connection)
{
    for (unsigned i = 0; i < connection->n_links; i++) {
        nbd_link_free(connection->links[i]);
    }
    close(connection->wake_fd);
    pthread_mutex_destroy(&connection->lock);
    pthread_cond_destroy(&connection->turned);
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
