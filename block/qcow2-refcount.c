/*
 * Stored reference counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-refcount.h"

#include <errno.h>
#include <string.h>

#include "block/qcow2-format.h"
#include "util/number.h"

typedef struct RefcountBlock {
    int error; /* positive errno value: nothing is known of its counts */
    size_t n_pieces;
    Counters pieces[];
} RefcountBlock;

struct Qcow2StoredCounts {
    unsigned block_bits; /* log2 of the counts in a block */
    unsigned piece_bits; /* log2 of the counts in a piece */
    size_t n;
    RefcountBlock **blocks;       /* by index in the refcount table; NULL = no block, all counts are 0 */
    GHashTable *blocks_by_offset; /* owns them; keys are offsets */
};

/* What clusters without a block have. */
static const Counters no_counts;

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
    for (size_t i = 0; !error && i < table->n; i++) {
        table->entries[i] = GUINT64_FROM_BE(table->entries[i]);
    }
    return error;
}

uint64_t qcow2_refcount_max(const Qcow2HeaderFields *h)
{
    return UINT64_MAX >> (64 - (1u << h->refcount_order));
}

unsigned qcow2_refblock_bits(const Qcow2HeaderFields *h)
{
    return h->cluster_bits + 3 - h->refcount_order;
}

/* Counts narrower than a byte, lowest bits first (spec qcow2-format 8). */
static void unpack_bits(const uint8_t *block, unsigned order, size_t first, size_t n, uint64_t *counts)
{
    unsigned width = 1u << order;
    unsigned mask = (1u << width) - 1;

    for (size_t i = 0; i < n; i++) {
        size_t bit = (first + i) << order;

        counts[i] = block[bit / 8] >> (bit % 8) & mask;
    }
}

void qcow2_unpack_refcounts(const uint8_t *block, unsigned order, size_t first, size_t n, uint64_t *counts)
{
    switch (order) {
    case 3:
        for (size_t i = 0; i < n; i++) {
            counts[i] = block[first + i];
        }
        break;
    case 4:
        for (size_t i = 0; i < n; i++) {
            counts[i] = load_be16(block + (first + i) * 2);
        }
        break;
    case 5:
        for (size_t i = 0; i < n; i++) {
            counts[i] = load_be32(block + (first + i) * 4);
        }
        break;
    case 6:
        for (size_t i = 0; i < n; i++) {
            counts[i] = load_be64(block + (first + i) * 8);
        }
        break;
    default:
        unpack_bits(block, order, first, n, counts);
    }
}

static void free_block(gpointer opaque)
{
    RefcountBlock *block = opaque;

    for (size_t i = 0; i < block->n_pieces; i++) {
        counters_clear(&block->pieces[i]);
    }
    g_free(block);
}

/* The counts in the bytes at @bytes when all are the same: found by comparing memory with itself. */
static bool all_counts_equal(const uint8_t *bytes, size_t size, unsigned order, uint64_t *count)
{
    size_t period = order > 3 ? 1u << (order - 3) : 1;

    if (memcmp(bytes, bytes + period, size - period)) {
        return false;
    }
    qcow2_unpack_refcounts(bytes, order, 0, 1, count);
    if (order < 3) {
        uint64_t others[8];

        qcow2_unpack_refcounts(bytes, order, 0, 8u >> order, others);
        for (unsigned i = 1; i < 8u >> order; i++) {
            if (others[i] != *count) {
                return false;
            }
        }
    }
    return true;
}

static bool unpack_block(RefcountBlock *block, const uint8_t *bytes, unsigned order, unsigned piece_bits,
                         uint64_t *scratch)
{
    size_t counts = (size_t)1 << piece_bits;
    size_t piece_bytes = (counts << order) / 8;

    for (size_t i = 0; i < block->n_pieces; i++) {
        if (!all_counts_equal(bytes + i * piece_bytes, piece_bytes, order, &block->pieces[i].value)) {
            block->pieces[i].value = 0;
            qcow2_unpack_refcounts(bytes, order, i * counts, counts, scratch);
            if (!counters_set(&block->pieces[i], counts, scratch)) {
                return false;
            }
        }
    }
    return true;
}

