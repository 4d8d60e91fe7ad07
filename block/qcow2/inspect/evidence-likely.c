/*
 * The likeliest place of each lost table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-likely.h"

#include <inttypes.h>

#include "util/number.h"

#define MAX_NAMED 4  /* places in a reason */
#define ORDERS    12 /* of so many orders of tables, one may be that of the ranges by chance */

bool qcow2_place_possible(const Qcow2HeaderFields *h, const Qcow2Candidate *c, uint64_t index)
{
    uint64_t clusters = DIV_ROUND_UP(h->size, h->cluster_size);

    return (index << h->l2_bits) + c->last_entry < clusters;
}

/* The index that is left over in the first of @rows where the table fits, or where any does; UINT64_MAX: none. */
static uint64_t take_place(const Qcow2HeaderFields *h, GArray *rows, const Qcow2Candidate *c, bool anywhere)
{
    for (guint k = 0; k < rows->len; k++) {
        Qcow2MissingRow *row = &g_array_index(rows, Qcow2MissingRow, k);

        if (row->n && (anywhere || qcow2_missing_row_fits(row, c->cluster << h->cluster_bits)) &&
            qcow2_place_possible(h, c, row->first)) {
            row->n--;
            return row->first++;
        }
    }
    return UINT64_MAX;
}

GArray *qcow2_likely_places(const Qcow2HeaderFields *h, const GArray *rows, const GArray *candidates,
                            const GArray *lost)
{
    GArray *places = g_array_sized_new(FALSE, FALSE, sizeof(uint64_t), lost->len);
    g_autoptr(GArray) left = g_array_copy((GArray *)rows);

    g_array_set_size(places, lost->len);
    for (unsigned anywhere = 0; anywhere < 2; anywhere++) {
        for (guint i = 0; i < lost->len; i++) {
            uint64_t *place = &g_array_index(places, uint64_t, i);
            const Qcow2Candidate *c = &g_array_index(candidates, Qcow2Candidate, g_array_index(lost, uint64_t, i));

            if (!anywhere || *place == UINT64_MAX) {
                *place = take_place(h, left, c, anywhere);
            }
        }
    }
    return places;
}

bool qcow2_order_tells(const GArray *rows, uint64_t n_used)
{
    double orders = 1;
    uint64_t n = 0;

    for (uint64_t i = 0; i < n_used && orders < ORDERS; i++) {
        orders *= (double)++n;
    }
    for (guint k = 0; k < rows->len && orders < ORDERS; k++) {
        const Qcow2MissingRow *row = &g_array_index(rows, Qcow2MissingRow, k);

        for (uint64_t i = 1; i <= row->fitting && orders < ORDERS; i++) {
            orders *= (double)++n / (double)i;
        }
    }
    return orders >= ORDERS;
}

char *qcow2_shared_text(const uint64_t indexes[2], uint64_t table, uint64_t offset)
{
    return g_strdup_printf("L1 entries %" PRIu64 " and %" PRIu64 " both refer to the table at 0x%" PRIx64
                           ", and one of them may be wrong: --attach 0x%" PRIx64 "=l1:%" PRIu64 " or =l1:%" PRIu64
                           " lets it refer to this table",
                           indexes[0], indexes[1], table, offset, indexes[0], indexes[1]);
}

char *qcow2_missing_text(const GArray *rows, uint64_t n_empty)
{
    g_autoptr(GString) text = g_string_new(n_empty == 1 ? "L1 entry " : "L1 entries ");
    unsigned named = 0;

    for (guint k = 0; k < rows->len; k++) {
        const Qcow2MissingRow *row = &g_array_index(rows, Qcow2MissingRow, k);

        for (uint64_t i = 0; i < row->n && named < MAX_NAMED; i++, named++) {
            g_string_append_printf(text, named ? ", %" PRIu64 : "%" PRIu64, row->first + i);
        }
    }
    if (n_empty > named) {
        g_string_append_printf(text, " and %" PRIu64 " more", n_empty - named);
    }
    g_string_append(text, n_empty == 1 ? " has no table" : " have no table");
    return g_string_free(g_steal_pointer(&text), FALSE);
}
