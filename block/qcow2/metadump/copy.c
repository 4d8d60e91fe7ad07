/*
 * Copying the metadata of an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/metadump/copy.h"

#include <errno.h>
#include <string.h>

#include "block/io/prefetch.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/inspect/plausible.h"
#include "block/qcow2/metadump/lost-tables.h"
#include "block/qcow2/metadump/names.h"
#include "util/number.h"
#include "util/search.h"
#include "util/zeros.h"

/*
 * Returns true if one of the clusters of @size bytes at @offset has more references than @own, all of them being
 * counted but those to refcount blocks.
 */
static bool is_shared(const Qcow2Copy *copy, uint64_t offset, uint64_t size, uint64_t own)
{
    const Qcow2Check *c = copy->check;
    unsigned bits = c->image->header.cluster_bits;
    uint64_t end = MIN(DIV_ROUND_UP(offset + size, UINT64_C(1) << bits), refmap_clusters(c->counting.refs));

    for (uint64_t cluster = offset >> bits; cluster < end; cluster++) {
        if (refmap_get(c->counting.refs, cluster) > own) {
            return true;
        }
    }
    return false;
}

/* ---- L2 tables: shown once more when all is counted ---- */

/* The table without its implausible entries; NULL if it has none. */
static uint8_t *without_implausible(const Qcow2Copy *copy, const uint8_t *bytes)
{
    const Qcow2HeaderFields *h = &copy->check->image->header;
    uint64_t length = copy->check->image->source->length;
    uint8_t *cleaned = NULL;

    for (size_t at = 0; at < h->cluster_size; at += qcow2_l2_entry_size(h)) {
        if (qcow2_implausible_l2_entry(load_be64(bytes + at), h, length)) {
            cleaned = cleaned ? cleaned : g_memdup2(bytes, h->cluster_size);
            memset(cleaned + at, 0, qcow2_l2_entry_size(h));
        }
    }
    return cleaned;
}

static bool copy_cleaned_l2_table(Qcow2Copy *copy, uint64_t offset, const uint8_t *bytes)
{
    size_t size = copy->check->image->header.cluster_size;
    g_autofree uint8_t *cleaned = without_implausible(copy, bytes);

    if (cleaned) {
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_L2, offset, size, QCOW2_COPY_ALIEN);
    }
    return qcow2_copy_bytes(copy, offset, cleaned ? cleaned : bytes, size);
}

static bool copy_l2_table(void *opaque, unsigned worker, const Qcow2TableRef *table, const uint8_t *bytes,
                          const Qcow2L2Result *contents)
{
    Qcow2Copy *copy = opaque;
    const Qcow2HeaderFields *h = &copy->check->image->header;
    bool shared = is_shared(copy, table->offset, h->cluster_size, table->weight);

    if (!qcow2_plausible_l2_table(bytes, h, copy->check->image->source->length, shared)) {
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_L2, table->offset, h->cluster_size, QCOW2_COPY_IMPLAUSIBLE);
        return true;
    }
    return copy_cleaned_l2_table(copy, table->offset, bytes);
}

static void omit_unreadable_l2_tables(Qcow2Copy *copy)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(copy->check->walk, &n);

    for (size_t i = 0; i < n; i++) {
        int error = qcow2_walk_table_error(copy->check->walk, tables[i].offset);

        if (error) {
            qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_L2, tables[i].offset, copy->check->image->header.cluster_size,
                            g_strerror(error));
        }
    }
}

/* ---- tables of 8-byte entries, which are held ---- */

typedef struct EntryKind {
    ImageCheckStructure structure;
    uint64_t reserved;
    uint64_t offset_mask;
} EntryKind;

static const EntryKind l1_entries = {IMAGE_CHECK_STRUCTURE_L1, QCOW2_L1_RESERVED, QCOW2_OFFSET_MASK};
static const EntryKind bitmap_entries = {IMAGE_CHECK_STRUCTURE_BITMAP_TABLE, QCOW2_BITMAP_TABLE_RESERVED,
                                         QCOW2_OFFSET_MASK};
static const EntryKind refcount_entries = {IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE, QCOW2_REFTABLE_RESERVED,
                                           QCOW2_REFTABLE_OFFSET_MASK};

#define ENTRIES_AT_ONCE 512

