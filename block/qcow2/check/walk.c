/*
 * Walking the trees of an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/walk.h"

#include <assert.h>
#include <errno.h>

#include "block/io/prefetch.h"

struct Qcow2Walk {
    BlockSource *source;
    const Qcow2HeaderFields *header;
    const Qcow2Tables *l1_tables;
    const Qcow2StoredCounts *stored;
    Qcow2Counting *counting;
    BlockReadOptions options;
    uint64_t max_faults;                      /* that are kept in full; 0: any number */
    const Qcow2TableVisitor *const *visitors; /* of the pass under way, ending with NULL; NULL = none */

    GArray *tables;      /* Qcow2TableRef, sorted by offset; NULL before they are counted */
    Qcow2Faults *faults; /* of all tables */
    uint64_t quota;      /* of faults that are kept in full */

    Qcow2Statistics statistics;
    uint64_t skipped; /* tables that are not examined */

    /* Tables that are decoded again: */
    Qcow2TableCounter *again; /* NULL: none was yet */
    uint8_t *again_bytes;
    uint64_t kept_again; /* faults of theirs that are kept */
};

Qcow2Walk *qcow2_walk_new(BlockSource *source, const Qcow2Tables *l1_tables, const Qcow2StoredCounts *stored,
                          Qcow2Counting *counting, const BlockReadOptions *options, uint64_t max_faults)
{
    Qcow2Walk *w = g_new(Qcow2Walk, 1);

    *w = (Qcow2Walk){
        .source = source,
        .header = counting->header,
        .l1_tables = l1_tables,
        .stored = stored,
        .counting = counting,
        .options = *options,
        .max_faults = max_faults,
        .faults = qcow2_faults_new(NULL),
        .quota = max_faults,
    };
    return w;
}

void qcow2_walk_free(Qcow2Walk *w)
{
    if (w) {
        g_clear_pointer(&w->tables, g_array_unref);
        qcow2_faults_free(w->faults);
        qcow2_table_counter_free(w->again);
        g_free(w->again_bytes);
        g_free(w);
    }
}

const Qcow2TableRef *qcow2_walk_tables(const Qcow2Walk *w, size_t *n)
{
    *n = w->tables->len;
    return (const Qcow2TableRef *)(void *)w->tables->data;
}

Qcow2Statistics qcow2_walk_statistics(const Qcow2Walk *w)
{
    return w->statistics;
}

/* ---- reading the tables ---- */

/* One of the threads that decode tables. */
typedef struct WalkWorker {
    const Qcow2Walk *walk;
    unsigned number; /* as the visitors know it */
    Qcow2TableCounter *counter;
} WalkWorker;

static BlockRange table_range(const void *opaque, size_t i)
{
    const Qcow2Walk *w = opaque;
    const Qcow2TableRef *table = qcow2_table_ref(w->tables, i);

    /* what is behind the end of the file has nothing in it */
    return (BlockRange){.offset = table->skipped ? w->source->length : table->offset,
                        .size = (uint32_t)w->header->cluster_size};
}

static bool let_visit(const WalkWorker *worker, const Qcow2TableRef *table, const uint8_t *bytes)
{
    const Qcow2TableVisitor *const *v = worker->walk->visitors;
    bool ok = true;

    for (; ok && v && *v; v++) {
        ok = (*v)->visit((*v)->opaque, worker->number, table, bytes, worker->counter->result);
    }
    return ok;
}

static bool count_table(void *state, size_t i, const uint8_t *bytes, int error)
{
    WalkWorker *worker = state;
    const Qcow2TableRef *table = qcow2_table_ref(worker->walk->tables, i);

    if (!qcow2_count_reference(worker->walk->counting, table->offset, worker->walk->header->cluster_size,
                               table->weight)) {
        return false;
    }
    if (error) {
        qcow2_faults_add(worker->counter->faults, table->offset,
                         &(Qcow2L2Fault){.kind = QCOW2_FINDING_L2_UNREADABLE, .values = {-error}});
        return true;
    }
    return !bytes || (qcow2_count_table(worker->counter, table, bytes) && let_visit(worker, table, bytes));
}

static bool find_overflows(void *state, size_t i, const uint8_t *bytes, int error)
{
    WalkWorker *worker = state;

    if (bytes && !error) {
        qcow2_find_table_overflows(worker->counter, qcow2_table_ref(worker->walk->tables, i), bytes);
    }
    return true;
}

static bool visit_table(void *state, size_t i, const uint8_t *bytes, int error)
{
    WalkWorker *worker = state;

    if (!bytes || error) {
        return true;
    }
    qcow2_l2_decode(worker->walk->header, bytes, worker->counter->result);
    return let_visit(worker, qcow2_table_ref(worker->walk->tables, i), bytes);
}

