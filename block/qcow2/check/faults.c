/*
 * What is wrong in L2 tables, kept by table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/faults.h"

#include "block/qcow2/findings/kinds.h"
#include "util/number.h"

struct Qcow2Faults {
    GHashTable *by_table; /* offset of the table to Qcow2TableFaults */
    uint64_t *quota;      /* atomic; NULL: any number */
};

static void free_table_faults(gpointer opaque)
{
    Qcow2TableFaults *f = opaque;

    g_array_free(f->faults, TRUE);
    g_array_free(f->copied, TRUE);
    g_clear_pointer(&f->more, g_array_unref);
    g_free(f);
}

Qcow2Faults *qcow2_faults_new(uint64_t *quota)
{
    Qcow2Faults *faults = g_new0(Qcow2Faults, 1);

    faults->by_table = g_hash_table_new_full(hash_u64, g_int64_equal, g_free, free_table_faults);
    faults->quota = quota;
    return faults;
}

void qcow2_faults_free(Qcow2Faults *faults)
{
    if (faults) {
        g_hash_table_destroy(faults->by_table);
        g_free(faults);
    }
}

bool qcow2_faults_empty(const Qcow2Faults *faults)
{
    return g_hash_table_size(faults->by_table) == 0;
}

const Qcow2TableFaults *qcow2_faults_of(const Qcow2Faults *faults, uint64_t table)
{
    /* asked for every L1 entry of every snapshot, and mostly there is nothing */
    return qcow2_faults_empty(faults) ? NULL : g_hash_table_lookup(faults->by_table, &table);
}

static Qcow2TableFaults *need(Qcow2Faults *faults, uint64_t table)
{
    Qcow2TableFaults *f = g_hash_table_lookup(faults->by_table, &table);

    if (!f) {
        f = g_new0(Qcow2TableFaults, 1);
        f->faults = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault));
        f->copied = g_array_new(FALSE, FALSE, sizeof(Qcow2CopiedFault));
        g_hash_table_insert(faults->by_table, g_memdup2(&table, sizeof(table)), f);
    }
    return f;
}

/* Takes one from the quota; false where it is used up. */
static bool take_quota(Qcow2Faults *faults)
{
    uint64_t left = faults->quota ? __atomic_load_n(faults->quota, __ATOMIC_RELAXED) : 1;

    while (faults->quota && left &&
           !__atomic_compare_exchange_n(faults->quota, &left, left - 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        continue;
    }
    return left;
}

static void add_more(Qcow2TableFaults *f, ImageCheckFindingKind kind, uint64_t n)
{
    Qcow2MoreFaults more = {kind, n};

    if (!f->more) {
        f->more = g_array_new(FALSE, FALSE, sizeof(Qcow2MoreFaults));
    }
    for (guint i = 0; i < f->more->len; i++) {
        Qcow2MoreFaults *have = &g_array_index(f->more, Qcow2MoreFaults, i);

        if (have->kind == kind) {
            have->n += n;
            return;
        }
    }
    g_array_append_val(f->more, more);
}

void qcow2_faults_add(Qcow2Faults *faults, uint64_t table, const Qcow2L2Fault *fault)
{
    Qcow2TableFaults *f = need(faults, table);

    if (fault->kind == QCOW2_FINDING_L2_UNREADABLE || take_quota(faults)) {
        g_array_append_vals(f->faults, fault, 1);
    } else {
        add_more(f, fault->kind, 1);
    }
}

void qcow2_faults_add_copied(Qcow2Faults *faults, uint64_t table, const Qcow2CopiedFault *fault)
{
    Qcow2TableFaults *f = need(faults, table);

    if (take_quota(faults)) {
        g_array_append_vals(f->copied, fault, 1);
    } else {
        f->more_copied += fault->n;
    }
}

/* glib's sort is stable. */
G_STATIC_ASSERT(offsetof(Qcow2L2Fault, index) == 0 && offsetof(Qcow2CopiedFault, index) == 0);

static int compare_indexes(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* What is found comes mostly in order, and glib's sort takes as much memory again. */
static void sort_by_index(GArray *array)
{
    guint size = g_array_get_element_size(array);

    for (guint i = 1; i < array->len; i++) {
        if (compare_indexes(array->data + (size_t)(i - 1) * size, array->data + (size_t)i * size) > 0) {
            g_array_sort(array, compare_indexes);
            return;
        }
    }
}

void qcow2_faults_sort(Qcow2Faults *faults, uint64_t table)
{
    Qcow2TableFaults *f = g_hash_table_lookup(faults->by_table, &table);

    if (f) {
        sort_by_index(f->faults);
        sort_by_index(f->copied);
    }
}

static void make_numbers(Qcow2TableFaults *f)
{
    GArray *kept = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault));

    for (guint i = 0; i < f->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(f->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_L2_UNREADABLE) {
            g_array_append_vals(kept, fault, 1);
        } else {
            add_more(f, fault->kind, 1);
        }
    }
    for (guint i = 0; i < f->copied->len; i++) {
        f->more_copied += g_array_index(f->copied, Qcow2CopiedFault, i).n;
    }
    /* arrays that become shorter give nothing back */
    g_array_free(f->faults, TRUE);
    g_array_free(f->copied, TRUE);
    f->faults = kept;
    f->copied = g_array_new(FALSE, FALSE, sizeof(Qcow2CopiedFault));
}