typedef struct Loader {
    BlockSource *source;
    const Qcow2HeaderFields *header;
    uint8_t *bytes;    /* one block */
    uint64_t *scratch; /* the counts of one piece */
} Loader;

/* NULL when memory is short. */
static RefcountBlock *load_block(const Qcow2StoredCounts *s, const Loader *loader, uint64_t offset)
{
    size_t n_pieces = (size_t)1 << (s->block_bits - s->piece_bits);
    RefcountBlock *block = g_try_malloc0(sizeof(*block) + n_pieces * sizeof(Counters));
    uint64_t size = loader->header->cluster_size;

    if (!block) {
        return NULL;
    }
    block->n_pieces = n_pieces;
    if (offset % size) {
        block->error = EIO;
        return block;
    }
    if (offset >= loader->source->length && offset <= BLOCK_SOURCE_MAX_LENGTH - size) {
        return block; /* beyond the end: zeros */
    }
    block->error = -block_source_read(loader->source, loader->bytes, size, offset);
    if (!block->error &&
        !unpack_block(block, loader->bytes, loader->header->refcount_order, s->piece_bits, loader->scratch)) {
        free_block(block);
        return NULL;
    }
    return block;
}

static bool load_blocks(Qcow2StoredCounts *s, const Loader *loader, const Qcow2RefcountEntries *table)
{
    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK;
        RefcountBlock *block = offset ? g_hash_table_lookup(s->blocks_by_offset, &offset) : NULL;

        if (offset && !block) {
            block = load_block(s, loader, offset);
            if (!block) {
                return false;
            }
            g_hash_table_insert(s->blocks_by_offset, g_memdup2(&offset, sizeof(offset)), block);
        }
        s->blocks[i] = block;
    }
    return true;
}

Qcow2StoredCounts *qcow2_stored_counts_load(BlockSource *source, const Qcow2HeaderFields *h,
                                            const Qcow2RefcountEntries *table, GError **errp)
{
    g_autoptr(Qcow2StoredCounts) s = g_new0(Qcow2StoredCounts, 1);
    g_autofree uint8_t *bytes = g_malloc(h->cluster_size);
    g_autofree uint64_t *scratch = g_new(uint64_t, COUNTERS_PER_PIECE);
    Loader loader = {.source = source, .header = h, .bytes = bytes, .scratch = scratch};

    s->block_bits = qcow2_refblock_bits(h);
    s->piece_bits = MIN(s->block_bits, COUNTERS_PER_PIECE_BITS);
    s->n = table->n;
    s->blocks = g_try_new0(RefcountBlock *, table->n);
    s->blocks_by_offset = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_block);
    if ((s->n && !s->blocks) || !load_blocks(s, &loader, table)) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for the reference counts");
        return NULL;
    }
    return g_steal_pointer(&s);
}

void qcow2_stored_counts_free(Qcow2StoredCounts *s)
{
    if (s) {
        g_free(s->blocks);
        g_clear_pointer(&s->blocks_by_offset, g_hash_table_destroy);
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
    uint64_t index = cluster >> s->block_bits;

    if (index < s->n && s->blocks[index]) {
        return cluster;
    }
    do {
        index++;
    } while (index < s->n && !s->blocks[index]);
    return index < s->n ? index << s->block_bits : UINT64_MAX;
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

int qcow2_stored_counts_error(const Qcow2StoredCounts *s, uint64_t cluster)
{
    const RefcountBlock *block = block_of(s, cluster);

    return block ? block->error : 0;
}

/* The first i in [i, end) for which (counter == 1) is not @copied, or @end. */
static size_t piece_copied_mismatch(const Counters *piece, size_t i, size_t end, bool copied)
{
    if (!piece->data) {
        return (piece->value == 1) == copied ? end : i;
    }
    while (i < end && (counters_get(piece, i) == 1) == copied) {
        i++;
    }
    return i;
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
