/*
 * Puts refcount blocks back into the refcount table: clusters that nothing refers to, with the counts of a block that
 * is missing. What leaks is known only then, and with it what else is lost; so it is done without --restore, too, where
 * one cluster alone is the block beyond doubt. A cluster that a lost L2 table may refer to is data, whatever is in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <inttypes.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/load/l2-result.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/inspect/lost-blocks.h"

#define MAX_MISSING 64                    /* entries that are looked for */
#define MAX_BYTES   (UINT64_C(256) << 20) /* that are read */
#define MANY        16                    /* counts that are right by no accident */

#define REASONS                                                                                                        \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_TOO_LOW) | QCOW2_FINDING_BIT(QCOW2_FINDING_LEAKED_REFCOUNT_BLOCK))

/* An entry of the refcount table that lacks a block, and the cluster that is likeliest the block. */
typedef struct Missing {
    uint64_t index;
    uint64_t cluster; /* the one with most counts of several; 0: none */
    uint64_t n;       /* clusters that have its counts */
    uint64_t counted; /* counts in it that are not 0 */
    bool certain;     /* many counts are right, or it counts itself */
} Missing;

typedef struct Search {
    const RepairInput *in;
    const MetadataLayout *layout;
    const TargetCounts *targets;
    Qcow2LostData *keep; /* keeps what leaks of all that have the counts of a missing block; NULL: nothing does */
    bool no_memory;
    GArray *missing; /* Missing */
    RefMap *named;   /* by what looks like an L2 table that nothing refers to */
    Qcow2L2Result *contents;
    uint8_t *bytes;
} Search;

static void find_missing(Search *s)
{
    const Qcow2RefcountEntries *table = &s->in->image->refcount_table;

    for (uint64_t i = 0; (i = target_counts_next_block(s->targets, i)) < table->n && s->missing->len < MAX_MISSING;
         i++) {
        Missing m = {.index = i};

        if (!table->entries[i] && !qcow2_refcount_entry_unread(table, i)) {
            g_array_append_val(s->missing, m);
        }
    }
}

/* Returns true if there is a block with the count of @cluster, and it says that it is free. */
static bool is_free(const Search *s, uint64_t cluster)
{
    const Qcow2RefcountEntries *table = &s->in->image->refcount_table;
    uint64_t index = cluster >> qcow2_refblock_bits(s->in->header), stored;

    return index < table->n && table->entries[index] && qcow2_stored_count(s->targets->stored, cluster, &stored) &&
           !stored;
}

/* Returns true if nothing refers to @cluster, and it is not free: the block may be one that counted itself. */
static bool may_be_block(const Search *s, uint64_t cluster, uint64_t *next)
{
    *next = cluster + 1;
    return !layout_in_structure(s->layout, cluster, next) && !refmap_get(s->layout->metadata.refs, cluster) &&
           !target_counts_computed(s->targets, cluster) && !is_free(s, cluster);
}

/* Returns true if @cluster is one of those that block @index counts. */
static bool in_own_range(const Search *s, uint64_t cluster, uint64_t index)
{
    return cluster >> qcow2_refblock_bits(s->in->header) == index;
}

/* Returns true if the block that was read has the count of its own cluster, to which nothing refers. */
static bool counts_itself(const Search *s, uint64_t cluster)
{
    uint64_t mask = (UINT64_C(1) << qcow2_refblock_bits(s->in->header)) - 1, count;

    qcow2_unpack_refcounts(s->bytes, s->in->header->refcount_order, cluster & mask, 1, &count);
    return count == 1;
}

/* How many counts of the block that was read are not 0. */
static uint64_t counted(const Search *s)
{
    uint64_t n = UINT64_C(1) << qcow2_refblock_bits(s->in->header), all = 0, counts[64];

    for (uint64_t i = 0; i < n; i += G_N_ELEMENTS(counts)) {
        qcow2_unpack_refcounts(s->bytes, s->in->header->refcount_order, i, G_N_ELEMENTS(counts), counts);
        for (size_t k = 0; k < G_N_ELEMENTS(counts); k++) {
            all += counts[k] != 0;
        }
    }
    return all;
}

/* Keeps @cluster if it is leaked. */
static void keep(Search *s, uint64_t cluster)
{
    uint64_t stored;

    if (s->keep && qcow2_stored_count(s->targets->stored, cluster, &stored) && stored &&
        !refmap_get(s->keep->kept, cluster)) {
        s->no_memory |= !refmap_add(s->keep->kept, cluster, 1, 1);
        s->keep->n_kept++;
        s->keep->n_blocks++;
    }
}

static void add_named(void *opaque, uint64_t offset, uint64_t size)
{
    Search *s = opaque;
    unsigned bits = s->in->header->cluster_bits;
    uint64_t first = offset >> bits, end = MIN((offset + size - 1) >> bits, s->layout->file_clusters - 1) + 1;

    s->no_memory |= first < end && !refmap_add(s->named, first, end - first, 1);
}

/* Notes what the cluster that was read refers to, if it may be an L2 table. */
static void note_table(Search *s, uint64_t cluster)
{
    const Qcow2HeaderFields *h = s->in->header;

    if (qcow2_may_be_l2(s->bytes, h->cluster_size, h, s->in->image->source->length)) {
        qcow2_l2_decode(h, s->bytes, s->contents);
        qcow2_l2_visit_ranges(h, s->contents, add_named, s);
    }
}

/* Compares the cluster that was read with what block @m is to have. */
static void compare(Search *s, uint64_t cluster, Missing *m)
{
    uint64_t right = qcow2_lost_block_counts(s->in->check, s->bytes, m->index), all;

    if (!right || (in_own_range(s, cluster, m->index) && !counts_itself(s, cluster))) {
        return;
    }
    keep(s, cluster);
    if (refmap_get(s->named, cluster)) {
        return;
    }
    all = counted(s);
    if (!m->n++ || all > m->counted) {
        m->cluster = cluster;
        m->counted = all;
        m->certain = right >= MANY || in_own_range(s, cluster, m->index);
    }
}

