/*
 * The judgement.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/judgement.h"

#include <assert.h>

#include "block/clusters/ranges.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/unreadable.h"
#include "qapi/util.h"
#include "util/number.h"

#define RANGES_LISTED 1000u
#define MAX_LOOKS     (1u << 20) /* at counts behind the end of the file */
#define BIT(kind)     QCOW2_FINDING_BIT(QCOW2_FINDING_##kind)

/* Corruptions that endanger no data: the guest reads what it wrote, and a write does no harm. */
#define HARMLESS                                                                                                       \
    (BIT(SNAPSHOT_INCOMPLETE) | BIT(SNAPSHOTS_WITH_DATA_FILE) | BIT(BITMAP_DIRECTORY_DAMAGED) | BIT(BITMAP_DAMAGED) |  \
     BIT(BITMAP_TABLE_ENTRY))

/* Corruptions that are so for some entries only: Qcow2Report.dangerous has their number. */
#define HARMLESS_OR_NOT (BIT(L1_COPIED_WRONG) | BIT(L2_COPIED_WRONG))

/* What is lost, in clusters of the guest's disk, and elsewhere. */
typedef struct Losses {
    const Qcow2Check *check;
    GArray *ranges;      /* Qcow2ClusterRange: of the active disk */
    uint64_t more;       /* clusters that are not among them */
    bool elsewhere;      /* in a snapshot, or in places that are not known */
    bool bitmaps_cut;    /* the file ends within the directory or the table of bitmaps */
    bool is_cut;         /* the file ends within plain data, which may have ended with zeros */
    Qcow2Allocation cut; /* what the first such cluster of the disk lacks, bytes of the guest; empty: no such cluster */
    uint64_t disk;       /* clusters of the disk */
} Losses;

static void lose(Losses *l, uint64_t offset, uint64_t size)
{
    unsigned bits = l->check->image->header.cluster_bits;
    uint64_t first = offset >> bits, end;

    if (first < l->disk && size) {
        end = size > UINT64_MAX - offset ? l->disk : MIN(DIV_ROUND_UP(offset + size, UINT64_C(1) << bits), l->disk);
        g_array_append_val(l->ranges, ((Qcow2ClusterRange){.first = first, .n = end - first}));
    }
}

/* A plain cluster that is cut may have lost zeros: nobody knows. What could not be read may be read tomorrow. */
static void lose_end(Losses *l, const Qcow2Unreadable *u, const Qcow2Location *location, bool active)
{
    uint64_t kept = MIN(l->check->image->source->length - u->offset, location->guest_size);

    assert(u->offset < l->check->image->source->length);
    l->is_cut = true;
    if (active && !l->cut.size) {
        l->cut = (Qcow2Allocation){location->guest_offset + kept, location->guest_size - kept};
    }
}

static void lose_unreadable(Losses *l, const Qcow2JudgementInput *in)
{
    for (guint i = 0; i < in->unreadable->len; i++) {
        const Qcow2Unreadable *u = &g_array_index(in->unreadable, Qcow2Unreadable, i);
        Qcow2Location location;
        const Qcow2Tree *tree = qcow2_unreadable_location(l->check, u, &location);

        if (!tree || u->reason == QCOW2_UNREADABLE_NOT_READ) {
            continue;
        }
        if (u->reason == QCOW2_UNREADABLE_DATA_CUT) {
            lose_end(l, u, &location, tree->snapshot == QCOW2_TREE_ACTIVE);
        } else if (tree->snapshot == QCOW2_TREE_ACTIVE) {
            lose(l, location.guest_offset, location.guest_size);
        } else {
            l->elsewhere = true;
        }
    }
    l->more += in->unreadable_more;
}

static bool entry_leads_nowhere(const Losses *l, uint64_t value)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;

    return table % l->check->image->header.cluster_size || table >= l->check->image->source->length;
}