/* Copies @n entries that are a part of as many tables as @weight says. */
static bool copy_entries(Qcow2Copy *copy, const EntryKind *kind, uint64_t offset, const uint64_t *entries, uint64_t n,
                         uint64_t weight)
{
    const Qcow2Image *image = copy->check->image;
    uint64_t stored[ENTRIES_AT_ONCE];
    bool has_implausible = false;

    if (!qcow2_plausible_table(entries, n, kind->reserved, kind->offset_mask, &image->header, image->source->length,
                               is_shared(copy, offset, n * 8, weight))) {
        qcow2_copy_omit(copy, kind->structure, offset, n * 8, QCOW2_COPY_IMPLAUSIBLE);
        return true;
    }
    for (uint64_t done = 0; done < n;) {
        uint64_t part = MIN(n - done, G_N_ELEMENTS(stored));

        for (uint64_t i = 0; i < part; i++) {
            bool implausible = qcow2_implausible_entry(entries[done + i], kind->reserved);

            has_implausible |= implausible;
            stored[i] = implausible ? 0 : GUINT64_TO_BE(entries[done + i]);
        }
        if (!qcow2_copy_bytes(copy, offset + done * 8, (const uint8_t *)stored, part * 8)) {
            return false;
        }
        done += part;
    }
    if (has_implausible) {
        qcow2_copy_omit(copy, kind->structure, offset, n * 8, QCOW2_COPY_ALIEN);
    }
    return true;
}

static bool copy_tables(Qcow2Copy *copy, const EntryKind *kind, const Qcow2Tables *tables)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(tables, &n_spans);

    for (size_t i = 0; i < n_spans; i++) {
        const Qcow2TableSpan *s = &spans[i];

        if (s->error) {
            qcow2_copy_omit(copy, kind->structure, s->offset, s->n * 8, g_strerror(-s->error));
        } else if (s->slots && !copy_entries(copy, kind, s->offset, s->slots, s->n, s->weight)) {
            return false;
        }
    }
    return true;
}

/* ---- reference counts ---- */

typedef struct BlockRef {
    uint64_t offset;
    uint64_t index; /* the first entry of the table that names it */
} BlockRef;

/* The distinct blocks, sorted: entries of a hostile table may all name the same. */
static GArray *distinct_blocks(const Qcow2RefcountEntries *table)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(BlockRef));
    guint kept = 0;

    for (size_t i = 0; i < table->n; i++) {
        BlockRef block = {.offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK, .index = i};

        if (block.offset) {
            g_array_append_val(blocks, block);
        }
    }
    ARRAY_SORT(blocks, BlockRef, offset);
    for (guint i = 0; i < blocks->len; i++) {
        BlockRef block = g_array_index(blocks, BlockRef, i);

        if (kept == 0 || g_array_index(blocks, BlockRef, kept - 1).offset != block.offset) {
            g_array_index(blocks, BlockRef, kept++) = block;
        }
    }
    g_array_set_size(blocks, kept);
    return blocks;
}

/* Blocks being read. */
typedef struct BlockCopy {
    Qcow2Copy *copy;
    const GArray *blocks;
} BlockCopy;

static BlockRange block_range(const void *opaque, size_t i)
{
    const BlockCopy *b = opaque;

    return (BlockRange){.offset = g_array_index(b->blocks, BlockRef, i).offset,
                        .size = (uint32_t)b->copy->check->image->header.cluster_size};
}

static bool copy_block(void *state, size_t i, const uint8_t *bytes, int error)
{
    const BlockCopy *b = state;
    const BlockRef *block = &g_array_index(b->blocks, BlockRef, i);
    const Qcow2Check *check = b->copy->check;
    const Qcow2HeaderFields *h = &check->image->header;

    if (error) {
        qcow2_copy_omit(b->copy, IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK, block->offset, h->cluster_size,
                        g_strerror(-error));
        return true;
    }
    if (bytes &&
        !qcow2_plausible_refcount_block(bytes, h, block->index << qcow2_refblock_bits(h), check->counting.refs)) {
        qcow2_copy_omit(b->copy, IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK, block->offset, h->cluster_size,
                        QCOW2_COPY_IMPLAUSIBLE);
        return true;
    }
    return !bytes || qcow2_copy_bytes(b->copy, block->offset, bytes, h->cluster_size);
}

