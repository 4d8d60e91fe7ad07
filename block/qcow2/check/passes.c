/*
 * A check in passes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/passes.h"

#include <errno.h>
#include <inttypes.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "block/qcow2/check/compare.h"
#include "block/qcow2/check/memory.h"
#include "block/qcow2/check/refblocks.h"
#include "block/qcow2/inspect/viscera.h"
#include "util/number.h"
#include "util/size.h"

/* bytes: the counts of one piece in their widest form, and what finds them */
#define LEAST_BUDGET (UINT64_C(1) << 20)

/* where a window takes less than one part in so many, the next is larger */
#define SPARE 4

typedef struct Passes {
    Qcow2Check *check;
    MemoryBudget budget;
    Qcow2Window window; /* that is gone over; else one without clusters */
    uint64_t clusters;  /* that are to be gone over: those of the file, and those that refcount blocks have behind it */
    uint64_t step;      /* clusters of the next window, a multiple of those of a piece unless it was asked for */
    uint64_t sure;      /* clusters of which the counts fit, unless they are very large */
    GArray *uses;       /* of refcount blocks */
    GArray *faulty;     /* FaultyWindow */
    uint64_t done;      /* clusters gone over so far, those counted once more included */
    uint64_t again;     /* clusters that are to be counted once more, as far as that is known */
} Passes;

/* A window in which stored and computed counts differ. */
typedef struct FaultyWindow {
    uint64_t first;
    uint64_t end;
    uint64_t unknown; /* clusters whose stored count could not be read */
} FaultyWindow;

static Passes *passes_new(Qcow2Check *c)
{
    Passes *p = g_new0(Passes, 1);

    p->check = c;
    p->uses = qcow2_block_uses_new();
    p->faulty = g_array_new(FALSE, FALSE, sizeof(FaultyWindow));
    return p;
}

static void passes_free(Passes *p)
{
    g_array_free(p->uses, TRUE);
    g_array_free(p->faulty, TRUE);
    p->check->counting.window = NULL;
    g_free(p);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Passes, passes_free)

/* ---- how much memory there is, and for what ---- */

static bool refuse_for_memory(const Qcow2Check *c, const char *what, uint64_t needed, GError **errp)
{
    g_autofree char *needed_text = size_format(needed);
    g_autofree char *allowed_text = size_format(c->options->max_memory);

    g_set_error(errp, BLOCK_ERROR, ENOMEM, "%s %s of memory at least, and --max-memory allows %s", what, needed_text,
                allowed_text);
    return false;
}

static uint64_t base(const Qcow2Check *c)
{
    return qcow2_memory_base(c->image, &c->snapshots, &c->bitmaps, c->options->workers);
}

/* Before the tables are read, which may be too large already. */
static bool tables_fit(const Qcow2Check *c, GError **errp)
{
    uint64_t needed = base(c) + qcow2_memory_table_entries(c->image, &c->snapshots, &c->bitmaps) + LEAST_BUDGET;

    return !c->options->max_memory || needed <= c->options->max_memory ||
           refuse_for_memory(c, "this image needs", needed, errp);
}

static uint64_t tables_memory(const Qcow2Check *c)
{
    const Qcow2Tables *const tables[] = {c->regions.l1_tables, c->regions.bitmap_tables};
    uint64_t bytes = 0;

    for (size_t t = 0; t < G_N_ELEMENTS(tables); t++) {
        size_t n_spans;
        const Qcow2TableSpan *spans = qcow2_tables_spans(tables[t], &n_spans);

        bytes += n_spans * 2 * sizeof(*spans);
        for (size_t i = 0; i < n_spans; i++) {
            bytes += spans[i].slots ? spans[i].n * sizeof(*spans[i].slots) : 0;
        }
    }
    return bytes;
}

/* What windows leave behind them. */
static uint64_t remembered(const Passes *p)
{
    const Qcow2Check *c = p->check;

    return qcow2_walk_fault_bytes(c->walk) + qcow2_counting_overflow_bytes(&c->counting) +
           2 * qcow2_block_uses_bytes(p->uses) + 2 * (uint64_t)p->faulty->len * sizeof(FaultyWindow);
}

static uint64_t round_to_piece(uint64_t clusters)
{
    uint64_t rounded;

    return align_up_u64(MAX(clusters, 1), COUNTERS_PER_PIECE, &rounded) ? rounded : COUNTERS_PER_PIECE;
}

