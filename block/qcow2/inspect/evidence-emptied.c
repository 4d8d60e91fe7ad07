/*
 * Emptied tables, and those that are cut off.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-emptied.h"

#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/inspect/evidence-surplus.h"
#include "util/number.h"
#include "util/search.h"
#include "util/smallest.h"
#include "util/zeros.h"

#define SECTOR      512   /* bytes; what a disk writes wholly or not at all */
#define MAX_GUESSES 65536 /* the surest; where there are more, all that leaks is kept */
#define NEARLY_FULL 4     /* a sector of which less than one in four entries is unused */

/* Entries [first, end) of a table are zeros. */
typedef struct Gap {
    uint64_t table; /* offset */
    uint64_t slot;  /* of its L1 entry in the file */
    uint32_t first;
    uint32_t end;
    uint64_t before; /* cluster that the entry before refers to; that of the table at the beginning of the table */
    uint64_t behind; /* likewise; 0: at the end of the table */
    bool dense;      /* the sectors around are nearly full */
} Gap;

/* What speaks for it that leaked clusters among [first, end) were mapped in a gap. */
typedef struct Guess {
    Gap gap;
    uint64_t first; /* cluster */
    uint64_t end;
    ImageCheckEvidence certainty;
    const char *reason;
} Guess;

typedef struct Emptied {
    Qcow2Check *check;
    const Qcow2HeaderFields *header;
    Qcow2LostData *lost; /* not changed while tables are read */
    unsigned entry_size;
    uint32_t per_sector; /* entries */
    uint64_t left;       /* leaked clusters that no lost table explains */
    uint64_t shared;     /* clusters in use that have lost a reference: what is empty may have shared them */
    Smallest empty;      /* uint64_t: offsets of tables of zeros that were seen */
    Smallest guesses;    /* Guess */
} Emptied;

/* ---- leaked clusters that nothing explains yet ---- */

/* How many of the clusters [first, end) those are. */
static uint64_t count_left(const Emptied *e, uint64_t first, uint64_t end)
{
    uint64_t n = 0;
    Qcow2Surplus s;

    for (uint64_t at = first; qcow2_next_surplus(e->check, at, end, &s); at = s.first + s.n) {
        for (uint64_t i = s.first; !s.references && i < s.first + s.n; i++) {
            n += !refmap_get(e->lost->kept, i);
        }
    }
    return n;
}

static bool is_left(const Emptied *e, uint64_t cluster)
{
    Qcow2Surplus s;

    return qcow2_next_surplus(e->check, cluster, cluster + 1, &s) && !s.references &&
           !refmap_get(e->lost->kept, cluster);
}

/* How many clusters in use have a stored count that is too high. Only with snapshots do two tables share clusters. */
static uint64_t count_shared(const Qcow2Check *check)
{
    uint64_t n = 0, end = check->snapshots.items->len ? refmap_clusters(check->counting.refs) : 0;
    Qcow2Surplus s;

    for (uint64_t at = 0; qcow2_next_surplus(check, at, end, &s); at = s.first + s.n) {
        n += s.references ? s.n : 0;
    }
    return n;
}

/* How many leak in a row from @cluster on, @most at most; upwards or downwards. */
static uint64_t row_from(const Emptied *e, uint64_t cluster, uint64_t most, bool up)
{
    uint64_t n = 0;

    while (n < most && (up || cluster > n) && is_left(e, up ? cluster + n : cluster - n)) {
        n++;
    }
    return n;
}

/* ---- evidence ---- */

/* The entries of the table that @slot refers to that the disk has. */
static uint32_t entries_on_disk(const Emptied *e, uint64_t slot, uint64_t *l1_index)
{
    uint64_t clusters = DIV_ROUND_UP(e->header->size, e->header->cluster_size);
    const Qcow2Tree *tree = qcow2_regions_find_tree(&e->check->regions, slot, l1_index);
    uint64_t first;

    if (!tree || tree->snapshot != QCOW2_TREE_ACTIVE) {
        return 0;
    }
    first = *l1_index << e->header->l2_bits;
    return first < clusters ? (uint32_t)MIN(clusters - first, UINT64_C(1) << e->header->l2_bits) : 0;
}

