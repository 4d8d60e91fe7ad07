/*
 * A reader that has many reads in flight by letting threads read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/file-reader.h"

#define THREADS 8 /* for each reader */

typedef struct ThreadReader {
    BlockReader base;
    GThreadPool *pool;
    GAsyncQueue *complete; /* BlockRequest */
} ThreadReader;

static void read_in_thread(gpointer data, gpointer opaque)
{
    BlockRequest *request = data;
    ThreadReader *reader = opaque;

    block_request_finish(reader->base.source, request, 0);
    g_async_queue_push(reader->complete, request);
}

static bool thread_submit(BlockReader *base, BlockRequest *request)
{
    g_thread_pool_push(((ThreadReader *)base)->pool, request, NULL);
    return false;
}

static BlockRequest *thread_wait(BlockReader *base)
{
    return g_async_queue_pop(((ThreadReader *)base)->complete);
}

static void thread_close(BlockReader *base)
{
    ThreadReader *reader = (ThreadReader *)base;

    g_thread_pool_free(reader->pool, FALSE, TRUE);
    g_async_queue_unref(reader->complete);
    g_free(reader);
}

static const BlockReaderOps thread_ops = {.submit = thread_submit, .wait = thread_wait, .close = thread_close};

BlockReader *thread_reader_new(BlockSource *source)
{
    ThreadReader *reader = g_new0(ThreadReader, 1);
    g_autoptr(GError) error = NULL;

    reader->base = (BlockReader){.ops = &thread_ops, .source = source, .max_in_flight = 4 * THREADS};
    reader->complete = g_async_queue_new();
    /* exclusive: all threads are there from the start, or it is known that they are not */
    reader->pool = g_thread_pool_new(read_in_thread, reader, THREADS, TRUE, &error);
    if (error) {
        thread_close(&reader->base);
        return NULL;
    }
    return &reader->base;
}