static void say_passes(const Passes *p)
{
    const Qcow2CheckOptions *o = p->check->options;
    uint64_t passes = DIV_ROUND_UP(refmap_clusters(p->check->counting.refs), p->sure);
    g_autofree char *needed = size_format(p->check->memory_estimate);
    g_autofree char *allowed = size_format(o->max_memory);

    if (o->messages && p->check->memory_estimate > o->max_memory && passes > 1) {
        fprintf(o->messages,
                "This image may take up to %s of memory, and --max-memory allows %s: its tables are read in up to "
                "%" PRIu64 " passes, and more where much is wrong with it.\n",
                needed, allowed, passes);
    }
}

/* Finds out which tables there are, and how much memory that leaves for counts. */
static bool make_plan(Passes *p, GError **errp)
{
    const Qcow2Check *c = p->check;
    const Qcow2CheckOptions *o = c->options;
    uint64_t fixed = base(c) + tables_memory(c);
    uint64_t viscera = o->viscera ? qcow2_viscera_memory(c->image, &c->snapshots, &c->bitmaps, &c->regions) : 0;
    uint64_t finding = qcow2_walk_finding_bytes(c->regions.l1_tables);

    if (o->max_memory && fixed + finding + LEAST_BUDGET > o->max_memory) {
        return refuse_for_memory(c, "this image needs", fixed + finding + LEAST_BUDGET, errp);
    }
    if (o->max_memory && fixed + viscera > o->max_memory) {
        return refuse_for_memory(c, "showing the metadata of this image needs", fixed + viscera, errp);
    }
    fixed += qcow2_walk_find_tables(c->walk) * QCOW2_WALK_TABLE_BYTES;
    p->budget.limit = o->max_memory ? o->max_memory - fixed : UINT64_MAX;
    p->sure = p->budget.limit / qcow2_memory_per_cluster(&c->image->header) & ~(uint64_t)(COUNTERS_PER_PIECE - 1);
    p->sure = MAX(p->sure, COUNTERS_PER_PIECE);
    return true;
}

/* Clusters that refcount blocks have counts of, if the table has all of them. */
static uint64_t clusters_in_blocks(const Qcow2Image *image)
{
    return (uint64_t)image->refcount_table.n << qcow2_refblock_bits(&image->header);
}

static void plan_windows(Passes *p)
{
    const Qcow2Check *c = p->check;

    p->clusters = refmap_clusters(c->counting.refs) + 1;
    if (c->options->window) {
        p->step = c->options->window;
    } else {
        p->clusters = MAX(p->clusters, clusters_in_blocks(c->image));
        p->step = p->clusters;
    }
}

/* ---- windows ---- */

/* Frees what there is of the last window. */
static void leave_window(Passes *p)
{
    Qcow2Check *c = p->check;

    g_clear_pointer(&c->stored, qcow2_stored_counts_free);
    p->window = (Qcow2Window){.first = UINT64_MAX, .end = UINT64_MAX, .budget = &p->budget};
    qcow2_counting_start_window(&c->counting, &p->window);
#ifdef __GLIBC__
    malloc_trim(0); /* what one thread has freed is no use to the others */
#endif
    p->budget.used = remembered(p);
}

static void enter_window(Passes *p, uint64_t first, uint64_t end, bool again)
{
    p->window = (Qcow2Window){.first = first, .end = end, .again = again, .budget = &p->budget};
    qcow2_counting_start_window(&p->check->counting, &p->window);
}

/* Clusters of the window that are there. */
static uint64_t window_size(const Passes *p)
{
    return MIN(p->window.end, p->clusters) - p->window.first;
}

static bool load_counts(Qcow2Check *c, GError **errp)
{
    qcow2_check_enter_phase(c, CHECK_PHASE_REFCOUNTS);
    c->stored = qcow2_stored_counts_load_window(c->image->source, &c->image->header, &c->image->refcount_table,
                                                c->counting.window, c->options, errp);
    qcow2_check_enter_phase(c, CHECK_PHASE_TABLES);
    return c->stored != NULL;
}

static uint64_t compare(const Qcow2Check *c, Qcow2Report *report)
{
    return qcow2_compare_window(&c->image->header, c->stored, c->counting.refs, c->counting.window, report);
}