/* The first cluster at or behind @cluster that is in no hole; *end is a cluster before which there is no other hole. */
static uint64_t skip_hole(BlockSource *source, uint64_t cluster, unsigned bits, uint64_t *end)
{
    uint64_t at = cluster << bits;

    if (cluster < *end || !source->ops->next_data || at >= source->length) {
        return cluster;
    }
    at = MAX(at, source->ops->next_data(source, at));
    *end = at < source->length ? source->ops->next_hole(source, at) >> bits : UINT64_MAX;
    return at >> bits;
}

static void compare_with_missing(Search *s, uint64_t cluster)
{
    for (guint i = 0; i < s->missing->len; i++) {
        compare(s, cluster, &g_array_index(s->missing, Missing, i));
    }
}

/* Reads all clusters that may be a block, and has each looked at. */
static void visit_clusters(Search *s, void (*look)(Search *s, uint64_t cluster))
{
    const Qcow2HeaderFields *h = s->in->header;
    BlockSource *source = s->in->image->source;
    uint64_t left = MAX_BYTES >> h->cluster_bits, next, end = 0;

    for (uint64_t c = 1; c < s->layout->file_clusters && left; c = next) {
        next = skip_hole(source, c, h->cluster_bits, &end);
        if (next == c && may_be_block(s, c, &next)) {
            left--;
            if (!block_source_read(source, s->bytes, h->cluster_size, c << h->cluster_bits)) {
                look(s, c);
            }
        }
    }
}

/* How many entries before the first @end have the cluster of @m. */
static guint count_same(const Search *s, const Missing *m, guint end)
{
    guint n = 0;

    for (guint i = 0; i < end; i++) {
        n += g_array_index(s->missing, Missing, i).cluster == m->cluster;
    }
    return n;
}

/* Returns true if there is a block for entry @i, and it is to be put back, of which class *evidence is. */
static bool is_wanted(const Search *s, guint i, ImageCheckEvidence *evidence)
{
    const Missing *m = &g_array_index(s->missing, Missing, i);
    const Qcow2RepairOptions *options = s->in->options;
    bool asked = options->restore && repair_wants(s->in, QCOW2_FINDING_LEAKED_REFCOUNT_BLOCK);
    bool single = m->n == 1 && count_same(s, m, s->missing->len) == 1;

    *evidence = single ? IMAGE_CHECK_EVIDENCE_INFERRED : IMAGE_CHECK_EVIDENCE_GUESSED;
    return m->n && !count_same(s, m, i) && (m->certain || (asked && *evidence <= options->min_evidence));
}

static void add_edit(const Search *s, const Missing *m, ImageCheckEvidence evidence, Edits *edits)
{
    const Qcow2HeaderFields *h = s->in->header;
    uint64_t offset = m->cluster << h->cluster_bits;
    Edit edit = {
        .offset = h->refcount_table_offset + m->index * 8,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
        .why = repair_why(s->in, edits, REASONS),
        .count = 1,
        .what = "refer to the lost refcount block",
        .has_evidence = true,
        .evidence = evidence,
    };

    edits_add_word(edits, EDIT_PHASE_SWITCH, &edit, offset);
    repair_say(s->in,
               "Restoring the refcount block at 0x%" PRIx64 " as entry %" PRIu64 " of the refcount table (%s: %s)\n",
               offset, m->index, ImageCheckEvidence_str(evidence),
               evidence == IMAGE_CHECK_EVIDENCE_INFERRED ? "it has the counts that are missing there"
                                                         : "several have the counts that are missing");
}

static void search_begin(Search *s, const TargetCounts *t, Qcow2LostData *keep)
{
    *s = (Search){
        .in = t->in,
        .layout = t->layout,
        .targets = t,
        .keep = keep,
        .missing = g_array_new(FALSE, FALSE, sizeof(Missing)),
    };
    find_missing(s);
    if (!s->missing->len) {
        return;
    }
    s->named = refmap_new(t->layout->file_clusters);
    s->contents = qcow2_l2_result_new(t->in->header);
    s->bytes = g_malloc(t->in->header->cluster_size);
    s->no_memory = !s->contents;
    if (!s->no_memory) {
        visit_clusters(s, note_table);
        visit_clusters(s, compare_with_missing);
    }
}

static void search_end(Search *s)
{
    g_free(s->bytes);
    g_clear_pointer(&s->contents, qcow2_l2_result_free);
    g_clear_pointer(&s->named, refmap_free);
    g_array_unref(s->missing);
}

/* Returns true if a block that is put back can be referred to. */
static bool table_writable(const TargetCounts *t)
{
    bool writable;

    return blocks_table_sound(t, &writable) && writable;
}

bool restore_blocks_keep(const TargetCounts *t, Qcow2LostData *lost)
{
    Search s;

    search_begin(&s, t, lost);
    search_end(&s);
    return !s.no_memory;
}

bool repair_restore_blocks(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                           GError **errp)
{
    Search s;

    if (in->options->free_lost || !(in->options->restore || rebuild_wanted(in)) || !table_writable(alloc->targets)) {
        return true;
    }
    search_begin(&s, alloc->targets, NULL);
    for (guint i = 0; i < s.missing->len && !s.no_memory; i++) {
        ImageCheckEvidence evidence;

        if (is_wanted(&s, i, &evidence)) {
            add_edit(&s, &g_array_index(s.missing, Missing, i), evidence, edits);
        }
    }
    search_end(&s);
    return !s.no_memory || repair_no_memory(errp);
}
