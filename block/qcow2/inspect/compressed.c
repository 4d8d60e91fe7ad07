/*
 * Verifying compressed clusters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/compressed.h"

#include <assert.h>

#include "block/io/prefetch.h"
#include "block/limits.h"
#include "block/memory-plan.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"
#include "util/zeros.h"

#define BEGINNING 16u /* bytes; no valid data has so many zeros there */

/*
 * Compressed data is known by its key: its offset in the file, and below that the number of sectors behind the first.
 * Keys are sorted as offsets are.
 */

/* What one thread has collected. */
typedef struct Collected {
    GArray *keys;
    uint64_t last; /* greater keys are not collected any more: there are LIMIT_COMPRESSED others */
} Collected;

/* Compressed data that lies side by side and is read together. */
typedef struct Group {
    uint64_t offset; /* bytes in the file */
    uint32_t size;   /* bytes, up to 2^22 */
    guint first;     /* of the keys */
    guint n;
} Group;

/* One thread that decompresses. */
typedef struct Worker {
    Qcow2CompressedVerifier *verifier;
    Decompressor *decompressor;
} Worker;

struct Qcow2CompressedVerifier {
    const Qcow2HeaderFields *header;
    const DecompressOps *ops;
    BlockSource *source;
    Qcow2UnreadableFinder *found;
    unsigned sector_bits; /* of the number of sectors in a key */
    uint64_t file_end;    /* rounded up to a sector */

    Qcow2TableVisitor visitor;
    Collected collected[BLOCK_MAX_WORKERS];
    uint64_t from; /* keys below it are verified */

    /* Of the keys that are verified together: */
    GArray *keys;    /* uint64_t, sorted, without doubles */
    uint8_t *faults; /* Qcow2UnreadableReason of each key; 0: none */
    GArray *groups;

    uint64_t verified;
    uint64_t damaged;
    gint read_error; /* of the last read that failed, a positive errno value; atomic */
};

/* ---- keys ---- */

static uint64_t key_of(const Qcow2CompressedVerifier *v, const Qcow2Extent *e)
{
    uint64_t sectors = (e->length + e->offset % QCOW2_SECTOR_SIZE) / QCOW2_SECTOR_SIZE;

    return e->offset << v->sector_bits | (sectors - 1);
}

static BlockRange range_of(const Qcow2CompressedVerifier *v, uint64_t key)
{
    uint64_t offset = key >> v->sector_bits;
    uint64_t sectors = (key & ((UINT64_C(1) << v->sector_bits) - 1)) + 1;

    return (BlockRange){.offset = offset, .size = (uint32_t)(sectors * QCOW2_SECTOR_SIZE - offset % QCOW2_SECTOR_SIZE)};
}

static uint64_t key_at(const GArray *keys, guint i)
{
    return g_array_index(keys, uint64_t, i);
}

/* Sorts @keys and keeps one of each, and no more than LIMIT_COMPRESSED. Returns false if there were more. */
static bool keep_lowest(GArray *keys)
{
    guint n = 0;

    ARRAY_SORT_U64(keys);
    for (guint i = 0; i < keys->len; i++) {
        if (!n || key_at(keys, i) != key_at(keys, n - 1)) {
            g_array_index(keys, uint64_t, n++) = key_at(keys, i);
        }
    }
    g_array_set_size(keys, MIN(n, LIMIT_COMPRESSED));
    return n <= LIMIT_COMPRESSED;
}

/* ---- while the tables are read ---- */

static bool collect(void *opaque, unsigned worker, const Qcow2TableRef *table, const uint8_t *bytes,
                    const Qcow2L2Result *contents)
{
    Qcow2CompressedVerifier *v = opaque;
    Collected *c = &v->collected[worker];

    for (guint i = 0; contents->compressed && i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);
        uint64_t key = e->compressed ? key_of(v, e) : 0;

        if (!e->compressed || key < v->from || key > c->last) {
            continue;
        }
        g_array_append_val(c->keys, key);
        if (c->keys->len == 2 * LIMIT_COMPRESSED && !keep_lowest(c->keys)) {
            c->last = key_at(c->keys, LIMIT_COMPRESSED - 1);
        }
    }
    return true;
}

Qcow2CompressedVerifier *qcow2_compressed_new(const Qcow2Image *image, const DecompressOps *ops,
                                              Qcow2UnreadableFinder *found)
{
    Qcow2CompressedVerifier *v = g_new0(Qcow2CompressedVerifier, 1);

    v->header = &image->header;
    v->ops = ops;
    v->source = image->source;
    v->found = found;
    v->sector_bits = v->header->cluster_bits - 8;
    v->file_end = DIV_ROUND_UP(image->source->length, QCOW2_SECTOR_SIZE) * QCOW2_SECTOR_SIZE;
    v->visitor = (Qcow2TableVisitor){collect, v};
    v->keys = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    v->groups = g_array_new(FALSE, FALSE, sizeof(Group));
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        v->collected[i] = (Collected){.keys = g_array_new(FALSE, FALSE, sizeof(uint64_t)), .last = UINT64_MAX};
    }
    return v;
}