/* ---- first the faults of entries, and where counts differ ---- */

/* Remembers the window if stored and computed counts differ anywhere in it. */
static void look_for_differences(Passes *p)
{
    Qcow2Report report = {.max_messages = 1}; /* and then it only counts */
    uint64_t used_end = compare(p->check, &report);
    FaultyWindow faulty = {p->window.first, p->window.end, report.count_by_kind[QCOW2_FINDING_REFCOUNT_UNREADABLE]};

    p->check->used_end = MAX(p->check->used_end, used_end);
    if (report.corruptions || report.leaks || report.check_errors) {
        g_array_append_val(p->faulty, faulty);
        p->again += window_size(p);
    }
}

static bool count_all(Passes *p, GError **errp)
{
    Qcow2Check *c = p->check;

    if (!load_counts(c, errp) || !qcow2_regions_count(&c->regions, &c->counting, errp) ||
        !qcow2_walk_count_window(c->walk, c->stored, errp) || !qcow2_check_source_there(c, errp)) {
        return false;
    }
    if (!qcow2_counting_finish(&c->counting)) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
        return false;
    }
    return qcow2_count_refcount_blocks_in_window(&c->image->refcount_table, &c->counting, p->uses, errp);
}

static bool count_window(Passes *p, GError **errp)
{
    Qcow2Check *c = p->check;
    uint64_t overflows = c->counting.overflows;
    guint uses = p->uses->len;

    if (!count_all(p, errp)) {
        qcow2_walk_drop_window(c->walk);
        qcow2_counting_forget_overflows(&c->counting, overflows);
        g_array_set_size(p->uses, uses);
        return false;
    }
    look_for_differences(p);
    return qcow2_walk_keep_window(c->walk, errp);
}

/* ---- then what is said of the counts that differ ---- */

static bool report_window(Passes *p, GError **errp)
{
    Qcow2Check *c = p->check;
    g_autoptr(GArray) uses = qcow2_block_uses_new();
    int error = 0;

    if (!load_counts(c, errp) || !qcow2_regions_count(&c->regions, &c->counting, errp) ||
        !qcow2_walk_recount_window(c->walk, c->stored, &error, errp) || !qcow2_check_source_there(c, errp)) {
        return false;
    }
    qcow2_counting_lower(&c->counting);
    if (!qcow2_count_refcount_blocks_in_window(&c->image->refcount_table, &c->counting, uses, errp)) {
        return false;
    }
    if (error) {
        qcow2_report_failure(&c->report, error);
    }
    qcow2_check_enter_phase(c, CHECK_PHASE_COMPARING);
    compare(c, &c->report);
    return true;
}

/* ---- window by window ---- */

/* Tells what there is still to read, as far as that can be said. */
static void expect(const Passes *p)
{
    CheckProgress *progress = p->check->options->progress;
    const Qcow2HeaderFields *h = &p->check->image->header;
    uint64_t left = (p->clusters + p->again - p->done + window_size(p) - 1) / window_size(p);
    size_t n_tables;

    if (progress) {
        qcow2_walk_tables(p->check->walk, &n_tables);
        __atomic_store_n(&progress->bytes_expected,
                         __atomic_load_n(&progress->bytes_done, __ATOMIC_RELAXED) +
                             (left * n_tables << h->cluster_bits),
                         __ATOMIC_RELAXED);
    }
}

/* Makes the window smaller that was too large; false where it cannot be. */
static bool shrink(Passes *p)
{
    uint64_t size = window_size(p);

    p->step = size > p->sure ? MAX(round_to_piece(size / 2), p->sure) : round_to_piece(size / 2);
    return p->step < size;
}

static bool refuse_faults(const Passes *p, GError **errp)
{
    g_autofree char *allowed = size_format(p->check->options->max_memory);

    g_set_error(errp, BLOCK_ERROR, ENOMEM,
                "what is wrong with this image takes more memory than --max-memory allows, %s", allowed);
    return false;
}