/* L1 entries that name no table in the file. */
static void lose_tables(Losses *l)
{
    const Qcow2Check *c = l->check;
    const Qcow2HeaderFields *h = &c->image->header;
    unsigned reach = h->l2_bits + h->cluster_bits;
    uint64_t first = 0, n;
    const uint64_t *slots;

    if (!c->report.count_by_kind[QCOW2_FINDING_L2_TABLE_UNALIGNED] &&
        !c->report.count_by_kind[QCOW2_FINDING_REGION_BEYOND_END]) {
        return;
    }
    while ((n = qcow2_tables_part(c->regions.l1_tables, h->l1_table_offset, h->l1_size, &first, &slots))) {
        for (uint64_t i = 0; i < n; i++) {
            if (slots[i] && entry_leads_nowhere(l, slots[i])) {
                lose(l, (first + i) << reach, UINT64_C(1) << reach);
            }
        }
        first += n;
    }
    if (h->l1_size && h->l1_table_offset >= c->image->source->length) {
        lose(l, 0, h->size); /* the L1 table */
    }
}

/* Without its header nothing of an encrypted disk can be read. */
static void lose_key(Losses *l)
{
    if (l->check->luks.state == QCOW2_LUKS_GONE) {
        lose(l, 0, l->check->image->header.size);
    }
}

static bool is_of_bitmaps(const Qcow2Evidence *e)
{
    return e->kind == QCOW2_EVIDENCE_CUT_OFF && (e->structure == IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY ||
                                                 e->structure == IMAGE_CHECK_STRUCTURE_BITMAP_TABLE);
}

/* What leaks and may be the last copy. */
static void lose_leaked(Losses *l, const Qcow2LostData *lost)
{
    for (guint i = 0; i < lost->items->len; i++) {
        const Qcow2Evidence *e = &g_array_index(lost->items, Qcow2Evidence, i);
        bool known = e->has_guest && e->tree == QCOW2_TREE_ACTIVE && e->certainty != IMAGE_CHECK_EVIDENCE_GUESSED;

        if (is_of_bitmaps(e)) {
            l->bitmaps_cut = true;
            continue;
        }
        if (known && (e->kind != QCOW2_EVIDENCE_EMPTIED || e->lost)) {
            lose(l, e->guest_offset, e->guest_size);
        } else {
            l->elsewhere = true;
        }
    }
    l->elsewhere |= lost->unlisted != 0;
}

static bool list_ranges(const Losses *l, ImageCheck *result, GError **errp)
{
    const Qcow2HeaderFields *h = &l->check->image->header;
    guint listed = MIN(l->ranges->len, RANGES_LISTED);

    result->has_guest_bytes_lost = result->has_guest_ranges_lost = true;
    result->guest_bytes_lost = l->more << h->cluster_bits;
    result->guest_ranges_lost = l->ranges->len;
    result->has_guest_lost = listed != 0;
    for (guint i = 0; i < l->ranges->len; i++) {
        const Qcow2ClusterRange *range = &g_array_index(l->ranges, Qcow2ClusterRange, i);
        uint64_t offset = range->first << h->cluster_bits;
        uint64_t size = MIN(range->n << h->cluster_bits, h->size - offset);
        Qcow2Allocation *item;

        result->guest_bytes_lost += size;
        if (i >= listed) {
            continue;
        }
        item = qapi_append_Qcow2Allocation(&result->guest_lost);
        if (!item) {
            return qapi_set_out_of_memory(errp);
        }
        *item = (Qcow2Allocation){.offset = offset, .size = size};
    }
    return true;
}

/*
 * The cluster behind the last one with a stored count, also where the file does not reach. A check does not look there,
 * and a table may name a block any number of times: after so many looks it is a lower bound.
 */
static uint64_t stored_end(const Qcow2Check *c)
{
    uint64_t size = UINT64_C(1) << qcow2_stored_counts_piece_bits(c->stored), end = c->report.stored_end;
    uint64_t at = qcow2_stored_counts_next(c->stored, refmap_clusters(c->counting.refs));

    for (unsigned looks = 0; at != UINT64_MAX && looks < MAX_LOOKS; looks++) {
        const Counters *piece = qcow2_stored_counts_piece(c->stored, at);
        size_t first = at & (size - 1);
        size_t used = piece ? counters_used(piece, first, size - first) : 0;

        end = used ? at + (used - first) : end;
        at = qcow2_stored_counts_next(c->stored, at + (size - first));
    }
    return end;
}