void qcow2_compressed_free(Qcow2CompressedVerifier *v)
{
    if (v) {
        for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
            g_array_unref(v->collected[i].keys);
        }
        g_array_unref(v->keys);
        g_array_unref(v->groups);
        g_free(v->faults);
        g_free(v);
    }
}

const Qcow2TableVisitor *qcow2_compressed_visitor(const Qcow2CompressedVerifier *v)
{
    return &v->visitor;
}

/* Puts what all threads have collected together. Returns false if there is more behind it. */
static bool take_collected(Qcow2CompressedVerifier *v)
{
    bool all = true;

    g_array_set_size(v->keys, 0);
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        Collected *c = &v->collected[i];

        all = keep_lowest(c->keys) && c->last == UINT64_MAX && all;
        g_array_append_vals(v->keys, c->keys->data, c->keys->len);
        all = keep_lowest(v->keys) && all;
        g_array_set_size(c->keys, 0);
        c->last = UINT64_MAX;
    }
    return all;
}

/* ---- reading and decompressing ---- */

static bool is_cut(const Qcow2CompressedVerifier *v, const BlockRange *range)
{
    return range->offset >= v->file_end || v->file_end - range->offset < range->size;
}

/* Lists what is read together. What the end of the file cuts off is not read. */
static void make_groups(Qcow2CompressedVerifier *v)
{
    Group *last = NULL;

    g_array_set_size(v->groups, 0);
    for (guint i = 0; i < v->keys->len; i++) {
        BlockRange range = range_of(v, key_at(v->keys, i));
        uint64_t end = range.offset + range.size;

        if (is_cut(v, &range)) {
            v->faults[i] = QCOW2_UNREADABLE_COMPRESSED_CUT;
            last = NULL;
        } else if (last && range.offset <= last->offset + last->size &&
                   end - last->offset <= MAX(memory_plan()->batch, last->size)) {
            last->size = MAX(last->size, (uint32_t)(end - last->offset));
            last->n++;
        } else {
            Group group = {.offset = range.offset, .size = range.size, .first = i, .n = 1};

            g_array_append_val(v->groups, group);
            last = &g_array_index(v->groups, Group, v->groups->len - 1);
        }
    }
}

static BlockRange group_range(const void *opaque, size_t i)
{
    const Qcow2CompressedVerifier *v = opaque;
    const Group *group = &g_array_index(v->groups, Group, i);

    return (BlockRange){.offset = group->offset, .size = group->size};
}

static CompressionFormat format_of(const Qcow2HeaderFields *header)
{
    return header->incompatible_features & QCOW2_INCOMPAT_COMPRESSION ? COMPRESSION_ZSTD : COMPRESSION_ZLIB;
}

static bool begins_with_zeros(const uint8_t *data, size_t length)
{
    return is_zeros(data, MIN(length, BEGINNING));
}

Qcow2UnreadableReason qcow2_compressed_examine(const DecompressOps *ops, Decompressor *decompressor,
                                               const Qcow2HeaderFields *header, const uint8_t *data, size_t length)
{
    CompressionFormat format = format_of(header);
    CompressionFormat other = format == COMPRESSION_ZLIB ? COMPRESSION_ZSTD : COMPRESSION_ZLIB;

    switch (ops->decompress(decompressor, format, data, length)) {
    case DECOMPRESS_WHOLE:
        return 0;
    case DECOMPRESS_SHORT:
        return QCOW2_UNREADABLE_SHORT;
    default:
        if (begins_with_zeros(data, length)) {
            return QCOW2_UNREADABLE_ZEROS;
        }
        return ops->decompress(decompressor, other, data, length) == DECOMPRESS_WHOLE ? QCOW2_UNREADABLE_OTHER_FORMAT
                                                                                      : QCOW2_UNREADABLE_INVALID;
    }
}

static Qcow2UnreadableReason examine_data(const Worker *w, const uint8_t *data, size_t length)
{
    const Qcow2CompressedVerifier *v = w->verifier;

    return qcow2_compressed_examine(v->ops, w->decompressor, v->header, data, length);
}

/* After a read of the group has failed: a part of it may be all right. False: memory is short. */
static bool examine_alone(const Worker *w, guint i)
{
    Qcow2CompressedVerifier *v = w->verifier;
    BlockRange range = range_of(v, key_at(v->keys, i));
    g_autofree uint8_t *data = g_try_malloc(range.size);
    int error;

    if (!data) {
        return false;
    }
    error = block_source_read(v->source, data, range.size, range.offset);
    if (error) {
        g_atomic_int_set(&v->read_error, -error);
        v->faults[i] = QCOW2_UNREADABLE_NOT_READ;
    } else {
        v->faults[i] = (uint8_t)examine_data(w, data, range.size);
    }
    return true;
}

