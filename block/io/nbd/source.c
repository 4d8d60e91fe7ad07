/*
 * A block source over an export of an NBD server: see block/remote.h.
 *
 * Where the server allows it, each reader has a connection of its own, so that threads do not meet, and leaves it to
 * the next one. One reader, those for which there is none, and plain reads share the first connection.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/remote.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "block/io/nbd/connection.h"
#include "block/io/nbd/name.h"
#include "util/number.h"

#define MAX_WRITE     (32u << 20) /* bytes at once, multiples of any alignment; as long as others need for theirs */
#define MAX_TRIM      (1u << 30)
#define LATENCY_BYTES 4096u /* of a read whose time is latency */
#define MAX_IN_FLIGHT 1024  /* on a connection; a server leaves in the socket what it has no thread for */

/*
 * How long further connections may take, in milliseconds at least, and as a multiple of what the first one took: a
 * server that takes no more of them than it has may keep the next one waiting for ever.
 */
#define MIN_FURTHER_MS 1000
#define FURTHER_FACTOR 4

typedef struct NbdSource {
    BlockSource base;
    NbdExport nbd_export;
    NbdConnection *first;
    pthread_mutex_t lock; /* over what follows */
    bool first_is_lent;   /* to a reader */
    GQueue idle;          /* of NbdConnection, which no reader has */
} NbdSource;

typedef struct NbdReader {
    BlockReader base;
    NbdConnection *connection;
    bool is_lent; /* to this reader alone */
    GQueue done;
} NbdReader;

/* A connection that could not be made again is the end of the source, whatever others can still do. */
static void note_loss(BlockSource *source)
{
    if (g_atomic_int_get(&((NbdSource *)source)->nbd_export.failure_told)) {
        g_atomic_int_set(&source->lost, 1);
    }
}

/* ---- readers ---- */

static bool reader_submit(BlockReader *base, BlockRequest *request)
{
    NbdReader *reader = (NbdReader *)base;

    nbd_connection_submit(reader->connection, &reader->done, request);
    return false;
}

static BlockRequest *reader_wait(BlockReader *base)
{
    NbdReader *reader = (NbdReader *)base;

    BlockRequest *request = nbd_connection_wait(reader->connection, &reader->done);

    note_loss(base->source);
    return request;
}

static void reader_close(BlockReader *base)
{
    NbdReader *reader = (NbdReader *)base;
    NbdSource *nbd = (NbdSource *)base->source;

    if (reader->is_lent) {
        pthread_mutex_lock(&nbd->lock);
        if (reader->connection == nbd->first) {
            nbd->first_is_lent = false;
        } else {
            g_queue_push_head(&nbd->idle, reader->connection);
        }
        pthread_mutex_unlock(&nbd->lock);
    }
    g_free(reader);
}

static const BlockReaderOps reader_ops = {.submit = reader_submit, .wait = reader_wait, .close = reader_close};

/* A connection that no other reader has, if there is one. */
static NbdConnection *idle_connection(NbdSource *nbd)
{
    NbdConnection *connection = nbd->first;

    pthread_mutex_lock(&nbd->lock);
    if (nbd->first_is_lent) {
        connection = g_queue_pop_head(&nbd->idle);
    }
    nbd->first_is_lent = true;
    pthread_mutex_unlock(&nbd->lock);
    return connection;
}

/* A connection for @reader alone, or else, and while only the first one is sure to see what was written, the first. */
static void give_connection(NbdSource *nbd, NbdReader *reader)
{
    reader->connection = nbd->first;
    if (!nbd_connection_allows_more(nbd->first) || g_atomic_int_get(&nbd->nbd_export.unflushed)) {
        return;
    }
    reader->connection = idle_connection(nbd);
    if (!reader->connection && nbd_export_take_socket(&nbd->nbd_export)) {
        reader->connection = nbd_connection_new(&nbd->nbd_export, nbd->nbd_export.further_ms, NULL);
        if (!reader->connection) {
            nbd_export_give_up_socket(&nbd->nbd_export);
        }
    }
    reader->is_lent = reader->connection != NULL;
    reader->connection = reader->is_lent ? reader->connection : nbd->first;
}

