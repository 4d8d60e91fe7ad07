/*
 * The view of a source with edits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/edited.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "util/search.h"

/* The range of an edit. */
typedef struct Span {
    uint64_t offset, end;
    uint64_t reach; /* the greatest end of this one and those before */
    uint64_t index; /* of the edit */
} Span;

typedef struct EditedSource {
    BlockSource source;
    BlockSource *base;
    const Edits *edits;
    GArray *spans; /* Span, sorted by offset */
} EditedSource;

static const Span *span_at(const EditedSource *e, guint i)
{
    return &g_array_index(e->spans, Span, i);
}

/* The first span that may have bytes at or behind @offset. */
static guint first_span(const EditedSource *e, uint64_t offset)
{
    return ARRAY_FIRST_NOT_BELOW(e->spans, Span, reach, offset + 1);
}

/* The spans of the edits before edit @limit that write to [@offset, @end), in their order; NULL where there are none.
 */
static GArray *edits_in(const EditedSource *e, size_t limit, uint64_t offset, uint64_t end)
{
    GArray *found = NULL;

    for (guint i = first_span(e, offset); i < e->spans->len && span_at(e, i)->offset < end; i++) {
        if (span_at(e, i)->end > offset && span_at(e, i)->index < limit) {
            found = found ? found : g_array_new(FALSE, FALSE, sizeof(Span));
            g_array_append_vals(found, span_at(e, i), 1);
        }
    }
    if (found) {
        ARRAY_SORT(found, Span, index);
    }
    return found;
}

static int read_before(const EditedSource *e, size_t limit, uint8_t *to, size_t size, uint64_t offset);

/* Makes edit @i in the @size bytes at @to, which are those at @offset as the edits before have left them. */
static int lay_over(const EditedSource *e, size_t i, uint8_t *to, size_t size, uint64_t offset)
{
    const Edit *edit = edits_at(e->edits, i);
    uint64_t first = MAX(offset, edit->offset), end = MIN(offset + size, edit->offset + edit->size);
    g_autofree uint8_t *whole = NULL;
    int failure;

    if (edit->bytes) {
        memcpy(to + (first - offset), edit->bytes + (first - edit->offset), end - first);
        return 0;
    }
    assert(first < end);
    if (edit->copies) {
        return read_before(e, i, to + (first - offset), end - first, edit->from + (first - edit->offset));
    }
    if (end - first == edit->size) {
        return edit->change(edit, to + (first - offset)) ? 0 : -ENOMEM;
    }
    whole = g_try_malloc(edit->size);
    failure = whole ? read_before(e, i, whole, edit->size, edit->offset) : -ENOMEM;
    if (!failure && !edit->change(edit, whole)) {
        failure = -ENOMEM;
    }
    if (!failure) {
        memcpy(to + (first - offset), whole + (first - edit->offset), end - first);
    }
    return failure;
}

/* Reads what there is when the edits before edit @limit have been made. */
static int read_before(const EditedSource *e, size_t limit, uint8_t *to, size_t size, uint64_t offset)
{
    g_autoptr(GArray) spans = edits_in(e, limit, offset, offset + size);
    int failure = block_source_read(e->base, to, size, offset);

    for (guint i = 0; spans && !failure && i < spans->len; i++) {
        failure = lay_over(e, g_array_index(spans, Span, i).index, to, size, offset);
    }
    return failure;
}

static ssize_t edited_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    const EditedSource *e = (const EditedSource *)source;
    int failure = read_before(e, SIZE_MAX, buffer, size, offset);

    if (failure && g_atomic_int_get(&e->base->lost)) {
        g_atomic_int_set(&source->lost, true);
    }
    return failure ? failure : (ssize_t)size;
}

/* The end of the row of edits that @offset is in, or @offset. */
static uint64_t skip_edits(const EditedSource *e, uint64_t offset)
{
    for (guint i = first_span(e, offset); i < e->spans->len && span_at(e, i)->offset <= offset; i++) {
        offset = MAX(offset, span_at(e, i)->end);
    }
    return offset;
}

