/*
 * All L2 tables of the disk and of the snapshots, read once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/survey.h"

#include "block/qcow2/format/l2.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/rescue/leaks.h"
#include "block/qcow2/rescue/restore.h"
#include "block/qcow2/rescue/visit.h"
#include "util/number.h"
#include "util/search.h"

#define OF_SNAPSHOT UINT64_MAX /* as the key of a table: the disk does not have it */

typedef struct Surveying {
    const Qcow2Found *found;
    const Qcow2Trees *trees;
    Edits *edits;
    Qcow2Survey *survey;
    GHashTable *mapped_luks; /* offsets of LUKS headers that are data of the guest */
    GHashTable *counted;     /* offsets of tables that have been added to: */
    Qcow2Leaks *leaks;
    GArray *empty; /* ImageRescueRange: what is not mapped, with its class at best */
} Surveying;

/* ---- ranges ---- */

static void add_range(GArray *ranges, uint64_t start, uint64_t length, ImageRescueClass class)
{
    ImageRescueRange *last = ranges->len ? &g_array_index(ranges, ImageRescueRange, ranges->len - 1) : NULL;
    ImageRescueRange range = {.start = start, .length = length, .class = class};

    if (last && last->class == class && last->start + last->length == start) {
        last->length += length;
    } else {
        g_array_append_val(ranges, range);
    }
}

/* Adds @start and @length to @ranges as far as the disk reaches. */
static void add_part(Surveying *s, GArray *ranges, uint64_t start, uint64_t length, ImageRescueClass class)
{
    if (start < s->trees->size) {
        add_range(ranges, start, MIN(length, s->trees->size - start), class);
    }
}

static void add_slots_without_tables(Surveying *s)
{
    uint64_t reach = qcow2_table_reach(qcow2_found_header(s->found)), i;

    for (i = 0; i < s->trees->slots->len; i++) {
        const Qcow2Slot *slot = &g_array_index(s->trees->slots, Qcow2Slot, i);

        if (slot->blank || !slot->table) {
            add_part(s, slot->known_empty ? s->empty : s->survey->ranges, i * reach, reach,
                     slot->known_empty ? slot->class : IMAGE_RESCUE_CLASS_MISSING);
        }
    }
    if (i * reach < s->trees->size) {
        add_part(s, s->survey->ranges, i * reach, s->trees->size - i * reach, IMAGE_RESCUE_CLASS_MISSING);
    }
}

/* Adds what is not mapped, of which @nothing is the class at best. */
static void add_empty(Surveying *s, ImageRescueClass nothing)
{
    for (guint i = 0; i < s->empty->len; i++) {
        ImageRescueRange range = g_array_index(s->empty, ImageRescueRange, i);

        range.class = MAX(range.class, nothing);
        g_array_append_val(s->survey->ranges, range);
    }
}

static void join_ranges(GArray *ranges)
{
    guint kept = 0;

    ARRAY_SORT(ranges, ImageRescueRange, start);
    for (guint i = 0; i < ranges->len; i++) {
        ImageRescueRange range = g_array_index(ranges, ImageRescueRange, i);
        ImageRescueRange *last = kept ? &g_array_index(ranges, ImageRescueRange, kept - 1) : NULL;

        if (last && last->class == range.class && last->start + last->length == range.start) {
            last->length += range.length;
        } else {
            g_array_index(ranges, ImageRescueRange, kept++) = range;
        }
    }
    g_array_set_size(ranges, kept);
}

/* ---- entries ---- */

static bool is_damaged(const Surveying *s, const uint8_t *entry)
{
    const Qcow2HeaderFields *h = qcow2_found_header(s->found);

    return !qcow2_may_be_l2(entry, qcow2_l2_entry_size(h), h, s->found->in->source->length);
}

/* Subclusters that are neither allocated nor zeros read from the backing file. */
static bool is_partly_mapped(const Qcow2HeaderFields *h, const uint8_t *entry)
{
    uint64_t bitmap = qcow2_has_extended_l2(h) ? load_be64(entry + 8) : UINT64_MAX;

    return ((bitmap | bitmap >> QCOW2_SUBCLUSTERS) & UINT32_MAX) != UINT32_MAX;
}

/* Returns true if what a guest reads there, or some of it, does not follow from @bytes: nothing is mapped. */
static bool is_empty(const Surveying *s, const uint8_t *bytes)
{
    const Qcow2HeaderFields *h = qcow2_found_header(s->found);
    uint64_t entry = load_be64(bytes);

    return !(entry & QCOW2_OFLAG_COMPRESSED) &&
           (qcow2_has_extended_l2(h) ? is_partly_mapped(h, bytes) : !(entry & (QCOW2_OFFSET_MASK | QCOW2_OFLAG_ZERO)));
}

