/*
 * The way from an offset of the guest's disk to the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/compressed.h"
#include "block/qcow2/load/l2-result.h"
#include "block/qcow2/inspect/lookup.h"
#include "qapi/util.h"
#include "util/number.h"
#include "util/text.h"

#define SNAPSHOTS_LISTED 20u

typedef struct Lookup {
    const Qcow2Check *check;
    const Qcow2HeaderFields *header;
    ImageCheckGuestExplanation *answer;
    uint64_t entry;       /* the L2 entry */
    uint64_t subclusters; /* its bitmap, if it has one */
} Lookup;

/* ---- which tree ---- */

/* The index of the snapshot with the name @name, or else with that as its ID; -1 where there is none. */
static int find_snapshot(const Qcow2Check *c, const char *name)
{
    int by_id = -1;

    for (guint i = 0; i < c->snapshots.items->len; i++) {
        const Qcow2Snapshot *snapshot = &g_array_index(c->snapshots.items, Qcow2Snapshot, i);

        if (g_str_equal(snapshot->name, name)) {
            return i;
        }
        if (by_id < 0 && g_str_equal(snapshot->id, name)) {
            by_id = i;
        }
    }
    return by_id;
}

static const Qcow2Tree *find_tree(const Qcow2Check *c, int snapshot)
{
    for (guint i = 0; i < c->regions.trees->len; i++) {
        const Qcow2Tree *tree = &g_array_index(c->regions.trees, Qcow2Tree, i);

        if (tree->snapshot == snapshot) {
            return tree;
        }
    }
    return NULL;
}

/* The names of snapshots that there are, made safe for a terminal. */
static char *list_snapshots(const Qcow2Check *c)
{
    const GArray *snapshots = c->snapshots.items;
    GString *text = g_string_new(snapshots->len ? "there are:" : "the image has none");

    for (guint i = 0; i < snapshots->len && i < SNAPSHOTS_LISTED; i++) {
        const char *name = g_array_index(snapshots, Qcow2Snapshot, i).name;
        g_autofree char *safe = text_escape(name, strlen(name));

        g_string_append_printf(text, "%s %s", i ? "," : "", safe);
    }
    if (snapshots->len > SNAPSHOTS_LISTED) {
        g_string_append_printf(text, ", and %u more", snapshots->len - SNAPSHOTS_LISTED);
    }
    return g_string_free(text, FALSE);
}

/* The tree to go down in, as long as it is long enough for the offset; NULL and @errp set otherwise. */
static const Qcow2Tree *choose_tree(const Lookup *l, const char *snapshot, GError **errp)
{
    const Qcow2HeaderFields *h = l->header;
    uint64_t offset = l->answer->offset;
    int index = snapshot ? find_snapshot(l->check, snapshot) : QCOW2_TREE_ACTIVE;
    const Qcow2Tree *tree = find_tree(l->check, index);

    if (snapshot && index < 0) {
        g_autofree char *names = list_snapshots(l->check);

        g_set_error(errp, BLOCK_ERROR, ENOENT, "There is no snapshot with this name or ID; %s", names);
        return NULL;
    }
    /* behind the end of the disk a snapshot has the state of the machine */
    if (!snapshot && offset >= h->size) {
        g_set_error(errp, BLOCK_ERROR, ENOENT,
                    "Guest offset 0x%" PRIx64 " is beyond the end of the disk, which has 0x%" PRIx64 " bytes", offset,
                    h->size);
        return NULL;
    }
    if (!tree) {
        g_set_error(errp, BLOCK_ERROR, ENOENT, "The L1 table cannot be followed");
        return NULL;
    }
    if (offset >> (h->l2_bits + h->cluster_bits) >= tree->entries) {
        g_set_error(errp, BLOCK_ERROR, ENOENT, "Guest offset 0x%" PRIx64 " is beyond the end of what the L1 table maps",
                    offset);
        return NULL;
    }
    return tree;
}

/* ---- entries ---- */

static void break_off(Lookup *l, const char *problem)
{
    l->answer->state = IMAGE_CHECK_GUEST_STATE_DAMAGED;
    l->answer->problem = g_strdup(problem);
}

/* A number that readers of JSON cannot have as one. */
static char *word_text(uint64_t word)
{
    return g_strdup_printf("0x%016" PRIx64, word);
}

