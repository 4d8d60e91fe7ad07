/*
 * What is wrong in L2 tables, kept by table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-faults.h"

struct Qcow2Faults {
    GHashTable *by_table; /* offset of the table to Qcow2TableFaults */
};

static void free_table_faults(gpointer opaque)
{
    Qcow2TableFaults *f = opaque;

    g_array_free(f->faults, TRUE);
    g_array_free(f->copied, TRUE);
    g_free(f);
}

Qcow2Faults *qcow2_faults_new(void)
{
    Qcow2Faults *faults = g_new(Qcow2Faults, 1);

    faults->by_table = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_table_faults);
    return faults;
}

void qcow2_faults_free(Qcow2Faults *faults)
{
    if (faults) {
        g_hash_table_destroy(faults->by_table);
        g_free(faults);
    }
}

const Qcow2TableFaults *qcow2_faults_of(const Qcow2Faults *faults, uint64_t table)
{
    /* asked for every L1 entry of every snapshot, and mostly there is nothing */
    return g_hash_table_size(faults->by_table) ? g_hash_table_lookup(faults->by_table, &table) : NULL;
}

static Qcow2TableFaults *need(Qcow2Faults *faults, uint64_t table)
{
    Qcow2TableFaults *f = g_hash_table_lookup(faults->by_table, &table);

    if (!f) {
        f = g_new(Qcow2TableFaults, 1);
        f->faults = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault));
        f->copied = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault));
        g_hash_table_insert(faults->by_table, g_memdup2(&table, sizeof(table)), f);
    }
    return f;
}

void qcow2_faults_add(Qcow2Faults *faults, uint64_t table, const Qcow2L2Fault *fault)
{
    g_array_append_vals(need(faults, table)->faults, fault, 1);
}

void qcow2_faults_add_copied(Qcow2Faults *faults, uint64_t table, const Qcow2L2Fault *fault)
{
    g_array_append_vals(need(faults, table)->copied, fault, 1);
}

/* glib's sort is stable. */
static int compare_faults(const void *a, const void *b)
{
    const Qcow2L2Fault *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

void qcow2_faults_sort(Qcow2Faults *faults, uint64_t table)
{
    Qcow2TableFaults *f = g_hash_table_lookup(faults->by_table, &table);

    if (f) {
        g_array_sort(f->faults, compare_faults);
        g_array_sort(f->copied, compare_faults);
    }
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
            qcow2_faults_sort(to, *(uint64_t *)table);
        } else {
            g_hash_table_iter_steal(&iter);
            g_hash_table_insert(to->by_table, table, more);
        }
    }
    g_hash_table_remove_all(from->by_table);
}