/* Adds the cluster at @start of the disk, which the sound entry @bytes maps or does not map. */
static void add_entry(Surveying *s, const Qcow2Slot *slot, uint64_t start, const uint8_t *bytes)
{
    bool empty = is_empty(s, bytes), by_metadata = slot->restored && !(load_be64(bytes) & QCOW2_OFFSET_MASK);

    add_part(s, empty ? s->empty : s->survey->ranges, start, qcow2_found_header(s->found)->cluster_size,
             empty && by_metadata ? IMAGE_RESCUE_CLASS_GUESSED : slot->class);
}

static void note_entry(Surveying *s, const uint8_t *bytes, uint32_t i)
{
    const Qcow2HeaderFields *h = qcow2_found_header(s->found);
    const GArray *luks = s->found->scan.luks;
    uint64_t host = qcow2_entry_host(bytes, i, h);
    uint64_t entry = load_be64(bytes + (uint64_t)i * qcow2_l2_entry_size(h));

    if (entry & QCOW2_OFLAG_COMPRESSED) {
        s->survey->first_compressed = MIN(s->survey->first_compressed, host);
    } else if (luks->len && host) {
        size_t k = first_not_below(luks->data, luks->len, sizeof(uint64_t), 0, host);

        if (k < luks->len && g_array_index(luks, uint64_t, k) == host) {
            g_hash_table_add(s->mapped_luks, &g_array_index(luks, uint64_t, k));
        }
    }
}

/* Adds an edit that takes the damaged entries of a table out. */
static void clean_table(Surveying *s, uint64_t offset, const uint8_t *bytes)
{
    const Qcow2HeaderFields *h = qcow2_found_header(s->found);
    unsigned step = qcow2_l2_entry_size(h);
    Edit edit = {.offset = offset, .size = h->cluster_size, .structure = IMAGE_CHECK_STRUCTURE_L2};

    edit.bytes = g_memdup2(bytes, h->cluster_size);
    for (uint64_t at = 0; at < h->cluster_size; at += step) {
        if (is_damaged(s, bytes + at)) {
            memset(edit.bytes + at, 0, step);
            s->survey->damaged++;
        }
    }
    edits_add(s->edits, EDIT_PHASE_FREE_SPACE, &edit);
}

static void survey_table(void *opaque, const Qcow2TableToRead *table, const uint8_t *bytes)
{
    Surveying *s = opaque;
    const Qcow2HeaderFields *h = qcow2_found_header(s->found);
    bool of_disk = table->key != OF_SNAPSHOT, any_damaged = false;
    const Qcow2Slot *slot = of_disk ? &g_array_index(s->trees->slots, Qcow2Slot, table->key) : NULL;
    uint64_t start = of_disk ? table->key * qcow2_table_reach(h) : 0;

    if (!bytes) {
        if (of_disk) {
            add_part(s, s->survey->ranges, start, qcow2_table_reach(h), IMAGE_RESCUE_CLASS_MISSING);
        }
        return;
    }
    if (g_hash_table_add(s->counted, (gpointer)&table->offset)) {
        qcow2_leaks_add_table(s->leaks, table->offset, bytes);
    }
    for (uint32_t i = 0; i < 1u << h->l2_bits; i++) {
        const uint8_t *entry = bytes + (uint64_t)i * qcow2_l2_entry_size(h);
        bool damaged = is_damaged(s, entry);

        any_damaged |= damaged;
        if (!damaged) {
            note_entry(s, bytes, i);
        }
        if (of_disk && damaged) {
            add_part(s, s->survey->ranges, start + i * h->cluster_size, h->cluster_size, IMAGE_RESCUE_CLASS_MISSING);
        } else if (of_disk) {
            add_entry(s, slot, start + i * h->cluster_size, entry);
        }
    }
    if (any_damaged) {
        clean_table(s, table->offset, bytes);
    }
}

/* ---- all of them ---- */

static GArray *list_tables(const Surveying *s)
{
    GArray *tables = g_array_new(FALSE, FALSE, sizeof(Qcow2TableToRead));
    g_autoptr(GHashTable) listed = g_hash_table_new(hash_u64, g_int64_equal);

    for (guint i = 0; i < s->trees->slots->len; i++) {
        Qcow2Slot *slot = &g_array_index(s->trees->slots, Qcow2Slot, i);
        Qcow2TableToRead table = {slot->table, i};

        if (slot->table && !slot->blank) {
            g_array_append_val(tables, table);
            g_hash_table_add(listed, &slot->table);
        }
    }
    for (guint i = 0; i < s->trees->snapshot_tables->len; i++) {
        uint64_t *offset = &g_array_index(s->trees->snapshot_tables, uint64_t, i);
        Qcow2TableToRead table = {*offset, OF_SNAPSHOT};

        if (g_hash_table_add(listed, offset)) {
            g_array_append_val(tables, table);
        }
    }
    return tables;
}

