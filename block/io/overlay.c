/*
 * A source over another one, which keeps what is written in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/overlay.h"

#include <errno.h>
#include <string.h>

#include "util/search.h"

#define PAGE 4096u /* bytes that are kept together */

typedef struct Overlay {
    BlockSource source;
    BlockSource *base;
    uint64_t base_end; /* from here on nothing of it is seen: it was cut off once */
    uint64_t limit;    /* bytes that may be kept */
    GTree *pages;      /* offset of a page, owned by it -> Page */
    GArray *copies;    /* Copy, in the order of the file; what has a page is in the page */
} Overlay;

/* Bytes that are not kept, as the source below has them elsewhere. */
typedef struct Copy {
    uint64_t offset, end;
    uint64_t from; /* in the source below */
} Copy;

typedef struct Page {
    uint64_t offset;
    uint8_t bytes[PAGE];
} Page;

static gint compare_offsets(gconstpointer a, gconstpointer b, gpointer unused)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The first page that has bytes at or behind @offset; NULL where there is none. */
static Page *page_from(const Overlay *o, uint64_t offset)
{
    uint64_t start = offset / PAGE * PAGE;
    GTreeNode *node = g_tree_lower_bound(o->pages, &start);

    return node ? g_tree_node_value(node) : NULL;
}

/* The first copy that has bytes at or behind @offset; NULL where there is none. */
static Copy *copy_from(const Overlay *o, uint64_t offset)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(o->copies, Copy, end, offset + 1);

    return i < o->copies->len ? &g_array_index(o->copies, Copy, i) : NULL;
}

static int read_base(const Overlay *o, uint8_t *to, size_t size, uint64_t offset)
{
    size_t seen = offset < o->base_end ? MIN(size, o->base_end - offset) : 0;

    memset(to + seen, 0, size - seen);
    return seen ? block_source_read(o->base, to, seen, offset) : 0;
}

/* What is there where no page is. */
static int read_below(const Overlay *o, uint8_t *to, size_t size, uint64_t offset)
{
    int failure = 0;

    while (size && !failure) {
        const Copy *copy = copy_from(o, offset);
        bool copied = copy && copy->offset <= offset;
        size_t n = copy ? MIN(size, (copied ? copy->end : copy->offset) - offset) : size;

        failure = copied ? block_source_read(o->base, to, n, copy->from + (offset - copy->offset))
                         : read_base(o, to, n, offset);
        to += n;
        offset += n;
        size -= n;
    }
    return failure;
}

static ssize_t overlay_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    Overlay *o = (Overlay *)source;
    const Page *page = page_from(o, offset);
    uint64_t in_page = offset % PAGE;
    int failure;

    if (page && page->offset <= offset) {
        size = MIN(size, PAGE - in_page);
        memcpy(buffer, page->bytes + in_page, size);
        return size;
    }
    size = page ? MIN(size, page->offset - offset) : size;
    failure = read_below(o, buffer, size, offset);
    if (failure && g_atomic_int_get(&o->base->lost)) {
        g_atomic_int_set(&source->lost, true);
    }
    return failure ? failure : (ssize_t)size;
}

static uint64_t overlay_next_data(BlockSource *source, uint64_t offset)
{
    const Overlay *o = (const Overlay *)source;
    uint64_t data = offset < o->base_end ? o->base->ops->next_data(o->base, offset) : source->length;
    const Page *page = page_from(o, offset);
    const Copy *copy = copy_from(o, offset);

    data = data < o->base_end ? data : source->length;
    data = copy ? MIN(data, MAX(copy->offset, offset)) : data;
    return MIN(page ? MIN(data, MAX(page->offset, offset)) : data, source->length);
}

static uint64_t overlay_next_hole(BlockSource *source, uint64_t offset)
{
    const Overlay *o = (const Overlay *)source;

    while (offset < source->length) {
        const Page *page = page_from(o, offset);
        const Copy *copy = copy_from(o, offset);
        uint64_t hole;

        if (page && page->offset <= offset) {
            offset = page->offset + PAGE;
            continue;
        }
        if (copy && copy->offset <= offset) {
            offset = copy->end;
            continue;
        }
        hole = offset < o->base_end ? MIN(o->base->ops->next_hole(o->base, offset), o->base_end) : offset;
        if (hole == offset) {
            return offset;
        }
        offset = hole;
    }
    return source->length;
}