static ImageCheckTableEntry decode_l1_entry(uint64_t index, uint64_t entry_offset, uint64_t value)
{
    return (ImageCheckTableEntry){
        .index = index,
        .entry_offset = entry_offset,
        .value = word_text(value),
        .offset = value & QCOW2_OFFSET_MASK,
        .copied = value & QCOW2_OFLAG_COPIED,
        .reserved = value & QCOW2_L1_RESERVED,
    };
}

/* The entries of a table that is beyond the end of the file are zeros to a guest. */
static void break_off_beyond_end(Lookup *l, const char *what)
{
    l->answer->state = IMAGE_CHECK_GUEST_STATE_DAMAGED;
    l->answer->problem = g_strdup_printf("%s is beyond the end of the file; the guest reads %s", what,
                                         l->answer->backing ? "what the backing file has" : "zeros");
}

/* False where there is nothing to follow. */
static bool look_at_l1(Lookup *l, const Qcow2Tree *tree)
{
    uint64_t index = l->answer->offset >> (l->header->l2_bits + l->header->cluster_bits);
    uint64_t entry_offset = tree->offset + index * 8;
    uint64_t first = index;
    const uint64_t *slots;
    uint64_t value = 0;

    if (qcow2_tables_part(l->check->regions.l1_tables, tree->offset, tree->entries, &first, &slots) && first == index) {
        value = slots[0];
    }
    l->answer->l1 = decode_l1_entry(index, entry_offset, value);
    if (qcow2_tables_error(l->check->regions.l1_tables, entry_offset, 1)) {
        break_off(l, "the L1 table cannot be read; reading fails with an I/O error");
        return false;
    }
    if (entry_offset >= l->check->image->source->length) {
        break_off_beyond_end(l, "the entry of the L1 table");
        return false;
    }
    return true;
}

static ImageCheckTableEntry *decode_l2_entry(Lookup *l, const uint8_t *at, uint64_t index)
{
    ImageCheckTableEntry *e = g_new(ImageCheckTableEntry, 1);
    uint64_t value = load_be64(at);
    bool compressed = value & QCOW2_OFLAG_COMPRESSED;
    bool extended = qcow2_has_extended_l2(l->header);

    l->entry = value;
    *e = (ImageCheckTableEntry){
        .index = index,
        .entry_offset = l->answer->l1.offset + index * qcow2_l2_entry_size(l->header),
        .value = word_text(value),
        .offset = value & QCOW2_OFFSET_MASK,
        .copied = value & QCOW2_OFLAG_COPIED,
        .compressed = compressed,
        .zero = !compressed && !extended && (value & QCOW2_OFLAG_ZERO),
        .reserved = !compressed && (value & (QCOW2_L2_RESERVED | (extended ? QCOW2_OFLAG_ZERO : 0))),
    };
    if (extended) {
        l->subclusters = load_be64(at + 8);
        e->subclusters = word_text(l->subclusters);
    }
    return e;
}

/* ---- what the L2 entry means ---- */

static void set_host(Lookup *l, uint64_t offset, uint64_t size)
{
    l->answer->host = g_new(Qcow2Allocation, 1);
    *l->answer->host = (Qcow2Allocation){.offset = offset, .size = size};
    l->answer->data_file = qcow2_has_data_file(l->header);
}

static uint64_t file_end(const Lookup *l)
{
    return l->check->counting.file_end;
}

/* Reads the data and decompresses it: nothing else says whether the guest can read it. */
static void decompress(Lookup *l, const Qcow2Extent *e)
{
    const Qcow2Question *question = l->check->options->question;
    const DecompressOps *ops = question ? question->decompress : NULL;
    Decompressor *decompressor = ops ? ops->create(l->header->cluster_size) : NULL;
    g_autofree uint8_t *data = decompressor ? g_try_malloc(e->length) : NULL;
    Qcow2UnreadableReason reason;

    if (data && block_source_read(l->check->image->source, data, e->length, e->offset) != 0) {
        break_off(l, "the compressed data cannot be read; reading fails with an I/O error");
    } else if (data) {
        reason = qcow2_compressed_examine(ops, decompressor, l->header, data, e->length);
        if (reason) {
            g_autofree char *problem =
                g_strdup_printf("the compressed data cannot be decompressed: %s; reading fails with an I/O error",
                                qcow2_compressed_problem(l->header, reason));
            break_off(l, problem);
        }
        l->answer->has_decompresses = l->answer->decompresses = !reason;
    }
    if (decompressor) {
        ops->free(decompressor);
    }
}