static void add_guess(Emptied *e, const Gap *gap, uint64_t first, uint64_t end, ImageCheckEvidence certainty,
                      const char *reason)
{
    Guess guess = {*gap, first, end, certainty, reason};

    smallest_add(&e->guesses, &guess);
}

static void guess_anywhere(Emptied *e, const Gap *gap, const char *reason)
{
    add_guess(e, gap, 0, UINT64_MAX, IMAGE_CHECK_EVIDENCE_GUESSED, reason);
}

/* ---- parts of tables ---- */

static bool on_sector(const Emptied *e, uint32_t entry)
{
    return entry % e->per_sector == 0;
}

/* Clusters leak between those of the entries around the zeros. */
static bool judge_between(Emptied *e, const Gap *gap)
{
    uint64_t zeros = gap->end - gap->first, leaked;

    /* behind so many clusters in between there is something else */
    if (!gap->behind || gap->before >= gap->behind || gap->behind - gap->before > 2 * (zeros + e->per_sector)) {
        return false;
    }
    leaked = count_left(e, gap->before + 1, gap->behind);
    if (leaked == zeros) {
        add_guess(e, gap, gap->before + 1, gap->behind, IMAGE_CHECK_EVIDENCE_INFERRED,
                  "as many leak between the clusters of the entries before and behind");
        return true;
    }
    if (leaked * 2 >= e->per_sector && leaked < zeros && (on_sector(e, gap->first) || on_sector(e, gap->end))) {
        add_guess(e, gap, gap->before + 1, gap->behind, IMAGE_CHECK_EVIDENCE_GUESSED,
                  "they lie between the clusters of the entries before and behind");
        return true;
    }
    return false;
}

/* Clusters leak right behind that of the entry before, or ahead of that of the entry behind. */
static bool judge_beside(Emptied *e, const Gap *gap)
{
    uint64_t zeros = gap->end - gap->first, n;

    n = on_sector(e, gap->first) ? row_from(e, gap->before + 1, zeros, true) : 0;
    if (n * 2 >= e->per_sector) {
        add_guess(e, gap, gap->before + 1, gap->before + 1 + n, IMAGE_CHECK_EVIDENCE_GUESSED,
                  "they lie right behind the cluster of the entry before");
        return true;
    }
    n = gap->behind && on_sector(e, gap->end) ? row_from(e, gap->behind - 1, zeros, false) : 0;
    if (n * 2 >= e->per_sector) {
        add_guess(e, gap, gap->behind - n, gap->behind, IMAGE_CHECK_EVIDENCE_GUESSED,
                  "they lie right ahead of the cluster of the entry behind");
        return true;
    }
    return false;
}

static void judge_gap(Emptied *e, const Gap *gap)
{
    uint64_t zeros = gap->end - gap->first;

    if (zeros * 2 > e->per_sector && !judge_between(e, gap) && !judge_beside(e, gap) && gap->dense &&
        (e->left + e->shared) * 2 >= zeros) {
        guess_anywhere(e, gap, "the entries around are in use");
    }
}

/* ---- a table ---- */

static uint64_t word_at(const Emptied *e, const uint8_t *table, uint32_t entry)
{
    const uint8_t *p = table + (size_t)entry * e->entry_size;

    return load_be64(p) | (e->entry_size == 16 ? load_be64(p + 8) : 0);
}

/* The cluster that an entry refers to; 0: none. */
static uint64_t cluster_of(const Emptied *e, const uint8_t *table, uint32_t entry)
{
    uint64_t word = load_be64(table + (size_t)entry * e->entry_size);
    bool compressed = word & QCOW2_OFLAG_COMPRESSED;
    uint64_t offset = compressed ? qcow2_l2_compressed_extent(e->header, word, entry).offset : word & QCOW2_OFFSET_MASK;

    return offset >> e->header->cluster_bits;
}

/* Returns true if the sector with @entry has few zeros. */
static bool nearly_full(const Emptied *e, const uint8_t *table, uint32_t entry)
{
    uint32_t first = entry / e->per_sector * e->per_sector, zeros = 0;

    for (uint32_t i = first; i < first + e->per_sector; i++) {
        zeros += !word_at(e, table, i);
    }
    return zeros * NEARLY_FULL <= e->per_sector;
}

