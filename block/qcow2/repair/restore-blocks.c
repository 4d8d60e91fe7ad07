/*
 * Puts refcount blocks back into the refcount table: clusters that nothing refers to, with the counts of a block that
 * is missing. What leaks is known only then, and with it what else is lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <inttypes.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/lost-blocks.h"

#define MAX_MISSING 64                    /* entries that are looked for */
#define MAX_BYTES   (UINT64_C(256) << 20) /* that are read */

/* A cluster that has the counts of a missing block. */
typedef struct Match {
    uint64_t index; /* in the refcount table */
    uint64_t cluster;
} Match;

typedef struct Search {
    const RepairInput *in;
    const MetadataLayout *layout;
    const TargetCounts *targets;
    GArray *missing; /* uint64_t: indexes */
    GArray *matches; /* Match, in the order of the file */
    uint8_t *bytes;
} Search;

static void find_missing(Search *s)
{
    const Qcow2RefcountEntries *table = &s->in->image->refcount_table;

    for (uint64_t i = 0; i < table->n && s->missing->len < MAX_MISSING; i++) {
        if (!table->entries[i] && !qcow2_refcount_entry_unread(table, i) && target_counts_block_needed(s->targets, i)) {
            g_array_append_val(s->missing, i);
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

static void compare(Search *s, uint64_t cluster)
{
    for (guint i = 0; i < s->missing->len; i++) {
        Match match = {g_array_index(s->missing, uint64_t, i), cluster};

        if (qcow2_is_lost_block(s->in->check, s->bytes, match.index)) {
            g_array_append_val(s->matches, match);
        }
    }
}

static void find_matches(Search *s)
{
    const Qcow2HeaderFields *h = s->in->header;
    uint64_t left = MAX_BYTES >> h->cluster_bits, next;

    for (uint64_t c = 1; c < s->layout->file_clusters && left; c = next) {
        uint64_t offset = c << h->cluster_bits;

        if (may_be_block(s, c, &next) && !block_source_is_hole(s->in->image->source, offset, h->cluster_size)) {
            left--;
            if (!block_source_read(s->in->image->source, s->bytes, h->cluster_size, offset)) {
                compare(s, c);
            }
        }
    }
}

/* Returns true if no other match has the same cluster, or is for the same entry. */
static bool is_single(const Search *s, const Match *match)
{
    guint n = 0;

    for (guint i = 0; i < s->matches->len; i++) {
        const Match *other = &g_array_index(s->matches, Match, i);

        n += other->index == match->index || other->cluster == match->cluster;
    }
    return n == 1;
}

static bool is_taken(const Search *s, guint i)
{
    const Match *match = &g_array_index(s->matches, Match, i);

    for (guint k = 0; k < i; k++) {
        const Match *before = &g_array_index(s->matches, Match, k);

        if (before->index == match->index || before->cluster == match->cluster) {
            return true;
        }
    }
    return false;
}

static void add_edits(const Search *s, Edits *edits)
{
    const Qcow2HeaderFields *h = s->in->header;

    for (guint i = 0; i < s->matches->len; i++) {
        const Match *match = &g_array_index(s->matches, Match, i);
        bool single = is_single(s, match);
        uint64_t offset = match->cluster << h->cluster_bits;
        Edit edit = {
            .offset = h->refcount_table_offset + match->index * 8,
            .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
            .why = QCOW2_FINDING_LEAKED_REFCOUNT_BLOCK,
            .count = 1,
            .what = "refer to the lost refcount block",
            .has_evidence = true,
            .evidence = single ? IMAGE_CHECK_EVIDENCE_INFERRED : IMAGE_CHECK_EVIDENCE_GUESSED,
        };

        if (edit.evidence <= s->in->options->min_evidence && !is_taken(s, i)) {
            edits_add_word(edits, EDIT_PHASE_SWITCH, &edit, offset);
            repair_say(
                s->in,
                "Restoring the refcount block at 0x%" PRIx64 " as entry %" PRIu64 " of the refcount table (%s: %s)\n",
                offset, match->index, ImageCheckEvidence_str(edit.evidence),
                single ? "it has the counts that are missing there" : "several have the counts that are missing");
        }
    }
}

bool repair_restore_blocks(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                           GError **errp)
{
    Search s = {.in = in, .layout = layout, .targets = alloc->targets};
    bool writable = false;

    if (!in->options->restore || !repair_wants(in, QCOW2_FINDING_LEAKED_REFCOUNT_BLOCK) ||
        !blocks_table_sound(alloc->targets, &writable) || !writable) {
        return true;
    }
    s.missing = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    s.matches = g_array_new(FALSE, FALSE, sizeof(Match));
    s.bytes = g_malloc(in->header->cluster_size);
    find_missing(&s);
    if (s.missing->len) {
        find_matches(&s);
        add_edits(&s, edits);
    }
    g_free(s.bytes);
    g_array_unref(s.missing);
    g_array_unref(s.matches);
    return true;
}
