/*
 * A block source over a file of an HTTP server: see block/remote.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/remote.h"

#include <errno.h>
#include <pthread.h>

#include "block/io/http/transfer.h"

/*
 * Requests in flight for each reader, at most; the pacer has fewer where they are of no use. Over HTTP/2 a server
 * allows 100 or 128 on a connection, and libcurl makes another one for more. Over HTTP/1 each takes a connection:
 * readers share out what a server can be expected to bear of one client, and get one at least.
 */
#define MULTIPLEXED_IN_FLIGHT 512
#define STREAMS_A_CONNECTION  128L
#define CONNECTIONS_A_READER  32
#define CONNECTIONS_IN_ALL    64

typedef struct CurlSource {
    BlockSource base;
    CurlFile file;
    RemoteOptions options;
    int failure_told;     /* atomic */
    int connections;      /* atomic; promised to readers */
    pthread_mutex_t lock; /* for what follows */
    GQueue lanes;         /* of CurlLane, which nobody has */
} CurlSource;

/* Connections of one thread, and what it asks with. The next thread gets them as they are. */
typedef struct CurlLane {
    CURLM *multi;
    GQueue idle; /* of CurlTransfer; the others are in flight */
} CurlLane;

typedef struct CurlReader {
    BlockReader base;
    CurlLane *lane;
    GQueue done; /* of BlockRequest */
} CurlReader;

/* What a caller sees of a failure is an errno value; the first one is told in full. */
static int tell_failure(CurlSource *curl, const GError *error)
{
    if (g_atomic_int_compare_and_exchange(&curl->failure_told, 0, 1)) {
        curl->options.report(curl->file.name, error->message);
    }
    return error->code == ETIMEDOUT ? -ETIMEDOUT : -EIO;
}

/* The file is no longer there for this client, as where a URL was good for some time only: not for a range alone. */
static void note_loss(BlockSource *source, const GError *error)
{
    if (error->code == EACCES || error->code == ENOENT) {
        g_atomic_int_set(&source->lost, 1);
    }
}

/* ---- lanes ---- */

static void free_lane(gpointer opaque)
{
    CurlLane *lane = opaque;

    g_queue_clear_full(&lane->idle, (GDestroyNotify)curl_transfer_free);
    curl_multi_cleanup(lane->multi);
    g_free(lane);
}

/* A lane that nobody else has, or NULL where libcurl does not work. */
static CurlLane *take_lane(CurlSource *curl)
{
    CurlLane *lane;
    CURLM *multi;

    pthread_mutex_lock(&curl->lock);
    lane = g_queue_pop_head(&curl->lanes);
    pthread_mutex_unlock(&curl->lock);
    multi = lane ? NULL : curl_multi_init();
    if (multi) {
        curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, STREAMS_A_CONNECTION);
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_A_READER); /* kept while nothing is asked */
        lane = g_new0(CurlLane, 1);
        lane->multi = multi;
    }
    return lane;
}

static void give_back_lane(CurlSource *curl, CurlLane *lane)
{
    pthread_mutex_lock(&curl->lock);
    g_queue_push_head(&curl->lanes, lane);
    pthread_mutex_unlock(&curl->lock);
}

/* A transfer that is in no queue, or NULL. */
static CurlTransfer *take_transfer(CurlSource *curl, CurlLane *lane, GError **errp)
{
    CurlTransfer *transfer = g_queue_pop_head(&lane->idle);

    return transfer ? transfer : curl_transfer_new(&curl->file, errp);
}

/* ---- readers ---- */

static void finish(CurlReader *reader, CurlTransfer *transfer, CURLcode result)
{
    BlockRequest *request = curl_transfer_request(transfer);
    g_autoptr(GError) error = NULL;

    curl_multi_remove_handle(reader->lane->multi, curl_transfer_easy(transfer));
    switch (curl_transfer_judge(transfer, result, &error)) {
    case CURL_VERDICT_AGAIN:
        if (curl_multi_add_handle(reader->lane->multi, curl_transfer_easy(transfer)) == CURLM_OK) {
            return;
        }
        request->error = -ENOMEM;
        break;
    case CURL_VERDICT_READ:
        request->error = 0;
        break;
    case CURL_VERDICT_FAILED:
        request->error = tell_failure((CurlSource *)reader->base.source, error);
        break;
    }
    g_queue_push_tail(&reader->lane->idle, transfer);
    g_queue_push_tail(&reader->done, request);
}

static void advance(CurlReader *reader)
{
    CURLMsg *message;
    int left;

    curl_multi_perform(reader->lane->multi, &left);
    while ((message = curl_multi_info_read(reader->lane->multi, &left))) {
        CURLcode result = message->data.result;
        CurlTransfer *transfer = NULL;

        if (message->msg == CURLMSG_DONE) {
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
            finish(reader, transfer, result);
        }
    }
}

static bool reader_submit(BlockReader *base, BlockRequest *request)
{
    CurlReader *reader = (CurlReader *)base;
    CurlTransfer *transfer = take_transfer((CurlSource *)base->source, reader->lane, NULL);

    if (!transfer) {
        request->error = -ENOMEM;
        return true;
    }
    curl_transfer_start(transfer, request);
    if (curl_multi_add_handle(reader->lane->multi, curl_transfer_easy(transfer)) != CURLM_OK) {
        g_queue_push_tail(&reader->lane->idle, transfer);
        request->error = -ENOMEM;
        return true;
    }
    advance(reader);
    return false;
}