/* The sectors beside those that are zeros wholly, where the table has any. */
static bool is_dense(const Emptied *e, const uint8_t *table, const Gap *gap, uint32_t n)
{
    uint32_t first = (uint32_t)(DIV_ROUND_UP(gap->first, e->per_sector)) * e->per_sector;
    uint32_t end = gap->end == n ? n : gap->end / e->per_sector * e->per_sector;

    return first < end && (first || end < n) && (!first || nearly_full(e, table, first - 1)) &&
           (end >= n || nearly_full(e, table, end));
}

static void look_for_gaps(Emptied *e, const Qcow2TableRef *ref, const uint8_t *table, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        Gap gap = {.table = ref->offset, .slot = ref->slot, .first = i};

        if (word_at(e, table, i)) {
            i++;
            continue;
        }
        while (i < n && !word_at(e, table, i)) {
            i++;
        }
        gap.end = i;
        gap.before = gap.first ? cluster_of(e, table, gap.first - 1) : ref->offset >> e->header->cluster_bits;
        gap.behind = i < n ? cluster_of(e, table, i) : 0;
        gap.dense = is_dense(e, table, &gap, n);
        judge_gap(e, &gap);
    }
}

static bool look_at_table(void *opaque, unsigned worker, const Qcow2TableRef *ref, const uint8_t *bytes,
                          const Qcow2L2Result *contents)
{
    Emptied *e = opaque;
    uint64_t l1_index;
    uint32_t n = ref->active ? entries_on_disk(e, ref->slot, &l1_index) : 0;

    if (!n || ref->offset % e->header->cluster_size) {
        return true;
    }
    if (is_zeros(bytes, e->header->cluster_size)) {
        smallest_add(&e->empty, &ref->offset);
    } else {
        look_for_gaps(e, ref, bytes, n);
    }
    return true;
}

/* ---- whole tables ---- */

static int compare_offsets(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static bool is_empty(const Emptied *e, const Qcow2TableRef *ref)
{
    guint i;

    return g_array_binary_search(e->empty.items, &ref->offset, compare_offsets, &i) ||
           block_source_is_hole(e->check->image->source, ref->offset, e->header->cluster_size);
}

/* Tables in holes are not shown to visitors. */
static void judge_empty_tables(Emptied *e)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(e->check->walk, &n);

    smallest_end(&e->empty);
    for (size_t i = 0; i < n; i++) {
        uint64_t l1_index;
        Gap gap = {.table = tables[i].offset, .slot = tables[i].slot};

        if (tables[i].active && (gap.end = entries_on_disk(e, gap.slot, &l1_index)) && is_empty(e, &tables[i])) {
            guess_anywhere(e, &gap, "all of it is zeros");
        }
    }
}

/* ---- what is kept ---- */

static int compare_guesses(const void *a, const void *b)
{
    const Guess *x = a, *y = b;

    if (x->certainty != y->certainty) {
        return x->certainty < y->certainty ? -1 : 1;
    }
    if (x->gap.table != y->gap.table) {
        return x->gap.table < y->gap.table ? -1 : 1;
    }
    return (x->gap.first > y->gap.first) - (x->gap.first < y->gap.first);
}

/* The cluster of the next L2 table in the file behind the one at @offset; that behind the end where it is the last. */
static uint64_t next_table(const Emptied *e, uint64_t offset)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(e->check->walk, &n);
    size_t i = FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, offset + 1);

    return i < n ? tables[i].offset >> e->header->cluster_bits : refmap_clusters(e->check->counting.refs);
}

/*
 * Which clusters were mapped there, in their order. Those of a whole table lie behind it, as it is allocated before
 * them. Where they may be anywhere, that is known only of as many as are missing.
 */