static void *begin_worker(void *opaque, unsigned number)
{
    Qcow2Walk *w = opaque;
    WalkWorker worker = {
        .walk = w,
        .number = number,
        .counter = qcow2_table_counter_new(w->stored, w->counting, w->max_faults ? &w->quota : NULL),
    };

    return worker.counter ? g_memdup2(&worker, sizeof(worker)) : NULL;
}

static bool end_worker(void *opaque, void *state)
{
    Qcow2Walk *w = opaque;
    WalkWorker *worker = state;
    Qcow2TableCounter *c = worker->counter;
    bool ok = refmap_writer_flush(c->writer);

    qcow2_faults_merge(w->faults, c->faults);
    w->statistics.allocated += c->statistics.allocated;
    w->statistics.compressed += c->statistics.compressed;
    w->statistics.fragmented += c->statistics.fragmented;
    qcow2_table_counter_free(c);
    g_free(worker);
    return ok;
}

static bool for_each_table(Qcow2Walk *w, bool (*examine)(void *, size_t, const uint8_t *, int), GError **errp)
{
    BlockPrefetch prefetch = {
        .source = w->source,
        .options = w->options,
        .n = w->tables->len,
        .range = table_range,
        .examine = examine,
        .begin = begin_worker,
        .end = end_worker,
        .opaque = w,
    };
    bool ok = block_prefetch(&prefetch);

    if (!ok) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
    }
    return ok;
}

bool qcow2_walk_count(Qcow2Walk *w, const Qcow2TableVisitor *const *visitors, GError **errp)
{
    bool ok;

    assert(!w->tables);
    w->tables = qcow2_table_refs_new(w->l1_tables);
    w->skipped = qcow2_table_refs_skip(w->tables, w->header->cluster_size);
    w->visitors = visitors;
    ok = for_each_table(w, count_table, errp);
    w->visitors = NULL;
    return ok;
}

bool qcow2_walk_visit(Qcow2Walk *w, const Qcow2TableVisitor *visitor, GError **errp)
{
    bool ok;

    w->visitors = (const Qcow2TableVisitor *[]){visitor, NULL};
    ok = for_each_table(w, visit_table, errp);
    w->visitors = NULL;
    return ok;
}

bool qcow2_walk_any_fault(const Qcow2Walk *w)
{
    return !qcow2_faults_empty(w->faults);
}

int qcow2_walk_table_error(const Qcow2Walk *w, uint64_t offset)
{
    const Qcow2TableFaults *f = qcow2_faults_of(w->faults, offset);

    for (guint i = 0; f && i < f->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(f->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_L2_UNREADABLE) {
            return (int)fault->values[0];
        }
    }
    return 0;
}

bool qcow2_walk_finish(Qcow2Walk *w, GError **errp)
{
    if (w->counting->overflowed && !qcow2_has_data_file(w->header) && !for_each_table(w, find_overflows, errp)) {
        return false;
    }
    if (w->max_faults && w->quota == 0) {
        /* which faults the threads have kept in full is chance, and must not show */
        qcow2_faults_make_numbers(w->faults);
    }
    return true;
}

/* ---- for the report ---- */

/* False when memory is short. */
static bool ready_to_decode_again(Qcow2Walk *w)
{
    if (!w->again_bytes) {
        w->again_bytes = g_try_malloc(w->header->cluster_size);
    }
    if (!w->again) {
        w->again = qcow2_table_counter_new(w->stored, w->counting, NULL);
    }
    return w->again_bytes && w->again;
}

/* Finds all faults of the table at @offset once more. Where that fails their numbers are still known. */
static void decode_again(Qcow2Walk *w, uint64_t offset)
{
    const Qcow2TableRef *table = qcow2_table_refs_find(w->tables, offset);

    assert(table);
    if (w->kept_again >= w->max_faults) {
        qcow2_faults_make_numbers(w->faults);
        w->kept_again = 0;
    }
    if (ready_to_decode_again(w) &&
        block_source_read(w->source, w->again_bytes, w->header->cluster_size, offset) == 0) {
        qcow2_find_table_faults(w->again, table, w->again_bytes);
        w->kept_again += qcow2_faults_replace(w->faults, offset, w->again->faults);
    }
}

const Qcow2TableFaults *qcow2_walk_faults(Qcow2Walk *w, uint64_t offset, bool in_full)
{
    const Qcow2TableFaults *f = qcow2_faults_of(w->faults, offset);

    if (f && in_full && qcow2_faults_incomplete(f)) {
        decode_again(w, offset);
        f = qcow2_faults_of(w->faults, offset);
    }
    return f;
}

void qcow2_walk_forget_faults(Qcow2Walk *w, uint64_t offset, uint64_t kinds)
{
    qcow2_faults_forget(w->faults, offset, kinds);
}

uint64_t qcow2_walk_skipped(const Qcow2Walk *w)
{
    return w->skipped;
}
