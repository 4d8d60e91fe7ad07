/*
 * A reader that has many reads in flight by letting threads read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/file-reader.h"

#define THREADS 8 /* for each reader */

typedef struct ThreadReader {
    BlockReader base;
    pthread_t threads[THREADS];
    unsigned n_threads;

    pthread_mutex_t lock; /* over the members below */
    pthread_cond_t changed;
    GQueue waiting;  /* BlockRequest, to be read */
    GQueue complete; /* BlockRequest */
    bool closing;
} ThreadReader;

/* The next request to read; NULL when there will be no more. */
static BlockRequest *next_request(ThreadReader *r)
{
    BlockRequest *request;

    pthread_mutex_lock(&r->lock);
    while (!(request = g_queue_pop_head(&r->waiting)) && !r->closing) {
        pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return request;
}

static void put(ThreadReader *r, GQueue *queue, BlockRequest *request)
{
    pthread_mutex_lock(&r->lock);
    g_queue_push_tail(queue, request);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void *read_requests(void *opaque)
{
    ThreadReader *r = opaque;
    BlockRequest *request;

    while ((request = next_request(r))) {
        block_request_finish(r->base.source, request, 0);
        put(r, &r->complete, request);
    }
    return NULL;
}

static bool thread_submit(BlockReader *base, BlockRequest *request)
{
    ThreadReader *r = (ThreadReader *)base;

    put(r, &r->waiting, request);
    return false;
}

static BlockRequest *thread_wait(BlockReader *base)
{
    ThreadReader *r = (ThreadReader *)base;
    BlockRequest *request;

    pthread_mutex_lock(&r->lock);
    while (!(request = g_queue_pop_head(&r->complete))) {
        pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return request;
}

static void thread_close(BlockReader *base)
{
    ThreadReader *r = (ThreadReader *)base;

    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    for (unsigned i = 0; i < r->n_threads; i++) {
        pthread_join(r->threads[i], NULL);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    g_free(r);
}

static const BlockReaderOps thread_ops = {.submit = thread_submit, .wait = thread_wait, .close = thread_close};

BlockReader *thread_reader_new(BlockSource *source)
{
    ThreadReader *r = g_new0(ThreadReader, 1);

    r->base = (BlockReader){.ops = &thread_ops, .source = source, .max_in_flight = 4 * THREADS};
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    while (r->n_threads < THREADS && !pthread_create(&r->threads[r->n_threads], NULL, read_requests, r)) {
        r->n_threads++;
    }
    if (!r->n_threads) {
        thread_close(&r->base);
        return NULL;
    }
    return &r->base;
}
