/*
 * Table entries that have something to report.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/slot-list.h"

#include <assert.h>

#include "util/search.h"

static Qcow2Slot *item(const Qcow2Slots *slots, size_t i)
{
    return &g_array_index(slots->items, Qcow2Slot, i);
}

void qcow2_slots_add(Qcow2Slots *slots, uint64_t offset, uint64_t value)
{
    static const Qcow2Slot end = {.offset = UINT64_MAX};

    if (!slots->items) {
        slots->items = g_array_new(FALSE, FALSE, sizeof(Qcow2Slot));
        g_array_append_val(slots->items, end);
    }
    assert(slots->items->len < 2 || item(slots, slots->items->len - 2)->offset < offset);
    *item(slots, slots->items->len - 1) = (Qcow2Slot){.offset = offset, .value = value};
    g_array_append_val(slots->items, end);
}

void qcow2_slots_clear(Qcow2Slots *slots)
{
    g_clear_pointer(&slots->items, g_array_unref);
}

size_t qcow2_slots_count(const Qcow2Slots *slots)
{
    return slots->items ? slots->items->len - 1 : 0;
}

const Qcow2Slot *qcow2_slot(const Qcow2Slots *slots, size_t i)
{
    assert(i < qcow2_slots_count(slots));
    return item(slots, i);
}

size_t qcow2_slots_find(const Qcow2Slots *slots, uint64_t offset)
{
    return slots->items ? MIN(ARRAY_FIRST_NOT_BELOW(slots->items, Qcow2Slot, offset, offset), slots->items->len - 1u)
                        : 0;
}

void qcow2_slots_leave_out(Qcow2Slots *slots, size_t first, size_t last)
{
    assert(last <= qcow2_slots_count(slots));
    if (first < last) {
        item(slots, first)->unreported++;
        item(slots, last)->unreported--;
    }
}

void qcow2_slots_count_unreported(Qcow2Slots *slots, void (*count)(void *opaque, uint64_t value, uint64_t tables),
                                  void *opaque)
{
    int64_t tables = 0;

    for (size_t i = 0; i < qcow2_slots_count(slots); i++) {
        tables += item(slots, i)->unreported;
        item(slots, i)->unreported = 0;
        assert(tables >= 0);
        if (tables) {
            count(opaque, item(slots, i)->value, (uint64_t)tables);
        }
    }
    if (slots->items) {
        item(slots, slots->items->len - 1)->unreported = 0;
    }
}
