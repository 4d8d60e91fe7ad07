/*
 * A block source over a file of an HTTP server: see block/remote.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/remote.h"

#include <errno.h>

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

#define POLL_MS 1000 /* libcurl wakes earlier if there is something to do */

typedef struct CurlSource {
    BlockSource base;
    CurlFile file;
    RemoteOptions options;
    int failure_told;    /* atomic */
    int connections;     /* atomic; promised to readers */
    GMutex lock;         /* for what follows */
    CurlTransfer *plain; /* of reads without a reader */
} CurlSource;

typedef struct CurlReader {
    BlockReader base;
    CURLM *multi;
    GQueue idle; /* of CurlTransfer */
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

/* ---- readers ---- */

static void finish(CurlReader *reader, CurlTransfer *transfer, CURLcode result)
{
    BlockRequest *request = curl_transfer_request(transfer);
    g_autoptr(GError) error = NULL;

    curl_multi_remove_handle(reader->multi, curl_transfer_easy(transfer));
    switch (curl_transfer_judge(transfer, result, &error)) {
    case CURL_VERDICT_AGAIN:
        if (curl_multi_add_handle(reader->multi, curl_transfer_easy(transfer)) == CURLM_OK) {
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
    g_queue_push_tail(&reader->idle, transfer);
    g_queue_push_tail(&reader->done, request);
}

static void advance(CurlReader *reader)
{
    CURLMsg *message;
    int left;

    curl_multi_perform(reader->multi, &left);
    while ((message = curl_multi_info_read(reader->multi, &left))) {
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
    CurlTransfer *transfer = g_queue_pop_head(&reader->idle);

    if (!transfer) {
        transfer = curl_transfer_new(&((CurlSource *)base->source)->file, NULL);
    }
    if (!transfer) {
        request->error = -ENOMEM;
        return true;
    }
    curl_transfer_start(transfer, request);
    if (curl_multi_add_handle(reader->multi, curl_transfer_easy(transfer)) != CURLM_OK) {
        g_queue_push_tail(&reader->idle, transfer);
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
        curl_multi_poll(reader->multi, NULL, 0, POLL_MS, NULL);
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
    g_queue_clear_full(&reader->idle, (GDestroyNotify)curl_transfer_free);
    curl_multi_cleanup(reader->multi);
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
    CURLM *multi = curl_multi_init();
    CurlReader *reader;

    if (!multi) {
        return NULL;
    }
    curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, STREAMS_A_CONNECTION);
    __atomic_store_n(&source->reader, "http", __ATOMIC_RELAXED);
    reader = g_new0(CurlReader, 1);
    *reader = (CurlReader){
        .base = {.ops = &reader_ops, .source = source},
        .multi = multi,
    };
    reader->base.max_in_flight = curl->file.multiplexed ? MULTIPLEXED_IN_FLIGHT : take_connections(curl);
    return &reader->base;
}

/* ---- the source ---- */

static ssize_t curl_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    CurlSource *curl = (CurlSource *)source;
    BlockRequest request = {.offset = offset, .size = size, .buffer = buffer};
    g_autoptr(GError) error = NULL;
    bool read;

    g_mutex_lock(&curl->lock);
    read = curl_transfer_perform(curl->plain, &request, &error);
    g_mutex_unlock(&curl->lock);
    return read ? (ssize_t)size : tell_failure(curl, error);
}

static void curl_close(BlockSource *source)
{
    CurlSource *curl = (CurlSource *)source;

    curl_transfer_free(curl->plain);
    g_mutex_clear(&curl->lock);
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

BlockSource *block_source_open_curl(const char *name, const RemoteOptions *options, GError **errp)
{
    g_autofree uint8_t *head = NULL;
    int64_t latency;
    CurlSource *curl;

    if (options->writable) {
        g_set_error_literal(errp, BLOCK_ERROR, EROFS, "A file on an HTTP server can only be read");
        return NULL;
    }
    if (!initialize_library(errp)) {
        return NULL;
    }
    curl = g_new0(CurlSource, 1);
    g_mutex_init(&curl->lock);
    curl->base.ops = &curl_ops;
    curl->options = *options;
    curl->file = (CurlFile){
        .name = g_strdup(name),
        .connect_seconds = options->timeout ? options->timeout : REMOTE_CONNECT_SECONDS,
        .silence_seconds = options->timeout ? options->timeout : REMOTE_SILENCE_SECONDS,
    };
    head = g_malloc(BLOCK_SOURCE_HEAD);
    curl->plain = curl_transfer_new(&curl->file, errp);
    if (!curl->plain || !curl_transfer_examine(curl->plain, &curl->file, head, BLOCK_SOURCE_HEAD, &latency, errp)) {
        curl_close(&curl->base);
        return NULL;
    }
    curl->base.length = curl->file.length;
    block_source_keep_head(&curl->base, g_steal_pointer(&head), MIN(curl->base.length, BLOCK_SOURCE_HEAD), latency);
    return &curl->base;
}