/* Compressed data have no subclusters; reading passes over their bitmap. */
static void explain_compressed(Lookup *l)
{
    ImageCheckTableEntry *entry = l->answer->l2;
    Qcow2Extent e = qcow2_l2_compressed_extent(l->header, l->entry, (uint32_t)entry->index);

    if (qcow2_has_data_file(l->header)) {
        entry->offset = 0;
        break_off(l,
                  "the L2 entry is of compressed data, which a data file cannot have; reading fails with an I/O error");
        return;
    }
    entry->offset = e.offset;
    l->answer->state = IMAGE_CHECK_GUEST_STATE_COMPRESSED;
    set_host(l, e.offset, e.length);
    if (e.offset >= file_end(l)) {
        break_off(l, "the compressed data is beyond the end of the file; reading fails with an I/O error");
    } else if (file_end(l) - e.offset < e.length) {
        break_off(l, "the file ends before the end of the compressed data; the guest cannot read it");
    } else {
        decompress(l, &e);
    }
}

/* The state by the entry, where the whole cluster has the same. */
static ImageCheckGuestState cluster_state(const Lookup *l, bool has_place)
{
    if (l->answer->l2->zero) {
        return IMAGE_CHECK_GUEST_STATE_ZERO;
    }
    return has_place ? IMAGE_CHECK_GUEST_STATE_DATA : IMAGE_CHECK_GUEST_STATE_UNALLOCATED;
}

/* That of subcluster @i. */
static ImageCheckGuestState subcluster_state(const Lookup *l, unsigned i)
{
    bool stored = l->subclusters >> i & 1;
    bool zero = l->subclusters >> (QCOW2_SUBCLUSTERS + i) & 1;

    return zero     ? IMAGE_CHECK_GUEST_STATE_ZERO
           : stored ? IMAGE_CHECK_GUEST_STATE_DATA
                    : IMAGE_CHECK_GUEST_STATE_UNALLOCATED;
}

/* Data that cannot be read where the entry has it. */
static void explain_unreadable(Lookup *l)
{
    const Qcow2HeaderFields *h = l->header;
    const ImageCheckTableEntry *e = l->answer->l2;
    uint64_t in_cluster = l->answer->offset & (h->cluster_size - 1);

    if (h->version < 3 && e->zero) {
        break_off(l, "a cluster that reads as zeros is not possible in version 2; reading fails with an I/O error");
    } else if (qcow2_has_data_file(h) && l->answer->host && e->offset + in_cluster != l->answer->offset) {
        break_off(l, "the offset in the data file is not that of the guest's disk; reading fails with an I/O error");
    } else if (qcow2_has_data_file(h) || l->answer->state != IMAGE_CHECK_GUEST_STATE_DATA) {
        return;
    } else if (e->offset >= file_end(l)) {
        break_off(l, "the cluster is beyond the end of the file; the guest reads zeros");
    } else if (e->offset + in_cluster >= file_end(l)) {
        break_off(l, "the file ends within the cluster, before this byte; the guest reads zeros");
    }
}

static void explain_plain(Lookup *l)
{
    const Qcow2HeaderFields *h = l->header;
    const ImageCheckTableEntry *e = l->answer->l2;
    uint64_t unit = e->subclusters ? h->cluster_size / QCOW2_SUBCLUSTERS : h->cluster_size;
    uint64_t in_cluster = l->answer->offset & (h->cluster_size - 1);
    /* in an external data file a cluster may be at 0 */
    bool has_place = e->offset || (qcow2_has_data_file(h) && e->copied);

    l->answer->state =
        e->subclusters ? subcluster_state(l, (unsigned)(in_cluster / unit)) : cluster_state(l, has_place);
    if (has_place) {
        set_host(l, e->offset + in_cluster, unit - in_cluster % unit);
    }
    if (l->subclusters & l->subclusters >> QCOW2_SUBCLUSTERS & UINT32_MAX) {
        break_off(l, "the entry has subclusters as stored and as zeros at once; reading any of them fails with an I/O "
                     "error");
    } else if (e->offset % h->cluster_size) {
        break_off(l, "the offset in the L2 entry is not cluster aligned; reading fails with an I/O error");
    } else if ((uint32_t)l->subclusters && !has_place) {
        break_off(l, "the entry has subclusters as stored, and no place in the file; reading any of them fails with an "
                     "I/O error");
    } else {
        explain_unreadable(l);
    }
}