void qcow2_faults_make_numbers(Qcow2Faults *faults)
{
    GHashTableIter iter;
    gpointer f;

    g_hash_table_iter_init(&iter, faults->by_table);
    while (g_hash_table_iter_next(&iter, NULL, &f)) {
        make_numbers(f);
    }
}

size_t qcow2_faults_replace(Qcow2Faults *faults, uint64_t table, Qcow2Faults *by)
{
    Qcow2TableFaults *old = g_hash_table_lookup(faults->by_table, &table);
    uint64_t forgotten = old ? old->forgotten : 0;
    gpointer key, opaque;
    Qcow2TableFaults *found = NULL;

    g_hash_table_remove(faults->by_table, &table);
    if (g_hash_table_steal_extended(by->by_table, &table, &key, &opaque)) {
        found = opaque;
        g_hash_table_insert(faults->by_table, key, found);
        qcow2_faults_forget(faults, table, forgotten);
    }
    g_hash_table_remove_all(by->by_table);
    return found ? found->faults->len + found->copied->len : 0;
}

void qcow2_faults_forget(Qcow2Faults *faults, uint64_t table, uint64_t kinds)
{
    Qcow2TableFaults *f = g_hash_table_lookup(faults->by_table, &table);
    uint64_t found = 0;
    guint kept = 0;

    if (!f) {
        return;
    }
    for (guint i = 0; i < f->faults->len; i++) {
        Qcow2L2Fault fault = g_array_index(f->faults, Qcow2L2Fault, i);

        found |= QCOW2_FINDING_BIT(fault.kind);
        if (!(kinds & QCOW2_FINDING_BIT(fault.kind))) {
            g_array_index(f->faults, Qcow2L2Fault, kept++) = fault;
        }
    }
    g_array_set_size(f->faults, kept);
    if (kinds & QCOW2_FINDING_BIT(QCOW2_FINDING_L2_COPIED_WRONG)) {
        found |= QCOW2_FINDING_BIT(QCOW2_FINDING_L2_COPIED_WRONG);
        g_array_set_size(f->copied, 0);
        f->more_copied = 0;
    }
    for (guint i = 0; f->more && i < f->more->len; i++) {
        Qcow2MoreFaults *more = &g_array_index(f->more, Qcow2MoreFaults, i);

        found |= QCOW2_FINDING_BIT(more->kind);
        if (kinds & QCOW2_FINDING_BIT(more->kind)) {
            more->n = 0;
        }
    }
    f->forgotten |= kinds & found;
}

void qcow2_faults_merge(Qcow2Faults *to, Qcow2Faults *from)
{
    GHashTableIter iter;
    gpointer table, opaque;

    g_hash_table_iter_init(&iter, from->by_table);
    while (g_hash_table_iter_next(&iter, &table, &opaque)) {
        Qcow2TableFaults *more = opaque;
        Qcow2TableFaults *have = g_hash_table_lookup(to->by_table, table);

        if (have) {
            g_array_append_vals(have->faults, more->faults->data, more->faults->len);
            g_array_append_vals(have->copied, more->copied->data, more->copied->len);
            have->more_copied += more->more_copied;
            for (guint i = 0; more->more && i < more->more->len; i++) {
                const Qcow2MoreFaults *m = &g_array_index(more->more, Qcow2MoreFaults, i);

                add_more(have, m->kind, m->n);
            }
            qcow2_faults_sort(to, *(uint64_t *)table);
            g_hash_table_iter_steal(&iter);
            g_free(table);
            free_table_faults(more);
        } else {
            g_hash_table_iter_steal(&iter);
            g_hash_table_insert(to->by_table, table, more);
        }
    }
}