/* The first LUKS header at a cluster that is in use, and is no data of the guest. */
static uint64_t find_luks(const Surveying *s)
{
    const GArray *luks = s->found->scan.luks;

    for (guint i = 0; i < luks->len; i++) {
        uint64_t *offset = &g_array_index(luks, uint64_t, i);

        if (*offset && *offset % qcow2_found_header(s->found)->cluster_size == 0 &&
            !g_hash_table_contains(s->mapped_luks, offset) && qcow2_found_in_use(s->found, *offset)) {
            return *offset;
        }
    }
    return 0;
}

/* A dropped entry has become an unmapped one. */
static void mark_dropped(Surveying *s, const GArray *dropped)
{
    const Qcow2HeaderFields *h = qcow2_found_header(s->found);
    g_autoptr(GArray) all = s->survey->ranges;
    g_autoptr(GArray) lost = g_array_new(FALSE, FALSE, sizeof(ImageRescueRange));
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(ImageRescueRange));
    guint k = 0;

    for (guint i = 0; i < dropped->len; i++) {
        const Qcow2DroppedEntry *d = &g_array_index(dropped, Qcow2DroppedEntry, i);
        ImageRescueRange range = {.start = d->slot * qcow2_table_reach(h) + d->entry * h->cluster_size,
                                  .length = h->cluster_size};

        g_array_append_val(lost, range);
    }
    ARRAY_SORT(lost, ImageRescueRange, start);
    for (guint i = 0; i < all->len; i++) {
        const ImageRescueRange *r = &g_array_index(all, ImageRescueRange, i);
        uint64_t at = r->start, end = r->start + r->length;

        while (at < end) {
            const ImageRescueRange *l;
            uint64_t next;

            for (; k < lost->len && g_array_index(lost, ImageRescueRange, k).start + h->cluster_size <= at; k++) {
            }
            l = k < lost->len ? &g_array_index(lost, ImageRescueRange, k) : NULL;
            if (l && l->start <= at) {
                next = MIN(end, l->start + l->length);
                add_range(ranges, at, next - at, IMAGE_RESCUE_CLASS_MISSING);
            } else {
                next = l ? MIN(end, l->start) : end;
                add_range(ranges, at, next - at, r->class);
            }
            at = next;
        }
    }
    s->survey->ranges = ranges;
}

bool qcow2_survey(const Qcow2Found *found, const Qcow2Trees *trees, BlockSource *view, const GArray *dropped,
                  Edits *edits, Qcow2Survey *survey, GError **errp)
{
    bool backing_known = trees->header_sound || found->metadata_remains.is_qcow2;
    g_autoptr(GHashTable) mapped_luks = g_hash_table_new(hash_u64, g_int64_equal);
    g_autoptr(GHashTable) counted = g_hash_table_new(hash_u64, g_int64_equal);
    g_autoptr(GArray) empty = g_array_new(FALSE, FALSE, sizeof(ImageRescueRange));
    g_autoptr(Qcow2Leaks) leaks = qcow2_leaks_new(found, trees);
    Surveying s = {.found = found,
                   .trees = trees,
                   .edits = edits,
                   .survey = survey,
                   .mapped_luks = mapped_luks,
                   .counted = counted,
                   .leaks = leaks,
                   .empty = empty};
    g_autoptr(GArray) tables = list_tables(&s);
    ImageRescueClass of_empty;

    *survey =
        (Qcow2Survey){.ranges = g_array_new(FALSE, FALSE, sizeof(ImageRescueRange)), .first_compressed = UINT64_MAX};
    if (!leaks) {
        return qapi_set_out_of_memory(errp);
    }
    if (!qcow2_visit_tables(view, &found->in->options, qcow2_found_header(found), tables, survey_table, &s, errp)) {
        return false;
    }
    if (!qcow2_leaks_class(leaks, &of_empty)) {
        return qapi_set_out_of_memory(errp);
    }
    add_slots_without_tables(&s);
    add_empty(&s, MAX(of_empty, backing_known ? IMAGE_RESCUE_CLASS_PROVED : IMAGE_RESCUE_CLASS_INFERRED));
    join_ranges(survey->ranges);
    mark_dropped(&s, dropped);
    survey->luks = find_luks(&s);
    return true;
}

void qcow2_survey_clear(Qcow2Survey *survey)
{
    g_clear_pointer(&survey->ranges, g_array_unref);
}
