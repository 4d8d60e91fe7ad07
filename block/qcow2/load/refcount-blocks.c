/*
 * Stored reference counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/refcount-blocks.h"

#include <errno.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

typedef struct RefcountBlock {
    uint64_t offset;
    int error; /* positive errno value: nothing is known of its counts */
    size_t n_pieces;
    Counters pieces[];
} RefcountBlock;

struct Qcow2StoredCounts {
    unsigned order;      /* log2 of the bits of a count */
    unsigned block_bits; /* log2 of the counts in a block */
    unsigned piece_bits; /* log2 of the counts in a piece */
    size_t n;
    RefcountBlock **blocks; /* by index in the refcount table; NULL = no block, all counts are 0 */
    uint64_t *present;      /* the first cluster of each of the others, ascending */
    size_t n_present;
    GPtrArray *distinct;               /* RefcountBlock, sorted by offset; owns them */
    const Qcow2RefcountEntries *table; /* borrowed */
    uint64_t cluster_size;
};

/* What clusters without a block have. */
static const Counters no_counts;

/* In place of the blocks that an unread part of the table may name. */
static RefcountBlock block_unread = {.error = EIO};

/* After reading @table as a whole gave @error: what of it can be read. False when memory is short. */
static bool read_table_in_pieces(BlockSource *source, uint64_t offset, int error, Qcow2RefcountEntries *table)
{
    table->unread = g_try_new0(bool, DIV_ROUND_UP(table->n, QCOW2_REFTABLE_PIECE));
    if (!table->unread) {
        return false;
    }
    for (size_t i = 0; i < table->n; i += QCOW2_REFTABLE_PIECE) {
        size_t size = MIN(table->n - i, QCOW2_REFTABLE_PIECE) * 8;

        if (block_source_read(source, table->entries + i, size, offset + i * 8)) {
            memset(table->entries + i, 0, size);
            table->unread[i / QCOW2_REFTABLE_PIECE] = true;
            table->error = error;
        }
    }
    return true;
}

int qcow2_read_refcount_table(BlockSource *source, const Qcow2HeaderFields *h, Qcow2RefcountEntries *table)
{
    uint64_t claimed = (uint64_t)h->refcount_table_clusters << h->cluster_bits;
    uint64_t held = h->refcount_table_offset < source->length ? source->length - h->refcount_table_offset : 0;
    int error;

    *table = (Qcow2RefcountEntries){0};
    if (h->refcount_table_offset + claimed > BLOCK_SOURCE_MAX_LENGTH) {
        return claimed ? -EIO : 0;
    }
    table->n = DIV_ROUND_UP(MIN(claimed, held), 8);
    table->entries = g_try_new(uint64_t, table->n);
    if (table->n && !table->entries) {
        return -ENOMEM;
    }
    error = table->n ? block_source_read(source, table->entries, table->n * 8, h->refcount_table_offset) : 0;
    if (error && !read_table_in_pieces(source, h->refcount_table_offset, -error, table)) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < table->n; i++) {
        table->entries[i] = GUINT64_FROM_BE(table->entries[i]);
    }
    return 0;
}

void qcow2_refcount_table_clear(Qcow2RefcountEntries *table)
{
    g_clear_pointer(&table->entries, g_free);
    g_clear_pointer(&table->unread, g_free);
    *table = (Qcow2RefcountEntries){0};
}

static void free_block(gpointer opaque)
{
    RefcountBlock *block = opaque;

    for (size_t i = 0; i < block->n_pieces; i++) {
        counters_clear(&block->pieces[i]);
    }
    g_free(block);
}

/* Counts of more than a byte. */
static bool unpack_wide(Counters *piece, const uint8_t *bytes, unsigned order, size_t n)
{
    g_autofree uint64_t *counts = g_try_new(uint64_t, n);

    if (!counts) {
        return false;
    }
    qcow2_unpack_refcounts(bytes, order, 0, n, counts);
    return counters_set(piece, n, counts, sizeof(*counts));
}

static bool unpack_piece(Counters *piece, const uint8_t *bytes, unsigned order, size_t n)
{
    uint8_t narrow[COUNTERS_PER_PIECE];
    uint64_t count;

    if (qcow2_refcounts_all_equal(bytes, (n << order) / 8, order, &count)) {
        piece->value = count;
        return true;
    }
    if (qcow2_unpack_narrow_refcounts(bytes, order, n, narrow)) {
        return counters_set(piece, n, narrow, sizeof(*narrow));
    }
    return unpack_wide(piece, bytes, order, n);
}