static void set_clusters(const Emptied *e, const Guess *guess, Qcow2Evidence *item)
{
    const Gap *gap = &guess->gap;

    item->anywhere = guess->end == UINT64_MAX;
    if (!item->anywhere) {
        item->first_cluster = guess->first;
        item->end_cluster = guess->end;
        item->at_end = guess->end == gap->behind && guess->first != gap->before + 1;
    } else if (!gap->first && !gap->before) {
        item->first_cluster = (gap->table >> e->header->cluster_bits) + 1;
        item->end_cluster = next_table(e, gap->table);
    } else if (item->lost == gap->end - gap->first) {
        item->end_cluster = refmap_clusters(e->check->counting.refs);
    }
}

static void add_item(Emptied *e, const Guess *guess, uint64_t leaked)
{
    const Gap *gap = &guess->gap;
    Qcow2Evidence item = {
        .kind = QCOW2_EVIDENCE_EMPTIED,
        .certainty = guess->certainty,
        .offset = gap->table,
        .size = e->header->cluster_size,
        .lost = leaked,
        .tree = QCOW2_TREE_ACTIVE,
        .entry_offset = gap->slot,
        .has_entry = true,
        .has_guest = true,
    };

    if (e->lost->items->len >= QCOW2_MAX_EVIDENCE) {
        e->lost->unlisted++;
        return;
    }
    entries_on_disk(e, gap->slot, &item.l1_index);
    item.guest_offset = ((item.l1_index << e->header->l2_bits) + gap->first) << e->header->cluster_bits;
    item.guest_size = (uint64_t)(gap->end - gap->first) << e->header->cluster_bits;
    item.reason = g_strdup(guess->reason);
    set_clusters(e, guess, &item);
    g_array_append_val(e->lost->items, item);
    /* cppcheck-suppress memleak ; the list has it */
}

static bool keep(Emptied *e, uint64_t first, uint64_t end)
{
    Qcow2Surplus s;

    for (uint64_t at = first; qcow2_next_surplus(e->check, at, end, &s); at = s.first + s.n) {
        if (!s.references && !refmap_add(e->lost->kept, s.first, s.n, 1)) {
            return false;
        }
    }
    return true;
}

/* The surer ones come first, and what they explain needs no other explanation. */
static bool keep_guessed(Emptied *e)
{
    uint64_t left = e->left;
    const GArray *guesses = smallest_end(&e->guesses);

    for (guint i = 0; i < guesses->len; i++) {
        const Guess *guess = &g_array_index(guesses, Guess, i);
        bool anywhere = guess->end == UINT64_MAX;
        uint64_t n = anywhere ? left : count_left(e, guess->first, guess->end);

        if (!n) {
            continue;
        }
        add_item(e, guess, n);
        e->lost->everything |= anywhere;
        if (!anywhere && !keep(e, guess->first, guess->end)) {
            return false;
        }
        left -= anywhere ? 0 : n;
    }
    e->lost->everything |= e->guesses.more;
    return true;
}

static bool visit_tables(Emptied *e, GError **errp)
{
    const Qcow2TableVisitor visitor = {look_at_table, e};

    return qcow2_walk_visit(e->check->walk, &visitor, errp);
}

static int compare_items(const void *a, const void *b)
{
    const Qcow2Evidence *x = a, *y = b;

    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return (x->guest_offset > y->guest_offset) - (x->guest_offset < y->guest_offset);
}

bool qcow2_find_emptied(Qcow2Check *check, Qcow2LostData *lost, GError **errp)
{
    Emptied e = {
        .check = check,
        .header = &check->image->header,
        .lost = lost,
        .entry_size = qcow2_l2_entry_size(&check->image->header),
    };
    bool ok = true;

    e.per_sector = SECTOR / e.entry_size;
    e.left = count_left(&e, 0, refmap_clusters(check->counting.refs));
    if (e.left && !qcow2_has_data_file(e.header)) {
        e.shared = count_shared(check);
        smallest_init(&e.empty, sizeof(uint64_t), G_MAXUINT, compare_offsets);
        smallest_init(&e.guesses, sizeof(Guess), MAX_GUESSES, compare_guesses);
        ok = visit_tables(&e, errp);
        if (ok) {
            judge_empty_tables(&e);
            ok = keep_guessed(&e) || qapi_set_out_of_memory(errp);
        }
        smallest_clear(&e.empty);
        smallest_clear(&e.guesses);
    }
    g_array_sort(lost->items, compare_items);
    return ok;
}
