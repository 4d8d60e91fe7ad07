/*
 * A source over a part of another one: an image inside a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/source.h"

#include <assert.h>
#include <errno.h>

typedef struct WindowSource {
    BlockSource base;
    BlockSource *whole; /* ours */
    uint64_t start;     /* in it */
} WindowSource;

typedef struct WindowReader {
    BlockReader base;
    BlockReader *whole;
    uint64_t start;
} WindowReader;

static WindowSource *window_of(BlockSource *source)
{
    return (WindowSource *)source;
}

/* ---- reading ---- */

static ssize_t window_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    WindowSource *w = window_of(source);

    return w->whole->ops->read_at(w->whole, buffer, size, w->start + offset);
}

static bool reader_submit(BlockReader *reader, BlockRequest *request)
{
    WindowReader *r = (WindowReader *)reader;

    request->offset += r->start;
    if (!block_reader_submit(r->whole, request)) {
        return false;
    }
    request->offset -= r->start;
    return true;
}

static BlockRequest *reader_wait(BlockReader *reader)
{
    WindowReader *r = (WindowReader *)reader;
    BlockRequest *request = block_reader_wait(r->whole);

    request->offset -= r->start;
    return request;
}

static void reader_close(BlockReader *reader)
{
    WindowReader *r = (WindowReader *)reader;
    const char *name = __atomic_load_n(&r->whole->source->reader, __ATOMIC_RELAXED);

    __atomic_store_n(&reader->source->reader, name, __ATOMIC_RELAXED);
    block_reader_free(r->whole);
    g_free(r);
}

static const BlockReaderOps reader_ops = {.submit = reader_submit, .wait = reader_wait, .close = reader_close};

static BlockReader *window_reader_new(BlockSource *source)
{
    WindowSource *w = window_of(source);
    BlockReader *whole = block_reader_new(w->whole);
    WindowReader *reader = g_new(WindowReader, 1);

    *reader = (WindowReader){
        .base = {.ops = &reader_ops, .source = source, .max_in_flight = whole->max_in_flight},
        .whole = whole,
        .start = w->start,
    };
    return &reader->base;
}

/* An offset of the whole source as one of the window, at most its length. */
static uint64_t into_window(const WindowSource *w, uint64_t offset)
{
    return MIN(offset - w->start, w->base.length);
}

static uint64_t window_next_data(BlockSource *source, uint64_t offset)
{
    WindowSource *w = window_of(source);

    return into_window(w, w->whole->ops->next_data(w->whole, w->start + offset));
}

static uint64_t window_next_hole(BlockSource *source, uint64_t offset)
{
    WindowSource *w = window_of(source);

    return into_window(w, w->whole->ops->next_hole(w->whole, w->start + offset));
}

static BlockSourceState window_state(BlockSource *source)
{
    WindowSource *w = window_of(source);
    BlockSourceState state = block_source_state(w->whole);
    uint64_t length = state.length > w->start ? state.length - w->start : 0;

    state.length = source->fixed_length ? source->length : length;
    return state;
}

/* ---- writing ---- */

/* Nothing behind the window is ours. */
static ssize_t window_write_at(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    WindowSource *w = window_of(source);
    int failure;

    if (source->fixed_length && offset >= source->length) {
        return -ENOSPC;
    }
    if (source->fixed_length) {
        size = MIN(size, source->length - offset);
    }
    failure = block_source_write(w->whole, buffer, size, w->start + offset);
    return failure ? failure : (ssize_t)size;
}

static int window_flush(BlockSource *source)
{
    return block_source_flush(window_of(source)->whole);
}

static int window_truncate(BlockSource *source, uint64_t length)
{
    WindowSource *w = window_of(source);

    if (source->fixed_length) {
        return length > source->length ? -ENOSPC : -ENOTSUP;
    }
    return length > BLOCK_SOURCE_MAX_LENGTH - w->start ? -EIO : block_source_truncate(w->whole, w->start + length);
}

static int window_punch(BlockSource *source, uint64_t offset, uint64_t size)
{
    WindowSource *w = window_of(source);

    return block_source_punch(w->whole, w->start + offset, size);
}

static void window_close(BlockSource *source)
{
    block_source_close(window_of(source)->whole);
    g_free(source);
}

static const BlockSourceOps window_ops = {
    .read_at = window_read_at,
    .reader_new = window_reader_new,
    .next_data = window_next_data,
    .next_hole = window_next_hole,
    .write_at = window_write_at,
    .flush = window_flush,
    .truncate = window_truncate,
    .punch = window_punch,
    .state = window_state,
    .close = window_close,
};

/* Over a source that knows no holes. */
static const BlockSourceOps full_window_ops = {
    .read_at = window_read_at,
    .reader_new = window_reader_new,
    .write_at = window_write_at,
    .flush = window_flush,
    .truncate = window_truncate,
    .punch = window_punch,
    .state = window_state,
    .close = window_close,
};

BlockSource *block_source_new_window(BlockSource *whole, uint64_t start, uint64_t size)
{
    WindowSource *w = g_new(WindowSource, 1);
    bool to_end = size == BLOCK_WINDOW_TO_END;

    assert(start <= whole->length && (to_end || size <= whole->length - start));
    *w = (WindowSource){
        .base = {.ops = whole->ops->next_data ? &window_ops : &full_window_ops,
                 .length = to_end ? whole->length - start : size,
                 .writable = whole->writable,
                 .fixed_length = !to_end || whole->fixed_length,
                 .alignment = start % MAX(whole->alignment, 1) ? 0 : whole->alignment},
        .whole = whole,
        .start = start,
    };
    return &w->base;
}