static bool load_block(void *opaque, size_t i, const uint8_t *bytes, int error)
{
    Qcow2StoredCounts *s = opaque;
    RefcountBlock *block = g_ptr_array_index(s->distinct, i);
    size_t counts = (size_t)1 << s->piece_bits;

    block->error = -error;
    for (size_t k = 0; bytes && !error && k < block->n_pieces; k++) {
        if (!unpack_piece(&block->pieces[k], bytes + k * ((counts << s->order) / 8), s->order, counts)) {
            return false;
        }
    }
    return true;
}

static RefcountBlock *new_block(const Qcow2StoredCounts *s, uint64_t offset)
{
    size_t n_pieces = (size_t)1 << (s->block_bits - s->piece_bits);
    RefcountBlock *block = g_try_malloc0(sizeof(*block) + n_pieces * sizeof(Counters));

    if (block) {
        block->offset = offset;
        block->n_pieces = n_pieces;
    }
    return block;
}

/* Finds the distinct blocks of @table; false when memory is short. */
static bool collect_blocks(Qcow2StoredCounts *s, const Qcow2RefcountEntries *table)
{
    g_autoptr(GHashTable) by_offset = g_hash_table_new(hash_u64, g_int64_equal);

    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK;
        RefcountBlock *block;

        if (!offset) {
            s->blocks[i] = qcow2_refcount_entry_unread(table, i) ? &block_unread : NULL;
            continue;
        }
        block = g_hash_table_lookup(by_offset, &offset);
        if (!block) {
            block = new_block(s, offset);
            if (!block) {
                return false;
            }
            g_hash_table_insert(by_offset, &block->offset, block);
            g_ptr_array_add(s->distinct, block);
        }
        s->blocks[i] = block;
    }
    return true;
}

/* Lists which blocks there are; false when memory is short. */
static bool list_present(Qcow2StoredCounts *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        s->n_present += s->blocks[i] != NULL;
    }
    s->present = g_try_new(uint64_t, s->n_present);
    if (s->n_present && !s->present) {
        return false;
    }
    for (size_t i = 0; n < s->n_present; i++) {
        if (s->blocks[i]) {
            s->present[n++] = (uint64_t)i << s->block_bits;
        }
    }
    return true;
}

static int compare_blocks(const void *a, const void *b)
{
    const RefcountBlock *x = *(RefcountBlock *const *)a, *y = *(RefcountBlock *const *)b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static BlockRange block_range(const void *opaque, size_t i)
{
    const Qcow2StoredCounts *s = opaque;
    const RefcountBlock *block = g_ptr_array_index(s->distinct, i);

    return (BlockRange){.offset = block->offset, .size = (1u << s->block_bits << s->order) / 8};
}

/* Unaligned blocks are not read: nothing is known of their counts (docs/interop/check-behaviour.rst 4.1). */
static void set_unaligned_aside(Qcow2StoredCounts *s, GPtrArray *aside, uint64_t cluster_size)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->distinct->len; i++) {
        RefcountBlock *block = g_ptr_array_index(s->distinct, i);

        if (block->offset % cluster_size) {
            block->error = EIO;
            g_ptr_array_add(aside, block);
        } else {
            s->distinct->pdata[kept++] = block;
        }
    }
    s->distinct->len = (guint)kept;
}

static bool load_blocks(Qcow2StoredCounts *s, BlockSource *source, const BlockReadOptions *options)
{
    BlockPrefetch prefetch = {
        .source = source,
        .options = *options,
        .n = s->distinct->len,
        .range = block_range,
        .examine = load_block,
        .opaque = s, /* each block is its own: workers share nothing that they write */
    };

    return block_prefetch(&prefetch);
}

Qcow2StoredCounts *qcow2_stored_counts_load(BlockSource *source, const Qcow2HeaderFields *h,
                                            const Qcow2RefcountEntries *table, const BlockReadOptions *options,
                                            GError **errp)
{
    g_autoptr(Qcow2StoredCounts) s = g_new0(Qcow2StoredCounts, 1);
    g_autoptr(GPtrArray) unaligned = g_ptr_array_new();
    bool ok;

    s->order = h->refcount_order;
    s->block_bits = qcow2_refblock_bits(h);
    s->piece_bits = MIN(s->block_bits, COUNTERS_PER_PIECE_BITS);
    s->n = table->n;
    s->table = table;
    s->cluster_size = h->cluster_size;
    s->blocks = g_try_new0(RefcountBlock *, table->n);
    s->distinct = g_ptr_array_new_with_free_func(free_block);
    ok = (s->blocks || !s->n) && collect_blocks(s, table) && list_present(s);
    g_ptr_array_sort(s->distinct, compare_blocks);
    set_unaligned_aside(s, unaligned, h->cluster_size);
    ok = ok && load_blocks(s, source, options);
    g_ptr_array_extend_and_steal(s->distinct, g_steal_pointer(&unaligned));
    if (!ok) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for the reference counts");
        return NULL;
    }
    return g_steal_pointer(&s);
}