static BlockReader *nbd_reader_new(BlockSource *source)
{
    NbdReader *reader = g_new0(NbdReader, 1);

    __atomic_store_n(&source->reader, "nbd", __ATOMIC_RELAXED);
    *reader = (NbdReader){
        .base = {.ops = &reader_ops, .source = source, .max_in_flight = MAX_IN_FLIGHT},
    };
    give_connection((NbdSource *)source, reader);
    return &reader->base;
}

/* ---- the source ---- */

static ssize_t nbd_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    NbdSource *nbd = (NbdSource *)source;
    BlockRequest request = {.offset = offset, .size = size, .buffer = buffer};
    GQueue done = G_QUEUE_INIT;

    nbd_connection_submit(nbd->first, &done, &request);
    nbd_connection_wait(nbd->first, &done);
    note_loss(source);
    return request.error ? request.error : (ssize_t)size;
}

/* The aligned range around what is to be written, with what it has now where that is not to be replaced. */
static int write_around(NbdSource *nbd, NbdChange how, const void *buffer, size_t size, uint64_t offset)
{
    const NbdLimits *limits = nbd_connection_limits(nbd->first);
    uint64_t start = offset - offset % limits->alignment;
    uint64_t end = DIV_ROUND_UP(offset + size, limits->alignment) * limits->alignment;
    size_t aligned = MIN(end, limits->length) - start;
    g_autofree char *bounce = g_try_malloc(aligned);
    int failure = bounce ? 0 : -ENOMEM;

    if (failure == 0) {
        failure = block_source_read(&nbd->base, bounce, aligned, start);
    }
    if (failure == 0) {
        memcpy(bounce + (offset - start), buffer, size);
        failure = nbd_connection_change(nbd->first, how, bounce, start, aligned);
    }
    return failure;
}

static ssize_t write_part(NbdSource *nbd, NbdChange how, const void *buffer, size_t size, uint64_t offset)
{
    const NbdLimits *limits = nbd_connection_limits(nbd->first);
    size_t n = MIN(size, MAX_WRITE);
    int failure;

    if (offset > limits->length || size > limits->length - offset) {
        return -ENOSPC; /* an export has the length it has */
    }
    if (offset % limits->alignment == 0 && n % limits->alignment == 0) {
        failure = nbd_connection_change(nbd->first, how, buffer, offset, n);
    } else {
        failure = write_around(nbd, how, buffer, n, offset);
    }
    note_loss(&nbd->base);
    return failure ? failure : (ssize_t)n;
}

static ssize_t nbd_write_at(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    return write_part((NbdSource *)source, NBD_WRITE, buffer, size, offset);
}

static ssize_t nbd_write_durably_at(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    NbdSource *nbd = (NbdSource *)source;

    if (!(nbd_connection_limits(nbd->first)->abilities & NBD_CAN_FUA)) {
        return -EOPNOTSUPP;
    }
    return write_part(nbd, NBD_WRITE_FUA, buffer, size, offset);
}

static int nbd_flush_source(BlockSource *source)
{
    int failure = nbd_connection_change(((NbdSource *)source)->first, NBD_FLUSH, NULL, 0, 0);

    note_loss(source);
    return failure;
}

/* Trims what lies between the alignments; the rest stays as it is. */
static int nbd_punch(BlockSource *source, uint64_t offset, uint64_t size)
{
    NbdSource *nbd = (NbdSource *)source;
    const NbdLimits *limits = nbd_connection_limits(nbd->first);
    uint64_t start = DIV_ROUND_UP(offset, limits->alignment) * limits->alignment;
    uint64_t end = (offset + size) - (offset + size) % limits->alignment;
    int failure = limits->abilities & NBD_CAN_TRIM ? 0 : -EOPNOTSUPP;

    for (; failure == 0 && start < end; start += MAX_TRIM) {
        failure = nbd_connection_change(nbd->first, NBD_TRIM, NULL, start, MIN(end - start, MAX_TRIM));
    }
    note_loss(source);
    return failure == -EINVAL || failure == -ENOTSUP ? -EOPNOTSUPP : failure;
}