static bool copy_refcount_table(Qcow2Copy *copy)
{
    const Qcow2RefcountEntries *table = &copy->check->image->refcount_table;
    uint64_t offset = copy->check->image->header.refcount_table_offset;

    if (!table->error) {
        return copy_entries(copy, &refcount_entries, offset, table->entries, table->n, 1);
    }
    for (size_t i = 0; i < table->n; i += QCOW2_REFTABLE_PIECE) {
        size_t n = MIN(table->n - i, QCOW2_REFTABLE_PIECE);

        if (qcow2_refcount_entry_unread(table, i)) {
            qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE, offset + i * 8, n * 8,
                            g_strerror(table->error));
        } else if (!copy_entries(copy, &refcount_entries, offset + i * 8, table->entries + i, n, 1)) {
            return false;
        }
    }
    return true;
}

static bool copy_refcounts(Qcow2Copy *copy)
{
    const Qcow2Image *image = copy->check->image;
    const Qcow2RefcountEntries *table = &image->refcount_table;
    g_autoptr(GArray) blocks = distinct_blocks(table);
    BlockCopy state = {.copy = copy, .blocks = blocks};
    BlockPrefetch prefetch = {
        .source = image->source,
        .options = {.workers = 1}, /* there is nothing to compute */
        .n = blocks->len,
        .range = block_range,
        .examine = copy_block,
        .opaque = &state,
    };

    return copy_refcount_table(copy) && block_prefetch(&prefetch);
}

/* ---- all of it ---- */

static void omit_snapshots_not_followed(Qcow2Copy *copy)
{
    const Qcow2Check *c = copy->check;

    for (guint i = 0; i < c->snapshots.items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(c->snapshots.items, Qcow2Snapshot, i);

        if (!qcow2_snapshot_l1_valid(s, &c->image->header)) {
            qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_L1, s->l1_table_offset, UINT64_C(8) * s->l1_size,
                            "the snapshot table has an impossible place or size for it");
        }
    }
}

/* Of a LUKS header the copy has its form, so that it is not called gone or cut there; nobody can open the copy with it.
 */
static bool copy_luks_form(Qcow2Copy *copy)
{
    const Qcow2Extensions *e = &copy->check->image->extensions;
    Qcow2LuksHeader luks = copy->check->luks;

    if (!e->has_crypt_header) {
        return true;
    }
    if (luks.state == QCOW2_LUKS_UNREAD) {
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_CRYPT_HEADER, e->crypt_header_offset, e->crypt_header_length,
                        "it cannot be read");
        return true;
    }
    if (luks.state == QCOW2_LUKS_GONE) {
        if (!is_zeros(luks.bytes, sizeof(luks.bytes))) {
            qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_CRYPT_HEADER, e->crypt_header_offset, e->crypt_header_length,
                            QCOW2_COPY_IMPLAUSIBLE);
        }
        return true;
    }
    qcow2_luks_keep_form(luks.bytes);
    return qcow2_copy_bytes(copy, e->crypt_header_offset, luks.bytes, sizeof(luks.bytes));
}

/* What has names in it comes last: a damaged pointer may have had it copied, as a table, with the names. */
static bool copy_all(Qcow2Copy *copy)
{
    Qcow2Check *c = copy->check;

    omit_unreadable_l2_tables(copy);
    omit_snapshots_not_followed(copy);
    return copy_tables(copy, &l1_entries, c->regions.l1_tables) &&
           copy_tables(copy, &bitmap_entries, c->regions.bitmap_tables) && copy_refcounts(copy) &&
           qcow2_copy_lost_tables(copy) && copy_luks_form(copy) && qcow2_copy_snapshot_table(copy) &&
           qcow2_copy_bitmap_directory(copy) && qcow2_copy_header(copy);
}

bool qcow2_copy_metadata(Qcow2Image *image, const Qcow2CheckOptions *options, bool scramble_names,
                         const Qcow2CopySink *sink, GError **errp)
{
    g_auto(Qcow2Check) check = {0};
    g_autoptr(Qcow2Scrambler) scrambler = scramble_names ? qcow2_scrambler_new() : NULL;
    Qcow2Copy copy = {.check = &check, .sink = sink, .scrambler = scrambler};
    const Qcow2TableVisitor visitor = {copy_l2_table, &copy};
    bool ok;

    pthread_mutex_init(&copy.lock, NULL);
    ok = qcow2_check_count(&check, image, options, NULL, errp) && qcow2_walk_visit(check.walk, &visitor, errp) &&
         copy_all(&copy);
    pthread_mutex_destroy(&copy.lock);
    if (copy.error) {
        g_clear_error(errp); /* a sink that fails ends the walk, which then blames memory */
        g_propagate_error(errp, copy.error);
    } else if (!ok && errp && !*errp) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for copying the metadata");
    }
    return ok;
}
