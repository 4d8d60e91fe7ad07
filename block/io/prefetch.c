/*
 * Prefetch: reads many ranges of a source and hands their bytes to worker threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/prefetch.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "block/io/pacer.h"
#include "block/memory-plan.h"
#include "util/number.h"
#include "util/zeros.h"

#define WORKER_BYTES (1u << 20) /* so much work is worth a thread */
#define ALIGNMENT    4096       /* of buffers, so that direct reads can go to them */

/* Neighbouring ranges, read by one request with what lies between them. */
typedef struct Batch {
    BlockRequest request;
    size_t first; /* range */
    size_t n;
    size_t wanted; /* bytes of the ranges */
    void *memory;
    size_t capacity; /* bytes from the first aligned one on */
    int64_t started;
} Batch;

/* What the workers share. */
typedef struct Shared {
    const BlockPrefetch *prefetch;
    pthread_mutex_t lock; /* over the members below; not glib's, which thread sanitizers do not see */
    size_t next;          /* range that nobody has taken yet */
    Pacer pacer;
    size_t gap;       /* bytes to read through, as the pacer has it */
    size_t max_batch; /* bytes */
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
    GQueue idle; /* Batch */
    unsigned in_flight;
    size_t bytes_in_flight;
    size_t bytes_held; /* of all buffers */
    unsigned depth;    /* requests to have in flight */
    size_t share;      /* bytes to have in flight */
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
    return s->look_for_holes && range->offset < s->hole_end && range->size <= s->hole_end - range->offset;
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

/* Returns true if @range can be read together with what comes before it, up to @end. */
static bool joins(const Shared *s, const Batch *batch, uint64_t end, const BlockRange *range)
{
    return range->offset >= end && range->offset - end <= s->gap &&
           range->offset + range->size - batch->request.offset <= s->max_batch;
}

/* The request for [@begin, @end), with what is around them where the source reads whole blocks. */
static void place_request(const BlockSource *source, BlockRequest *request, uint64_t begin, uint64_t end)
{
    uint64_t alignment = MAX(source->alignment, 1);
    uint64_t last = DIV_ROUND_UP(end, alignment) * alignment;

    assert(ALIGNMENT % alignment == 0); /* buffers are aligned, too */
    request->offset = begin / alignment * alignment;
    request->size = (last <= source->length ? last : end) - request->offset;
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
    batch->n = batch->wanted = 0;
    batch->request.offset = 0;
    while (s->next < s->prefetch->n) {
        range = range_at(s, s->next);
        if (batch->n && !joins(s, batch, end, &range)) {
            break;
        }
        if (!batch->n) {
            batch->request.offset = range.offset;
        }
        assert(range.size >= 1 && range.size <= 1u << 22);
        end = range.offset + range.size;
        batch->wanted += range.size;
        batch->n++;
        s->next++;
    }
    place_request(s->prefetch->source, &batch->request, batch->request.offset, end);
    pthread_mutex_unlock(&s->lock);
    return batch->n > 0;
}

static void drop_buffer(Worker *w, Batch *batch)
{
    w->bytes_held -= batch->capacity;
    batch->capacity = 0;
    g_clear_pointer(&batch->memory, g_free);
}

static bool need_buffer(Worker *w, Batch *batch)
{
    if (batch->capacity < batch->request.size) {
        drop_buffer(w, batch);
        batch->memory = g_try_malloc(batch->request.size + ALIGNMENT - 1);
        batch->capacity = batch->memory ? batch->request.size : 0;
        w->bytes_held += batch->capacity;
    }
    batch->request.buffer = (void *)(DIV_ROUND_UP((uintptr_t)batch->memory, ALIGNMENT) * ALIGNMENT);
    return batch->memory != NULL;
}

/* After a failed request the ranges of it are read one by one: some of them may be all right. */
static int read_alone(Worker *w, const BlockRange *range, uint8_t *bytes)
{
    return block_source_read(w->reader->source, bytes, range->size, range->offset);
}

static void examine_batch(Worker *w, Batch *batch)
{
    const BlockPrefetch *p = w->shared->prefetch;

    for (size_t i = 0; i < batch->n && !g_atomic_int_get(&w->shared->stop); i++) {
        BlockRange range = range_at(w->shared, batch->first + i);
        uint8_t *bytes = (uint8_t *)batch->request.buffer + (range.offset - batch->request.offset);
        int error = batch->request.error ? read_alone(w, &range, bytes) : 0;

        if (!p->examine(w->state, batch->first + i, bytes, error)) {
            stop(w);
        }
    }
    count_done(w->shared, batch->wanted);
    if (!batch->request.error && is_zeros(batch->request.buffer, batch->request.size)) {
        pthread_mutex_lock(&w->shared->lock);
        w->shared->look_for_holes = true;
        pthread_mutex_unlock(&w->shared->lock);
    }
    if (w->bytes_held > w->share) {
        drop_buffer(w, batch);
    }
    g_queue_push_head(&w->idle, batch);
}

/* Hands over the request of @batch; true when it is complete at once. */
static bool submit(Worker *w, Batch *batch)
{
    batch->started = g_get_monotonic_time();
    if (block_reader_submit(w->reader, &batch->request)) {
        return true;
    }
    w->in_flight++;
    w->bytes_in_flight += batch->request.size;
    pthread_mutex_lock(&w->shared->lock);
    pacer_started(&w->shared->pacer, batch->started);
    pthread_mutex_unlock(&w->shared->lock);
    return false;
}

static bool is_over(const Worker *w)
{
    return g_atomic_int_get(&w->shared->stop) || g_atomic_int_get(&w->reader->source->lost);
}

/* Starts one more request, and examines what is there at once; false when there is nothing left to start. */
static bool start_batch(Worker *w)
{
    Batch *batch = g_queue_pop_head(&w->idle);
    bool more;

    batch = batch ? batch : g_new0(Batch, 1);
    more = !is_over(w) && take_batch(w, batch);
    if (more && !need_buffer(w, batch)) {
        stop(w);
        more = false;
    }
    if (!more) {
        g_queue_push_head(&w->idle, batch);
    } else if (submit(w, batch)) {
        examine_batch(w, batch);
    }
    return more;
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

/* Takes over what the pacer wants next, for requests of @size bytes. The lock is held. */
static void follow_pacer(Worker *w, size_t size)
{
    Shared *s = w->shared;

    w->depth = CLAMP(pacer_depth(&s->pacer, size) / s->workers, 1, w->reader->max_in_flight);
    w->share = MAX(1, pacer_budget(&s->pacer) / s->workers);
    s->gap = s->pacer.bandwidth > 0 ? pacer_gap(&s->pacer) : 0;
    s->max_batch = MAX(memory_plan()->batch, pacer_budget(&s->pacer) / MEMORY_PLAN_BATCHES);
}

/* Waits for a request. */
static void finish_batch(Worker *w)
{
    BlockRequest *request = block_reader_wait(w->reader);
    Batch *batch = (Batch *)((char *)request - offsetof(Batch, request));

    assert(w->in_flight > 0);
    w->in_flight--;
    w->bytes_in_flight -= request->size;
    pthread_mutex_lock(&w->shared->lock);
    pacer_completed(&w->shared->pacer, batch->started, g_get_monotonic_time(), request->size);
    follow_pacer(w, request->size);
    pthread_mutex_unlock(&w->shared->lock);
    examine_batch(w, batch);
}

static void free_batch(gpointer opaque)
{
    Batch *batch = opaque;

    g_free(batch->memory);
    g_free(batch);
}

static gpointer work(gpointer opaque)
{
    Worker *w = opaque;

    w->reader = block_reader_new(w->shared->prefetch->source);
    pthread_mutex_lock(&w->shared->lock);
    follow_pacer(w, w->shared->largest);
    pthread_mutex_unlock(&w->shared->lock);
    for (bool more = true; more || w->in_flight;) {
        while (more && w->in_flight < w->depth && w->bytes_in_flight < w->share) {
            more = start_batch(w);
        }
        if (w->in_flight) {
            finish_batch(w);
        }
    }
    g_queue_clear_full(&w->idle, free_batch);
    block_reader_free(w->reader);
    return NULL;
}

/* As many workers as there is work for, each of which can have a request in flight. */
static unsigned workers_for(const BlockPrefetch *p, uint64_t bytes, uint32_t largest)
{
    unsigned workers = CLAMP(p->options.workers, 1, BLOCK_MAX_WORKERS);
    uint64_t most = MIN(workers, MAX(1, memory_plan()->in_flight / largest));

    return (unsigned)CLAMP(bytes / WORKER_BYTES, 1, most);
}

/* Returns false when memory is short. There may be states then all the same. */
static bool begin_states(Worker *workers, unsigned n, const BlockPrefetch *p)
{
    bool ok = true;

    assert(!p->begin == !p->end);
    for (unsigned i = 0; ok && i < n; i++) {
        workers[i].state = p->begin ? p->begin(p->opaque, i) : p->opaque;
        ok = workers[i].state || !p->begin;
    }
    return ok;
}

/* Returns false when memory is short. */
static bool end_states(const Worker *workers, unsigned n, const BlockPrefetch *p)
{
    bool ok = true;

    for (unsigned i = 0; p->end && i < n; i++) {
        ok = (!workers[i].state || p->end(p->opaque, workers[i].state)) && ok;
    }
    return ok;
}

/* Lets the workers run, each in a thread, and waits for them. */
static void run_workers(Worker *workers, unsigned n)
{
    GThread *threads[BLOCK_MAX_WORKERS] = {0};

    assert(n >= 1 && n <= BLOCK_MAX_WORKERS);
    for (unsigned i = 1; i < n; i++) {
        /* the calling thread is the first worker; where no thread can be started, it is the only one */
        threads[i] = g_thread_try_new("check", work, &workers[i], NULL);
    }
    work(&workers[0]);
    for (unsigned i = 1; i < n; i++) {
        if (threads[i]) {
            g_thread_join(threads[i]);
        }
    }
}

/* Reads and examines at least one range. */
static bool prefetch_some(const BlockPrefetch *p)
{
    uint32_t largest;
    uint64_t bytes = total_bytes(p, &largest);
    Shared shared = {
        .prefetch = p,
        .largest = largest,
        .workers = workers_for(p, bytes, largest),
    };
    Worker *workers = g_new0(Worker, shared.workers);
    bool ok;

    if (p->options.progress) {
        __atomic_fetch_add(&p->options.progress->bytes_known, bytes, __ATOMIC_RELAXED);
    }
    pacer_init(&shared.pacer, __atomic_load_n(&p->source->latency, __ATOMIC_RELAXED), memory_plan()->in_flight,
               memory_plan()->far_in_flight);
    pthread_mutex_init(&shared.lock, NULL);
    for (unsigned i = 0; i < shared.workers; i++) {
        workers[i].shared = &shared;
    }
    ok = begin_states(workers, shared.workers, p);
    if (ok) {
        run_workers(workers, shared.workers);
    }
    ok = end_states(workers, shared.workers, p) && ok && !g_atomic_int_get(&shared.stop);
    pthread_mutex_destroy(&shared.lock);
    if (shared.pacer.latency) {
        __atomic_store_n(&p->source->latency, shared.pacer.latency, __ATOMIC_RELAXED);
    }
    g_free(workers);
    return ok;
}

bool block_prefetch(const BlockPrefetch *p)
{
    return !p->n || prefetch_some(p);
}