static void nbd_close_source(BlockSource *source)
{
    NbdSource *nbd = (NbdSource *)source;

    if (nbd->first) {
        nbd_connection_free(nbd->first);
    }
    g_queue_clear_full(&nbd->idle, (GDestroyNotify)nbd_connection_free);
    pthread_mutex_destroy(&nbd->lock);
    g_free(nbd->nbd_export.name);
    g_free(nbd->nbd_export.uri);
    g_free(nbd);
}

static const BlockSourceOps nbd_ops = {
    .read_at = nbd_read_at,
    .reader_new = nbd_reader_new,
    .write_at = nbd_write_at,
    .write_durably_at = nbd_write_durably_at,
    .flush = nbd_flush_source,
    .punch = nbd_punch,
    .close = nbd_close_source,
};

/* A repair needs to know when what it wrote is on disk. */
static bool may_be_written(const NbdLimits *limits, GError **errp)
{
    if (!(limits->abilities & NBD_CAN_WRITE)) {
        g_set_error_literal(errp, BLOCK_ERROR, EROFS, "The server gives this image for reading only");
        return false;
    }
    if (!(limits->abilities & NBD_CAN_FLUSH)) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOTSUP,
                            "The server cannot say when data is on disk (it offers no flush), so a crash during the "
                            "repair could ruin the image");
        return false;
    }
    return true;
}

/*
 * Reads what is wanted first at once. Its first bytes are a request of their own, in flight beside that for the rest:
 * how long their answer takes is latency, with little to transfer. If that fails, the reads of those who want it fail,
 * and say so.
 */
static void read_head(NbdSource *nbd)
{
    size_t size = MIN(nbd->base.length, BLOCK_SOURCE_HEAD);
    size_t first = MIN(size, MAX(LATENCY_BYTES, nbd_connection_limits(nbd->first)->alignment));
    g_autofree uint8_t *bytes = size ? g_try_malloc(size) : NULL;
    BlockRequest parts[] = {{.size = first, .buffer = bytes},
                            {.offset = first, .size = size - first, .buffer = bytes ? bytes + first : NULL}};
    unsigned n = bytes ? 1 + (size > first) : 0;
    GQueue done = G_QUEUE_INIT;
    int64_t start = g_get_monotonic_time(), latency = 0;

    for (unsigned i = 0; i < n; i++) {
        nbd_connection_submit(nbd->first, &done, &parts[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        nbd_connection_wait(nbd->first, &done);
        latency = latency ? latency : g_get_monotonic_time() - start;
    }
    note_loss(&nbd->base);
    if (n > 0 && parts[0].error == 0 && parts[1].error == 0) {
        block_source_keep_head(&nbd->base, g_steal_pointer(&bytes), size, n, latency);
    }
}

BlockSource *block_source_open_nbd(const char *name, const RemoteOptions *options, GError **errp)
{
    char *uri = nbd_name_to_uri(name, errp);
    int64_t start = g_get_monotonic_time(), further_ms;
    NbdSource *nbd;

    if (!uri) {
        return NULL;
    }
    nbd = g_new0(NbdSource, 1);
    nbd->base.ops = &nbd_ops;
    pthread_mutex_init(&nbd->lock, NULL);
    nbd->nbd_export = (NbdExport){
        .name = g_strdup(name),
        .uri = uri,
        .options = *options,
        .connect_ms = (options->timeout ? options->timeout : REMOTE_CONNECT_SECONDS) * 1000,
        .silence_seconds = options->timeout ? options->timeout : REMOTE_SILENCE_SECONDS,
        .latency = &nbd->base.latency,
        .sockets = 1,
    };
    nbd->first = nbd_connection_new(&nbd->nbd_export, nbd->nbd_export.connect_ms, errp);
    if (!nbd->first || (options->writable && !may_be_written(nbd_connection_limits(nbd->first), errp))) {
        nbd_close_source(&nbd->base);
        return NULL;
    }
    nbd->base.length = nbd_connection_limits(nbd->first)->length;
    nbd->base.writable = options->writable;
    nbd->base.fixed_length = true;
    further_ms = FURTHER_FACTOR * (g_get_monotonic_time() - start) / G_TIME_SPAN_MILLISECOND;
    nbd->nbd_export.further_ms = (unsigned)MIN(MAX(further_ms, MIN_FURTHER_MS), nbd->nbd_export.connect_ms);
    if (!options->writable) {
        read_head(nbd);
    }
    return &nbd->base;
}