static uint64_t edited_next_data(BlockSource *source, uint64_t offset)
{
    const EditedSource *e = (const EditedSource *)source;
    uint64_t data = offset < e->base->length ? e->base->ops->next_data(e->base, offset) : source->length;

    data = data < e->base->length ? data : source->length;
    for (guint i = first_span(e, offset); i < e->spans->len && span_at(e, i)->offset < data; i++) {
        if (span_at(e, i)->end > offset) {
            return MAX(span_at(e, i)->offset, offset);
        }
    }
    return data;
}

static uint64_t edited_next_hole(BlockSource *source, uint64_t offset)
{
    const EditedSource *e = (const EditedSource *)source;

    while (offset < source->length) {
        uint64_t end = skip_edits(e, offset), hole = end;

        if (end < e->base->length) {
            hole = MIN(e->base->ops->next_hole(e->base, end), e->base->length);
        }
        if (hole == offset) {
            return offset;
        }
        offset = hole;
    }
    return source->length;
}

static void edited_close(BlockSource *source)
{
    g_array_unref(((EditedSource *)source)->spans);
    g_free(source);
}

static const BlockSourceOps edited_ops = {
    .read_at = edited_read_at,
    .close = edited_close,
};

/* Over a source that knows of holes. */
static const BlockSourceOps edited_holes_ops = {
    .read_at = edited_read_at,
    .next_data = edited_next_data,
    .next_hole = edited_next_hole,
    .close = edited_close,
};

static GArray *spans_of(const Edits *edits)
{
    GArray *spans = g_array_new(FALSE, FALSE, sizeof(Span));
    uint64_t reach = 0;

    for (size_t i = 0; i < edits_n(edits); i++) {
        const Edit *edit = edits_at(edits, i);
        Span span = {.offset = edit->offset, .end = edit->offset + edit->size, .index = i};

        g_array_append_val(spans, span);
    }
    ARRAY_SORT(spans, Span, offset);
    for (guint i = 0; i < spans->len; i++) {
        Span *span = &g_array_index(spans, Span, i);

        span->reach = reach = MAX(reach, span->end);
        assert(i == 0 || span->offset >= span[-1].offset);
    }
    return spans;
}

/* Where edit @i, which goes beyond the end of the file, ends what it writes: a change writes what differs only. */
static uint64_t written_end(const EditedSource *e, size_t i)
{
    const Edit *edit = edits_at(e->edits, i);
    g_autofree uint8_t *before = g_try_malloc(edit->size), *after = g_try_malloc(edit->size);
    uint64_t written = 0;

    if (!edit->change || !before || !after || read_before(e, i, before, edit->size, edit->offset) ||
        read_before(e, i + 1, after, edit->size, edit->offset)) {
        return edit->offset + edit->size; /* what cannot be read is not changed either: the repair fails there */
    }
    for (uint64_t at = 0, end; edit_next_difference(before, after, edit->size, &at, &end); at = end) {
        written = end;
    }
    return written ? edit->offset + written : 0;
}

/* The length of the file with the edits made. */
static uint64_t edited_length(const EditedSource *e)
{
    uint64_t length = e->base->length;

    for (size_t i = 0; i < edits_n(e->edits); i++) {
        const Edit *edit = edits_at(e->edits, i);

        if (edit->offset + edit->size > length) {
            length = MAX(length, written_end(e, i));
        }
    }
    return length;
}

BlockSource *block_source_new_edited(BlockSource *base, const Edits *edits)
{
    EditedSource *e = g_new0(EditedSource, 1);

    *e = (EditedSource){
        .source = {.ops = base->ops->next_data ? &edited_holes_ops : &edited_ops, .fixed_length = base->fixed_length},
        .base = base,
        .edits = edits,
        .spans = spans_of(edits),
    };
    e->source.length = edited_length(e);
    return &e->source;
}

int block_source_edited_bytes(BlockSource *view, size_t i, uint8_t *before, uint8_t *after)
{
    const EditedSource *e = (const EditedSource *)view;
    const Edit *edit = edits_at(e->edits, i);
    int failure = before ? read_before(e, i, before, edit->size, edit->offset) : 0;

    if (!failure && after) {
        failure = read_before(e, i + 1, after, edit->size, edit->offset);
    }
    return failure;
}