static BlockRequest *reader_wait(BlockReader *base)
{
    CurlReader *reader = (CurlReader *)base;

    while (g_queue_is_empty(&reader->done)) {
        curl_multi_poll(reader->lane->multi, NULL, 0, CURL_POLL_MS, NULL);
        advance(reader);
    }
    return g_queue_pop_head(&reader->done);
}

static void reader_close(BlockReader *base)
{
    CurlReader *reader = (CurlReader *)base;
    CurlSource *curl = (CurlSource *)base->source;

    if (!curl->file.multiplexed) {
        g_atomic_int_add(&curl->connections, -(int)base->max_in_flight);
    }
    give_back_lane(curl, reader->lane);
    g_free(reader);
}

static const BlockReaderOps reader_ops = {.submit = reader_submit, .wait = reader_wait, .close = reader_close};

/* Takes from what is left of the connections of the source. */
static unsigned take_connections(CurlSource *curl)
{
    int before = g_atomic_int_add(&curl->connections, CONNECTIONS_A_READER);
    int taken = CLAMP(CONNECTIONS_IN_ALL - before, 1, CONNECTIONS_A_READER);

    g_atomic_int_add(&curl->connections, taken - CONNECTIONS_A_READER);
    return taken;
}

static BlockReader *curl_reader_new(BlockSource *source)
{
    CurlSource *curl = (CurlSource *)source;
    CurlLane *lane = take_lane(curl);
    CurlReader *reader;

    if (!lane) {
        return NULL;
    }
    __atomic_store_n(&source->reader, "http", __ATOMIC_RELAXED);
    reader = g_new0(CurlReader, 1);
    *reader = (CurlReader){
        .base = {.ops = &reader_ops, .source = source},
        .lane = lane,
    };
    reader->base.max_in_flight = curl->file.multiplexed ? MULTIPLEXED_IN_FLIGHT : take_connections(curl);
    return &reader->base;
}

/* ---- the source ---- */

static ssize_t curl_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    CurlSource *curl = (CurlSource *)source;
    BlockRequest request = {.offset = offset, .size = size, .buffer = buffer};
    CurlLane *lane = take_lane(curl);
    CurlTransfer *transfer = lane ? take_transfer(curl, lane, NULL) : NULL;
    g_autoptr(GError) error = NULL;
    bool read = transfer && curl_transfer_perform(transfer, lane->multi, &request, &error);

    if (transfer) {
        g_queue_push_tail(&lane->idle, transfer);
    }
    if (lane) {
        give_back_lane(curl, lane);
    }
    if (read) {
        return (ssize_t)size;
    }
    if (!error) {
        return -ENOMEM;
    }
    note_loss(source, error);
    return tell_failure(curl, error);
}

static void curl_close(BlockSource *source)
{
    CurlSource *curl = (CurlSource *)source;

    g_queue_clear_full(&curl->lanes, free_lane);
    pthread_mutex_destroy(&curl->lock);
    g_free(curl->file.name);
    g_free(curl->file.moved_to);
    g_free(curl);
}

static const BlockSourceOps curl_ops = {.read_at = curl_read_at, .reader_new = curl_reader_new, .close = curl_close};

static bool initialize_library(GError **errp)
{
    static gsize once;

    if (g_once_init_enter(&once)) {
        g_once_init_leave(&once, 1 + (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK));
    }
    if (once != 1) {
        g_set_error_literal(errp, BLOCK_ERROR, EIO, "libcurl could not be initialized");
    }
    return once == 1;
}

/* Reads the beginning of the file, and what is told with it. */
static bool open_file(CurlSource *curl, GError **errp)
{
    g_autofree uint8_t *head = g_malloc(BLOCK_SOURCE_HEAD);
    CurlLane *lane = take_lane(curl);
    CurlTransfer *transfer = lane ? take_transfer(curl, lane, errp) : NULL;
    int64_t latency = 0;
    bool opened = false;

    if (!lane) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "libcurl could not be initialized");
        return false;
    }
    if (transfer) {
        opened = curl_transfer_examine(transfer, lane->multi, &curl->file, head, BLOCK_SOURCE_HEAD, &latency, errp);
        g_queue_push_tail(&lane->idle, transfer);
    }
    give_back_lane(curl, lane);
    if (opened) {
        curl->base.length = curl->file.length;
        block_source_keep_head(&curl->base, g_steal_pointer(&head), MIN(curl->base.length, BLOCK_SOURCE_HEAD), 1,
                               latency);
    }
    return opened;
}

BlockSource *block_source_open_curl(const char *name, const RemoteOptions *options, GError **errp)
{
    CurlSource *curl;

    if (options->writable) {
        g_set_error_literal(errp, BLOCK_ERROR, EROFS, "A file on an HTTP server can only be read");
        return NULL;
    }
    if (!initialize_library(errp)) {
        return NULL;
    }
    curl = g_new0(CurlSource, 1);
    pthread_mutex_init(&curl->lock, NULL);
    curl->base.ops = &curl_ops;
    curl->options = *options;
    curl->file = (CurlFile){
        .name = g_strdup(name),
        .connect_seconds = options->timeout ? options->timeout : REMOTE_CONNECT_SECONDS,
        .silence_seconds = options->timeout ? options->timeout : REMOTE_SILENCE_SECONDS,
    };
    if (!open_file(curl, errp)) {
        curl_close(&curl->base);
        return NULL;
    }
    return &curl->base;
}