/* ---- in one word ---- */

/* Programs set all counts right before they write to an image with the dirty bit. */
static bool counts_are_rebuilt(const Qcow2Check *c)
{
    return (c->image->header.incompatible_features & QCOW2_INCOMPAT_DIRTY) && !c->report.dangerous;
}

static bool at_risk(const Qcow2Check *c, const Qcow2JudgementInput *in)
{
    uint64_t harmless = HARMLESS | HARMLESS_OR_NOT;

    if (counts_are_rebuilt(c)) {
        harmless |= BIT(REFCOUNT_TOO_LOW);
    }
    if (in->shared || c->report.dangerous) {
        return true;
    }
    for (unsigned kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if (c->report.count_by_kind[kind] && qcow2_finding_severity(kind) == IMAGE_CHECK_SEVERITY_CORRUPTION &&
            !(harmless >> kind & 1)) {
            return true;
        }
    }
    return false;
}

static void judge_unknown(ImageCheck *result, ImageCheckUnknown reason)
{
    result->judgement = IMAGE_CHECK_JUDGEMENT_UNKNOWN;
    result->has_unknown_because = true;
    result->unknown_because = reason;
}

/* What leaks where something could not be examined is no evidence. */
static void judge(const Qcow2Check *c, const Qcow2JudgementInput *in, const Losses *l, ImageCheck *result)
{
    const Qcow2Report *r = &c->report;
    bool counts_go_on = result->has_file_length_least && result->file_length_least >= result->file_length;

    if (result->guest_bytes_lost || l->elsewhere) {
        result->judgement = IMAGE_CHECK_JUDGEMENT_DATA_LOST;
    } else if (r->check_errors || r->failure) {
        judge_unknown(result, IMAGE_CHECK_UNKNOWN_CHECK_ERRORS);
    } else if (in->changed) {
        judge_unknown(result, IMAGE_CHECK_UNKNOWN_CHANGED);
    } else if (at_risk(c, in)) {
        result->judgement = IMAGE_CHECK_JUDGEMENT_DATA_AT_RISK;
    } else if (c->luks.state != QCOW2_LUKS_WHOLE) {
        judge_unknown(result, IMAGE_CHECK_UNKNOWN_ENCRYPTION_HEADER);
    } else if (l->is_cut) {
        judge_unknown(result, IMAGE_CHECK_UNKNOWN_DATA_CUT_OFF);
    } else if (r->corruptions || r->leaks || in->bitmaps_doubtful || l->bitmaps_cut || counts_go_on ||
               (c->image->header.incompatible_features & QCOW2_INCOMPAT_CORRUPT)) {
        result->judgement = IMAGE_CHECK_JUDGEMENT_BOOKKEEPING;
    } else {
        result->judgement = IMAGE_CHECK_JUDGEMENT_SOUND;
    }
}

bool qcow2_judge(const Qcow2Check *c, const Qcow2JudgementInput *in, ImageCheck *result, GError **errp)
{
    const Qcow2HeaderFields *h = &c->image->header;
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));
    uint64_t end = stored_end(c);
    Losses losses = {.check = c, .ranges = ranges, .disk = DIV_ROUND_UP(h->size, h->cluster_size)};

    lose_unreadable(&losses, in);
    lose_tables(&losses);
    lose_key(&losses);
    if (!c->report.check_errors && !c->report.failure) {
        lose_leaked(&losses, in->lost);
    }
    qcow2_cluster_ranges_sort(ranges);
    if (!list_ranges(&losses, result, errp)) {
        return false;
    }
    result->has_judgement = true;
    result->file_length = c->image->source->length;
    result->has_file_length = true;
    result->has_file_length_least = end != 0;
    result->file_length_least = end ? (end - 1) << h->cluster_bits : 0;
    judge(c, in, &losses, result);
    if (losses.cut.size) {
        result->guest_cut_off = g_memdup2(&losses.cut, sizeof(losses.cut));
    }
    result->has_bytes_kept_as_lost = in->searched;
    result->bytes_kept_as_lost = in->lost->n_kept << h->cluster_bits;
    return true;
}