static bool examine_group(void *state, size_t index, const uint8_t *bytes, int error)
{
    const Worker *w = state;
    Qcow2CompressedVerifier *v = w->verifier;
    const Group *group = &g_array_index(v->groups, Group, index);
    bool ok = true;

    for (guint i = group->first; ok && i < group->first + group->n; i++) {
        BlockRange range = range_of(v, key_at(v->keys, i));

        if (error) {
            ok = examine_alone(w, i);
        } else if (!bytes) {
            v->faults[i] = QCOW2_UNREADABLE_ZEROS;
        } else {
            v->faults[i] = (uint8_t)examine_data(w, bytes + (range.offset - group->offset), range.size);
        }
    }
    return ok;
}

static void *begin_worker(void *opaque, unsigned number)
{
    Qcow2CompressedVerifier *v = opaque;
    Worker worker = {.verifier = v, .decompressor = v->ops->create(v->header->cluster_size)};

    return worker.decompressor ? g_memdup2(&worker, sizeof(worker)) : NULL;
}

static bool end_worker(void *opaque, void *state)
{
    const Qcow2CompressedVerifier *v = opaque;
    Worker *worker = state;

    v->ops->free(worker->decompressor);
    g_free(worker);
    return true;
}

static bool decompress_groups(Qcow2CompressedVerifier *v, const Qcow2Check *c)
{
    BlockPrefetch prefetch = {
        .source = v->source,
        .options = {.workers = c->options->workers, .progress = c->options->progress},
        .n = v->groups->len,
        .range = group_range,
        .examine = examine_group,
        .begin = begin_worker,
        .end = end_worker,
        .opaque = v,
    };

    return block_prefetch(&prefetch);
}

/* ---- where damaged data belongs ---- */

static bool locate(void *opaque, unsigned worker, const Qcow2TableRef *table, const uint8_t *bytes,
                   const Qcow2L2Result *contents)
{
    const Qcow2CompressedVerifier *v = opaque;

    for (guint i = 0; contents->compressed && i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);
        uint64_t key = e->compressed ? key_of(v, e) : UINT64_MAX;
        size_t at = first_not_below(v->keys->data, v->keys->len, sizeof(uint64_t), 0, key);

        if (at < v->keys->len && key_at(v->keys, (guint)at) == key && v->faults[at] &&
            v->faults[at] != QCOW2_UNREADABLE_COMPRESSED_CUT) {
            qcow2_unreadable_add_compressed(v->found, worker, v->faults[at], table, e);
        }
    }
    return true;
}

/* Verifies what was collected, and tells where it is damaged. */
static bool verify_keys(Qcow2CompressedVerifier *v, Qcow2Check *c, GError **errp)
{
    const Qcow2TableVisitor locator = {locate, v};
    uint64_t damaged = 0, cut = 0;

    g_free(v->faults);
    v->faults = g_try_new0(uint8_t, MAX(v->keys->len, 1));
    if (v->faults) {
        make_groups(v);
    }
    if (!v->faults || !decompress_groups(v, c)) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for decompressing");
        return false;
    }
    for (guint i = 0; i < v->keys->len; i++) {
        damaged += v->faults[i] != 0;
        cut += v->faults[i] == QCOW2_UNREADABLE_COMPRESSED_CUT;
    }
    v->verified += v->keys->len;
    v->damaged += damaged;
    return qcow2_check_source_there(c, errp) && (damaged == cut || qcow2_walk_visit(c->walk, &locator, errp));
}

bool qcow2_compressed_verify(Qcow2CompressedVerifier *v, Qcow2Check *c, GError **errp)
{
    bool all;

    if (c->options->progress) {
        __atomic_store_n(&c->options->progress->phase, CHECK_PHASE_VERIFYING, __ATOMIC_RELAXED);
    }
    do {
        all = take_collected(v);
        if (!verify_keys(v, c, errp)) {
            return false;
        }
        if (!all) {
            v->from = key_at(v->keys, v->keys->len - 1) + 1;
            if (!qcow2_walk_visit(c->walk, &v->visitor, errp)) {
                return false;
            }
        }
    } while (!all);
    if (v->read_error) {
        qcow2_report_failure(&c->report, v->read_error);
    }
    return true;
}

void qcow2_compressed_finish(const Qcow2CompressedVerifier *v, ImageCheck *result)
{
    result->has_compressed_verified = result->has_compressed_damaged = true;
    result->compressed_verified = v->verified;
    result->compressed_damaged = v->damaged;
}
