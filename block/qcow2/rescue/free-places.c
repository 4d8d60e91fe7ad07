/*
 * Free places, as a forest: each place that is taken has a later one to go on from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/free-places.h"

GArray *qcow2_free_places_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(uint32_t));
}

void qcow2_take_place(GArray *places, uint64_t i)
{
    g_assert(i < UINT32_MAX);
    for (uint32_t k = places->len; k <= i; k++) {
        g_array_append_val(places, k);
    }
    g_array_index(places, uint32_t, i) = (uint32_t)i + 1;
}

uint64_t qcow2_free_place(GArray *places, uint64_t i)
{
    uint32_t *next = (uint32_t *)(void *)places->data;

    while (i < places->len && next[i] != i) {
        if (next[i] < places->len) {
            next[i] = next[next[i]]; /* half as far for whoever comes next */
        }
        i = next[i];
    }
    return i;
}