/* Has the clusters from @first on, but not from @end on, gone over in a window as large as there is memory for. */
static bool go_over_window(Passes *p, uint64_t first, uint64_t end, bool again, bool (*pass)(Passes *, GError **),
                           GError **errp)
{
    for (;;) {
        g_autoptr(GError) error = NULL;
        bool last = p->step >= p->clusters - first;
        bool whole = last || (end != UINT64_MAX && p->step >= end - first);

        enter_window(p, first, whole ? end : first + p->step, again);
        expect(p);
        p->check->passes++;
        if (pass(p, &error)) {
            return true;
        }
        if (!memory_budget_exceeded(&p->budget)) {
            g_propagate_error(errp, g_steal_pointer(&error));
            return false;
        }
        if (!shrink(p)) {
            return refuse_faults(p, errp);
        }
        leave_window(p);
    }
}

static bool go_over(Passes *p, uint64_t first, uint64_t end, bool again, bool (*pass)(Passes *, GError **),
                    GError **errp)
{
    while (first < end) {
        uint64_t before = p->budget.used;

        if (!go_over_window(p, first, end, again, pass, errp)) {
            return false;
        }
        first = p->window.end;
        p->done += window_size(p);
        if (!p->check->options->window && (p->budget.used - before) < (p->budget.limit - before) / SPARE) {
            p->step = p->step > p->clusters / 2 ? p->clusters : p->step * 2;
        }
        leave_window(p);
    }
    return true;
}

/* What could not be read the first time and can be now may have hidden a wrong flag. */
static void note_if_better(Passes *p, const FaultyWindow *faulty, uint64_t before)
{
    Qcow2Report *report = &p->check->report;

    if (report->count_by_kind[QCOW2_FINDING_REFCOUNT_UNREADABLE] - before < faulty->unknown) {
        qcow2_report_failure(report, EIO);
    }
}

static bool report_counts(Passes *p, GError **errp)
{
    const Qcow2Report *report = &p->check->report;

    for (guint i = 0; i < p->faulty->len; i++) {
        FaultyWindow faulty = g_array_index(p->faulty, FaultyWindow, i);
        uint64_t unknown = report->count_by_kind[QCOW2_FINDING_REFCOUNT_UNREADABLE];

        if (!go_over(p, faulty.first, faulty.end, true, report_window, errp)) {
            return false;
        }
        note_if_better(p, &faulty, unknown);
    }
    return true;
}

/* Which entries refer to clusters that have too many references is known only now. */
static bool find_overflows(Passes *p, GError **errp)
{
    g_autoptr(GError) error = NULL;
    bool ok = qcow2_walk_finish(p->check->walk, &error);

    if (memory_budget_exceeded(&p->budget)) {
        return refuse_faults(p, errp);
    }
    if (!ok) {
        g_propagate_error(errp, g_steal_pointer(&error));
    }
    return ok;
}

static bool count_and_report(Passes *p, GError **errp)
{
    Qcow2Check *c = p->check;
    const Qcow2HeaderFields *h = &c->image->header;

    if (!go_over(p, 0, UINT64_MAX, false, count_window, errp) || !find_overflows(p, errp)) {
        return false;
    }
    qcow2_check_report_regions(c);
    qcow2_report_refcount_blocks(&c->image->refcount_table, &c->counting, p->uses, &c->report);
    if (!report_counts(p, errp)) {
        return false;
    }
    c->used_end = MAX(c->used_end, 1); /* as qcow2_compare_refcounts() has it */
    if (!load_counts(c, errp)) {       /* of no cluster: only the places of blocks are asked for */
        return false;
    }
    qcow2_walk_set_stored(c->walk, c->stored);
    qcow2_walk_report_copied(c->walk, h->l1_table_offset, h->l1_size, &c->report);
    qcow2_report_summary(&c->report);
    return true;
}

bool qcow2_check_in_passes(Qcow2Check *c, GError **errp)
{
    g_autoptr(Passes) p = passes_new(c);

    if (!tables_fit(c, errp) ||
        !qcow2_regions_init(&c->regions, c->image, &c->snapshots, &c->bitmaps, c->options, errp)) {
        return false;
    }
    qcow2_counting_init(&c->counting, &c->image->header, c->image->source->length);
    c->walk = qcow2_walk_new(c->image->source, c->regions.l1_tables, NULL, &c->counting, c->options);
    if (!make_plan(p, errp)) {
        return false;
    }
    plan_windows(p);
    say_passes(p);
    leave_window(p);
    return count_and_report(p, errp);
}