void qcow2_stored_counts_free(Qcow2StoredCounts *s)
{
    if (s) {
        g_free(s->blocks);
        g_free(s->present);
        g_clear_pointer(&s->distinct, g_ptr_array_unref);
        g_free(s);
    }
}

unsigned qcow2_stored_counts_piece_bits(const Qcow2StoredCounts *s)
{
    return s->piece_bits;
}

static const RefcountBlock *block_of(const Qcow2StoredCounts *s, uint64_t cluster)
{
    uint64_t index = cluster >> s->block_bits;

    return index < s->n ? s->blocks[index] : NULL;
}

const Counters *qcow2_stored_counts_piece(const Qcow2StoredCounts *s, uint64_t cluster)
{
    const RefcountBlock *block = block_of(s, cluster);

    if (!block) {
        return &no_counts;
    }
    return block->error ? NULL : &block->pieces[cluster >> s->piece_bits & (block->n_pieces - 1)];
}

uint64_t qcow2_stored_counts_next(const Qcow2StoredCounts *s, uint64_t cluster)
{
    size_t next;

    if (block_of(s, cluster)) {
        return cluster;
    }
    next = first_not_below(s->present, s->n_present, sizeof(*s->present), 0, cluster);
    return next < s->n_present ? s->present[next] : UINT64_MAX;
}

bool qcow2_stored_count(const Qcow2StoredCounts *s, uint64_t cluster, uint64_t *count)
{
    const Counters *piece = qcow2_stored_counts_piece(s, cluster);

    if (!piece) {
        return false;
    }
    *count = counters_get(piece, cluster & ((UINT64_C(1) << s->piece_bits) - 1));
    return true;
}

bool qcow2_stored_counts_unaligned(const Qcow2StoredCounts *s, uint64_t cluster, uint64_t *index, uint64_t *offset)
{
    *index = cluster >> s->block_bits;
    *offset = *index < s->n ? s->table->entries[*index] & QCOW2_REFTABLE_OFFSET_MASK : 0;
    return *offset % s->cluster_size;
}

bool qcow2_stored_counts_block_unknown(const Qcow2StoredCounts *s, uint64_t cluster)
{
    return block_of(s, cluster) == &block_unread;
}

int qcow2_stored_counts_error(const Qcow2StoredCounts *s, uint64_t cluster)
{
    const RefcountBlock *block = block_of(s, cluster);

    return block ? block->error : 0;
}

/* The first i in [i, end) for which (counter == 1) is not @copied, or @end. */
static size_t piece_copied_mismatch(const Counters *piece, size_t i, size_t end, bool copied)
{
    while (i < end && (counters_get(piece, i) == 1) == copied) {
        i += counters_stretch(piece, i, end);
    }
    return i;
}

bool qcow2_stored_counts_stretch(const Qcow2StoredCounts *s, uint64_t cluster, uint64_t *count, uint64_t *n)
{
    size_t size = (size_t)1 << s->piece_bits, at = cluster & (size - 1);
    const Counters *piece = qcow2_stored_counts_piece(s, cluster);

    *n = piece ? counters_stretch(piece, at, size) : size - at;
    *count = piece ? counters_get(piece, at) : 0;
    return piece;
}

uint64_t qcow2_stored_counts_copied_mismatch(const Qcow2StoredCounts *s, uint64_t first, uint64_t n, bool copied)
{
    uint64_t size = UINT64_C(1) << s->piece_bits;

    for (uint64_t done = 0; done < n;) {
        const Counters *piece = qcow2_stored_counts_piece(s, first + done);
        size_t from = (first + done) & (size - 1);
        size_t to = MIN(size, from + (n - done));

        if (piece) {
            size_t bad = piece_copied_mismatch(piece, from, to, copied);

            if (bad < to) {
                return done + (bad - from);
            }
        }
        done += to - from;
    }
    return n;
}
