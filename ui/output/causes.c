/*
 * The entries that cause the findings: see ui/output/causes.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/causes.h"

#include "util/search.h"

#define ENTRY_BYTES 8u
#define MOST_NAMES  100u /* of snapshots: there may be many, and each is compared with all */
#define BIT(kind)   (UINT64_C(1) << QCOW2_FINDING_##kind)

/* Faults of an entry of an L1 or L2 table itself. */
#define ENTRY_FAULTS                                                                                                   \
    (BIT(L1_RESERVED_BITS) | BIT(L2_TABLE_UNALIGNED) | BIT(L2_RESERVED_BITS) | BIT(COMPRESSED_COPIED) |                \
     BIT(COMPRESSED_WITH_DATA_FILE) | BIT(COMPRESSED_WITH_SUBCLUSTERS) | BIT(SUBCLUSTERS_CONTRADICT) |                 \
     BIT(DATA_UNALIGNED) | BIT(PREALLOCATED_UNALIGNED) | BIT(UNALLOCATED_WITH_SUBCLUSTERS) | BIT(REGION_BEYOND_END))

G_STATIC_ASSERT(QCOW2_FINDING__MAX <= 64);

static bool is_data(ImageCheckStructure structure)
{
    return structure == IMAGE_CHECK_STRUCTURE_DATA || structure == IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA;
}

static bool is_metadata(ImageCheckStructure structure)
{
    return !is_data(structure) && structure != IMAGE_CHECK_STRUCTURE_NONE &&
           structure != IMAGE_CHECK_STRUCTURE_BITMAP_DATA;
}

static void add_name(GPtrArray *names, const char *name)
{
    for (guint i = 0; i < names->len; i++) {
        if (g_str_equal(g_ptr_array_index(names, i), name)) {
            return;
        }
    }
    if (names->len == MOST_NAMES) {
        return;
    }
    g_ptr_array_add(names, (char *)name);
}

static void add_place(Causes *c, const Qcow2Allocation *guest, const char *snapshot)
{
    if (snapshot) {
        add_name(c->snapshots, snapshot);
    } else if (guest) {
        g_array_append_val(c->guest, *guest);
    }
}

static void add_words(Causes *c, const ImageCheck *check, ImageCheckStructure structure, uint64_t first, uint64_t n)
{
    CauseWords words = {.first = first, .n = MAX(n, 1), .table = first - first % check->cluster_size};

    c->structure = c->words->len && c->structure != structure ? IMAGE_CHECK_STRUCTURE_NONE : structure;
    g_array_append_val(c->words, words);
}

/* ---- which entries are damaged ---- */

static bool is_entry_fault(const ImageCheckFinding *f)
{
    bool table = f->structure == IMAGE_CHECK_STRUCTURE_L1 || f->structure == IMAGE_CHECK_STRUCTURE_L2;

    return table && f->has_entry_offset && (ENTRY_FAULTS >> f->kind & 1);
}

/* Whether the structure of @f is what uses the clusters that it is about, rather than the table with the faulty word.
 */
static bool is_about_users(const ImageCheckFinding *f)
{
    return f->kind != QCOW2_FINDING_L1_COPIED_WRONG && f->kind != QCOW2_FINDING_L2_COPIED_WRONG;
}

/*
 * Of metadata and guest data in one cluster the entry that leads to the data is wrong: metadata has its own place. Of
 * bits of a bitmap and guest data either may be.
 */
static void add_data_on_metadata(Causes *c, const ImageCheck *check, const ImageCheckFinding *f)
{
    unsigned metadata = is_metadata(f->structure) ? 1u << f->structure : 0;

    for (size_t i = 0; i < f->other_users.len; i++) {
        ImageCheckStructure structure = f->other_users.items[i].structure;

        metadata |= is_metadata(structure) ? 1u << structure : 0;
    }
    if (!metadata) {
        return;
    }
    if (is_data(f->structure) && f->has_entry_offset) {
        add_words(c, check, IMAGE_CHECK_STRUCTURE_L2, f->entry_offset, 1);
        add_place(c, f->guest, f->snapshot);
        c->leads_to |= metadata;
    }
    for (size_t i = 0; i < f->other_users.len; i++) {
        const ImageCheckUser *user = &f->other_users.items[i];

        if (is_data(user->structure) && user->has_entry_offset) {
            add_words(c, check, IMAGE_CHECK_STRUCTURE_L2, user->entry_offset, 1);
            add_place(c, user->guest, user->snapshot);
            c->leads_to |= metadata;
        }
    }
}

static void find_words(Causes *c, const ImageCheck *check)
{
    g_auto(QapiIterator) each = qapi_iterate(&check->findings);

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if (f->severity != IMAGE_CHECK_SEVERITY_CORRUPTION || f->fixed) {
            continue;
        }
        if (is_entry_fault(f)) {
            add_words(c, check, f->structure, f->entry_offset, (uint64_t)f->count);
            add_place(c, f->guest, f->snapshot);
        } else if (is_about_users(f)) {
            add_data_on_metadata(c, check, f);
        }
    }
}

