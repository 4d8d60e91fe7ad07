/*
 * Prefetch: reads many ranges of a source and hands their bytes to worker threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/prefetch.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "block/memory-plan.h"

#define WORKER_BYTES (1u << 20) /* so much work is worth a thread */
#define FIRST_DEPTH  4          /* requests in flight before anything is known of the source */
#define SLOW_READ    100        /* microseconds: waiting longer than this asks for more in flight */
#define MAX_DEPTH    64

/* Neighbouring ranges, read by one request. */
typedef struct Batch {
    BlockRequest request;
    size_t first; /* range */
    size_t n;
    uint8_t *buffer;
    size_t capacity;
} Batch;

/* What the workers share. */
typedef struct Shared {
    const BlockPrefetch *prefetch;
    pthread_mutex_t lock; /* over the members below; not glib's, which thread sanitizers do not see */
    size_t next;          /* range that nobody has taken yet */
    bool look_for_holes;
    uint64_t hole_end; /* what is below, from where ranges are taken now on, is a hole */
    gint stop;         /* atomic */
    unsigned workers;
    uint32_t largest; /* bytes of the largest range */
} Shared;

typedef struct Worker {
    Shared *shared;
    void *state;
    BlockReader *reader;
    Batch batches[MAX_DEPTH];
    Batch *free[MAX_DEPTH];
    unsigned n_free;
    unsigned in_flight;
    unsigned depth; /* requests to have in flight */
} Worker;

static void stop(Worker *w)
{
    g_atomic_int_set(&w->shared->stop, 1);
}

static BlockRange range_at(const Shared *s, size_t i)
{
    return s->prefetch->range(s->prefetch->opaque, i);
}

/* Returns true if the range is nothing but zeros that need no reading. */
static bool range_absent(Shared *s, const BlockRange *range)
{
    BlockSource *source = s->prefetch->source;

    if (range->offset >= source->length && range->offset <= BLOCK_SOURCE_MAX_LENGTH - range->size) {
        return true;
    }
    if (s->look_for_holes && range->offset >= s->hole_end && source->ops->next_data) {
        s->hole_end = source->ops->next_data(source, range->offset);
        s->look_for_holes = s->hole_end > range->offset;
    }
    return range->offset + range->size <= s->hole_end && s->look_for_holes;
}

static void count_done(const Shared *s, uint64_t bytes)
{
    if (s->prefetch->options.progress) {
        __atomic_fetch_add(&s->prefetch->options.progress->bytes_done, bytes, __ATOMIC_RELAXED);
    }
}

/* Has ranges of zeros examined, up to the next that is none. */
static void pass_absent(Worker *w)
{
    Shared *s = w->shared;

    for (; s->next < s->prefetch->n; s->next++) {
        BlockRange range = range_at(s, s->next);

        if (!range_absent(s, &range)) {
            break;
        }
        count_done(s, range.size);
        if (!s->prefetch->examine(w->state, s->next, NULL, 0)) {
            stop(w);
            break;
        }
    }
}

/* Takes the next ranges that lie side by side; false when there are none left. */
static bool take_batch(Worker *w, Batch *batch)
{
    Shared *s = w->shared;
    BlockRange range;
    uint64_t end = 0;

    pthread_mutex_lock(&s->lock);
    pass_absent(w);
    batch->first = s->next;
    batch->n = 0;
    batch->request.offset = 0;
    while (s->next < s->prefetch->n) {
        range = range_at(s, s->next);
        if (batch->n && (range.offset != end || end + range.size - batch->request.offset > memory_plan()->batch)) {
            break;
        }
        if (!batch->n) {
            batch->request.offset = range.offset;
        }
        assert(range.size >= 1 && range.size <= 1u << 22);
        end = range.offset + range.size;
        batch->n++;
        s->next++;
    }
    batch->request.size = end - batch->request.offset;
    pthread_mutex_unlock(&s->lock);
    return batch->n > 0;
}

static bool need_buffer(Batch *batch)
{
    if (batch->capacity < batch->request.size) {
        g_free(batch->buffer);
        batch->capacity = batch->request.size;
        batch->buffer = g_try_malloc(batch->capacity);
    }
    batch->request.buffer = batch->buffer;
    return batch->buffer != NULL;
}

static bool all_zeros(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && !memcmp(bytes, bytes + 1, size - 1);
}

/* After a failed request the ranges of it are read one by one: some of them may be all right. */
static int read_alone(Worker *w, const BlockRange *range, uint8_t *bytes)
{
    return block_source_read(w->reader->source, bytes, range->size, range->offset);
}