/* The page with @offset, with what is there now. */
static int make_page(Overlay *o, uint64_t offset, Page **made)
{
    Page *page = page_from(o, offset);
    int failure;

    if (!page || page->offset > offset) {
        if ((g_tree_nnodes(o->pages) + UINT64_C(1)) * PAGE > o->limit || !(page = g_try_new(Page, 1))) {
            return -ENOMEM;
        }
        page->offset = offset / PAGE * PAGE;
        failure = read_below(o, page->bytes, PAGE, page->offset);
        if (failure) {
            g_free(page);
            return failure;
        }
        g_tree_insert(o->pages, &page->offset, page);
    }
    *made = page;
    return 0;
}

static ssize_t overlay_write_at(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    Overlay *o = (Overlay *)source;
    size_t n = MIN(size, PAGE - offset % PAGE);
    Page *page;
    int failure;

    if (source->fixed_length && offset + n > source->length) {
        return -ENOSPC;
    }
    failure = make_page(o, offset, &page);
    if (failure) {
        return failure;
    }
    memcpy(page->bytes + offset % PAGE, buffer, n);
    source->length = MAX(source->length, offset + n);
    return n;
}

/* True where nothing from @offset to @end has been written or copied. */
static bool is_untouched(const Overlay *o, uint64_t offset, uint64_t end)
{
    const Page *page = page_from(o, offset);
    const Copy *copy = copy_from(o, offset);

    return !(page && page->offset < end) && !(copy && copy->offset < end);
}

/* Of bytes that are as the source below has them; and copies come in the order of the file. */
static int overlay_copy(BlockSource *source, uint64_t from, uint64_t offset, uint64_t size)
{
    Overlay *o = (Overlay *)source;
    Copy copy = {offset, offset + size, from};

    if (source->fixed_length && copy.end > source->length) {
        return -ENOSPC;
    }
    if (copy_from(o, offset) || from + size > o->base_end || !is_untouched(o, offset, copy.end) ||
        !is_untouched(o, from, from + size)) {
        return -EOPNOTSUPP;
    }
    g_array_append_val(o->copies, copy);
    return 0;
}

static void cut_copies(Overlay *o, uint64_t length)
{
    Copy *copy = copy_from(o, length);

    if (copy && copy->offset < length) {
        copy->end = length;
        copy++;
    }
    if (copy) {
        g_array_set_size(o->copies, copy - (Copy *)(void *)o->copies->data);
    }
}

static int overlay_truncate(BlockSource *source, uint64_t length)
{
    Overlay *o = (Overlay *)source;
    uint64_t next;

    if (source->fixed_length) {
        return -ENOTSUP;
    }
    for (Page *page = page_from(o, length); page; page = page_from(o, next)) {
        next = page->offset + PAGE;
        if (page->offset < length) {
            memset(page->bytes + length % PAGE, 0, PAGE - length % PAGE);
        } else {
            g_tree_remove(o->pages, &page->offset);
        }
    }
    cut_copies(o, length);
    o->base_end = MIN(o->base_end, length);
    source->length = length;
    return 0;
}

static int overlay_flush(BlockSource *source)
{
    return 0;
}

static void overlay_close(BlockSource *source)
{
    g_tree_unref(((Overlay *)source)->pages);
    g_array_unref(((Overlay *)source)->copies);
    g_free(source);
}

static const BlockSourceOps overlay_ops = {
    .read_at = overlay_read_at,
    .write_at = overlay_write_at,
    .copy = overlay_copy,
    .flush = overlay_flush,
    .truncate = overlay_truncate,
    .close = overlay_close,
};

/* Over a source that knows of holes. */
static const BlockSourceOps overlay_holes_ops = {
    .read_at = overlay_read_at,
    .next_data = overlay_next_data,
    .next_hole = overlay_next_hole,
    .write_at = overlay_write_at,
    .copy = overlay_copy,
    .flush = overlay_flush,
    .truncate = overlay_truncate,
    .close = overlay_close,
};

BlockSource *block_source_new_overlay(BlockSource *base, uint64_t limit)
{
    Overlay *o = g_new(Overlay, 1);

    *o = (Overlay){
        .source = {.ops = base->ops->next_data ? &overlay_holes_ops : &overlay_ops,
                   .length = base->length,
                   .writable = true,
                   .fixed_length = base->fixed_length},
        .base = base,
        .base_end = base->length,
        .limit = limit,
        .pages = g_tree_new_full(compare_offsets, NULL, NULL, g_free),
        .copies = g_array_new(FALSE, FALSE, sizeof(Copy)),
    };
    return &o->source;
}