/* The entry is read once more: the file may have changed since. */
static void look_at_l2(Lookup *l)
{
    const Qcow2HeaderFields *h = l->header;
    BlockSource *source = l->check->image->source;
    uint64_t table = l->answer->l1.offset;
    uint64_t index = l->answer->offset >> h->cluster_bits & ((UINT64_C(1) << h->l2_bits) - 1);
    uint64_t entry_offset = table + index * qcow2_l2_entry_size(h);
    uint8_t bytes[16];

    assert(qcow2_l2_entry_size(h) <= sizeof(bytes));
    if (table % h->cluster_size) {
        break_off(l, "the offset in the L1 entry is not cluster aligned; reading fails with an I/O error");
    } else if (table >= source->length) {
        break_off_beyond_end(l, "the L2 table");
    } else if (block_source_read(source, bytes, qcow2_l2_entry_size(h), entry_offset) < 0) {
        break_off(l, "the L2 table cannot be read; reading fails with an I/O error");
    } else {
        l->answer->l2 = decode_l2_entry(l, bytes, index);
        if (entry_offset >= source->length) {
            break_off_beyond_end(l, "the entry of the L2 table");
        } else if (l->answer->l2->compressed) {
            explain_compressed(l);
        } else {
            explain_plain(l);
        }
    }
}

ImageCheckGuestExplanation *qcow2_lookup_guest(const Qcow2Check *check, uint64_t offset, const char *snapshot,
                                               GError **errp)
{
    g_autoptr(ImageCheckGuestExplanation) answer = g_new0(ImageCheckGuestExplanation, 1);
    Lookup l = {.check = check, .header = &check->image->header, .answer = answer};
    const Qcow2Tree *tree;

    answer->offset = offset;
    tree = choose_tree(&l, snapshot, errp);
    if (!tree) {
        return NULL;
    }
    answer->backing = check->image->header.backing_file_offset != 0;
    if (tree->snapshot != QCOW2_TREE_ACTIVE) {
        answer->snapshot = g_strdup(g_array_index(check->snapshots.items, Qcow2Snapshot, tree->snapshot).name);
    }
    if (look_at_l1(&l, tree)) {
        if (!answer->l1.offset) {
            answer->state = IMAGE_CHECK_GUEST_STATE_UNALLOCATED;
        } else {
            look_at_l2(&l);
        }
    }
    return g_steal_pointer(&answer);
}

/* ---- what is lost ---- */

static bool is_table_of(const ImageCheckFinding *f, const ImageCheckGuestExplanation *answer)
{
    return f->kind == QCOW2_FINDING_LEAKED_L2 && f->cluster && f->guest && f->has_evidence &&
           f->evidence != IMAGE_CHECK_EVIDENCE_GUESSED && g_strcmp0(f->snapshot, answer->snapshot) == 0 &&
           answer->offset >= f->guest->offset && answer->offset - f->guest->offset < f->guest->size;
}

void qcow2_lookup_lost_table(ImageCheckGuestExplanation *answer, const QapiSequence *findings)
{
    g_auto(QapiIterator) each = qapi_iterate(findings);
    const ImageCheckFinding *f;

    while (!answer->problem && !answer->l1.offset && (f = qapi_next(&each))) {
        if (is_table_of(f, answer)) {
            answer->state = IMAGE_CHECK_GUEST_STATE_DAMAGED;
            answer->problem = g_strdup_printf(
                "the L2 table of this range is lost, and the guest reads nothing of what it wrote; the leaked cluster "
                "at 0x%" PRIx64 " looks like it (%s)",
                f->cluster->offset, ImageCheckEvidence_str(f->evidence));
        }
    }
}