static void examine_batch(Worker *w, Batch *batch)
{
    const BlockPrefetch *p = w->shared->prefetch;
    uint8_t *bytes = batch->buffer;

    for (size_t i = 0; i < batch->n && !g_atomic_int_get(&w->shared->stop); i++) {
        BlockRange range = range_at(w->shared, batch->first + i);
        int error = batch->request.error ? read_alone(w, &range, bytes) : 0;

        if (!p->examine(w->state, batch->first + i, bytes, error)) {
            stop(w);
        }
        bytes += range.size;
    }
    count_done(w->shared, batch->request.size);
    if (!batch->request.error && all_zeros(batch->buffer, batch->request.size)) {
        pthread_mutex_lock(&w->shared->lock);
        w->shared->look_for_holes = true;
        pthread_mutex_unlock(&w->shared->lock);
    }
    assert(w->n_free < MAX_DEPTH);
    w->free[w->n_free++] = batch;
}

/* Starts one more request, and examines what is there at once; false when there is nothing left to start. */
static bool start_batch(Worker *w)
{
    Batch *batch = w->free[w->n_free - 1];

    if (g_atomic_int_get(&w->shared->stop) || g_atomic_int_get(&w->reader->source->lost) || !take_batch(w, batch)) {
        return false;
    }
    if (!need_buffer(batch)) {
        stop(w);
        return false;
    }
    w->n_free--;
    if (block_reader_submit(w->reader, &batch->request)) {
        examine_batch(w, batch);
    } else {
        w->in_flight++;
    }
    return true;
}

static uint64_t total_bytes(const BlockPrefetch *p, uint32_t *largest)
{
    uint64_t bytes = 0;

    *largest = 1;
    for (size_t i = 0; i < p->n; i++) {
        uint32_t size = p->range(p->opaque, i).size;

        bytes += size;
        *largest = MAX(*largest, size);
    }
    return bytes;
}

/* How many requests of @size bytes each of the workers may have in flight; at least 1. */
static unsigned depth_for(const Shared *s, size_t size)
{
    return (unsigned)MAX(1, memory_plan()->in_flight / s->workers / size);
}

/* Waits for a request, and lets there be more of them when that takes long. */
static void finish_batch(Worker *w)
{
    gint64 before = g_get_monotonic_time();
    BlockRequest *request = block_reader_wait(w->reader);
    unsigned limit = MIN(w->reader->max_in_flight, depth_for(w->shared, request->size));

    if (g_get_monotonic_time() - before > SLOW_READ) {
        w->depth = MIN(w->depth * 2, MIN(limit, MAX_DEPTH));
    }
    assert(w->in_flight > 0);
    w->in_flight--;
    examine_batch(w, (Batch *)((char *)request - offsetof(Batch, request)));
}

static gpointer work(gpointer opaque)
{
    Worker *w = opaque;

    w->reader = block_reader_new(w->shared->prefetch->source);
    w->depth = MIN(depth_for(w->shared, w->shared->largest), MIN(FIRST_DEPTH, w->reader->max_in_flight));
    w->n_free = MAX_DEPTH;
    for (unsigned i = 0; i < MAX_DEPTH; i++) {
        w->free[i] = &w->batches[i];
    }
    for (bool more = true; more || w->in_flight;) {
        while (more && w->in_flight < w->depth) {
            more = start_batch(w);
        }
        if (w->in_flight) {
            finish_batch(w);
        }
    }
    for (unsigned i = 0; i < MAX_DEPTH; i++) {
        g_free(w->batches[i].buffer);
    }
    block_reader_free(w->reader);
    return NULL;
}

/* As many workers as there is work for, each of which can have a request in flight. */
static unsigned workers_for(const BlockPrefetch *p, uint64_t bytes, uint32_t largest)
{
    uint64_t most = MIN(block_read_workers(&p->options), MAX(1, memory_plan()->in_flight / largest));

    return (unsigned)CLAMP(bytes / WORKER_BYTES, 1, most);
}

bool block_prefetch(const BlockPrefetch *p)
{
    uint32_t largest;
    uint64_t bytes = total_bytes(p, &largest);
    Shared shared = {
        .prefetch = p,
        .largest = largest,
        .workers = workers_for(p, bytes, largest),
    };
    GThread *threads[BLOCK_MAX_WORKERS] = {0};
    Worker *workers = g_new0(Worker, shared.workers);

    if (p->options.progress) {
        __atomic_fetch_add(&p->options.progress->bytes_known, bytes, __ATOMIC_RELAXED);
    }
    pthread_mutex_init(&shared.lock, NULL);
    assert(shared.workers >= 1);
    for (unsigned i = 0; i < shared.workers; i++) {
        workers[i].shared = &shared;
        workers[i].state = (char *)p->states + i * p->state_size;
        /* the calling thread is the first worker; where no thread can be started, it is the only one */
        threads[i] = i ? g_thread_try_new("check", work, &workers[i], NULL) : NULL;
    }
    work(&workers[0]);
    for (unsigned i = 1; i < shared.workers; i++) {
        if (threads[i]) {
            g_thread_join(threads[i]);
        }
    }
    pthread_mutex_destroy(&shared.lock);
    g_free(workers);
    return !g_atomic_int_get(&shared.stop);
}