/* Entries are found once for each tree that has their table, and for each cluster that they lead to. */
static void sort_words(Causes *c)
{
    g_autoptr(GArray) all = g_steal_pointer(&c->words);

    ARRAY_SORT(all, CauseWords, first);
    c->words = g_array_new(FALSE, FALSE, sizeof(CauseWords));
    for (guint i = 0; i < all->len; i++) {
        const CauseWords *words = &g_array_index(all, CauseWords, i);
        CauseWords *last = c->words->len ? &g_array_index(c->words, CauseWords, c->words->len - 1) : NULL;

        if (last && last->first == words->first) {
            c->n_words += words->n > last->n ? words->n - last->n : 0;
            last->n = MAX(last->n, words->n);
            continue;
        }
        c->n_words += words->n;
        c->n_tables += !last || last->table != words->table;
        g_array_append_val(c->words, *words);
    }
}

static void join_ranges(Causes *c)
{
    g_autoptr(GArray) all = g_steal_pointer(&c->guest);

    ARRAY_SORT(all, Qcow2Allocation, offset);
    c->guest = g_array_new(FALSE, FALSE, sizeof(Qcow2Allocation));
    for (guint i = 0; i < all->len; i++) {
        const Qcow2Allocation *range = &g_array_index(all, Qcow2Allocation, i);
        Qcow2Allocation *last = c->guest->len ? &g_array_index(c->guest, Qcow2Allocation, c->guest->len - 1) : NULL;

        if (last && range->offset - last->offset <= last->size) {
            last->size = MAX(last->size, range->offset - last->offset + range->size);
        } else {
            g_array_append_val(c->guest, *range);
        }
    }
}

/* ---- what they cause ---- */

static bool has_word(const Causes *c, bool has_entry, uint64_t offset)
{
    guint low = 0, high = c->words->len;

    while (has_entry && low < high) {
        guint middle = low + (high - low) / 2;
        const CauseWords *words = &g_array_index(c->words, CauseWords, middle);

        if (offset < words->first) {
            high = middle;
        } else if ((offset - words->first) / ENTRY_BYTES < words->n) {
            return true;
        } else {
            low = middle + 1;
        }
    }
    return false;
}

static bool is_caused(const Causes *c, const ImageCheckFinding *f)
{
    bool caused = has_word(c, f->has_entry_offset, f->entry_offset);

    for (size_t i = 0; i < f->other_users.len && !caused; i++) {
        caused = has_word(c, f->other_users.items[i].has_entry_offset, f->other_users.items[i].entry_offset);
    }
    return caused;
}

static bool overlaps(const GArray *ranges, const Qcow2Allocation *range)
{
    guint low = 0, high = ranges->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const Qcow2Allocation *other = &g_array_index(ranges, Qcow2Allocation, middle);

        if (range->offset >= other->offset && range->offset - other->offset >= other->size) {
            low = middle + 1;
        } else if (other->offset >= range->offset && other->offset - range->offset >= range->size) {
            high = middle;
        } else {
            return true;
        }
    }
    return false;
}

/*
 * What a damaged entry led to leaks: a cluster that a snapshot has for the same guest range, or one that nothing has.
 * Of the latter there can be no more than entries.
 */
static void count_leaks(Causes *c, const ImageCheck *check)
{
    g_auto(QapiIterator) each = qapi_iterate(&check->findings);
    uint64_t unused = 0;

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if (f->kind != QCOW2_FINDING_LEAK || f->fixed) {
            continue;
        }
        if (!f->guest) {
            unused += (uint64_t)f->count;
        } else if (f->snapshot && overlaps(c->guest, f->guest)) {
            c->leaks += (uint64_t)f->count;
            add_name(c->intact, f->snapshot);
        }
    }
    c->leaks += unused <= c->n_words ? unused : 0;
}

static void count_errors(Causes *c, const ImageCheck *check)
{
    g_auto(QapiIterator) each = qapi_iterate(&check->findings);

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        bool caused = f->severity == IMAGE_CHECK_SEVERITY_CORRUPTION && !f->fixed && is_caused(c, f);

        c->errors += caused ? (uint64_t)f->count : 0;
    }
}

void causes_init(Causes *c, const ImageCheck *check)
{
    *c = (Causes){
        .words = g_array_new(FALSE, FALSE, sizeof(CauseWords)),
        .guest = g_array_new(FALSE, FALSE, sizeof(Qcow2Allocation)),
        .snapshots = g_ptr_array_new(),
        .intact = g_ptr_array_new(),
    };
    find_words(c, check);
    sort_words(c);
    join_ranges(c);
    if (c->words->len) {
        count_errors(c, check);
        count_leaks(c, check);
    }
}

void causes_clear(Causes *c)
{
    g_clear_pointer(&c->words, g_array_unref);
    g_clear_pointer(&c->guest, g_array_unref);
    g_clear_pointer(&c->snapshots, g_ptr_array_unref);
    g_clear_pointer(&c->intact, g_ptr_array_unref);
}
