/*
 * How much memory reading may take.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "block/memory-plan.h"

/* Reads in flight take a 64th of what the process may have, but never less than 256 KiB nor more than 8 MiB, or 64 MiB
 * far away. */
static void test_shares(void)
{
    static const struct {
        uint64_t limit;
        size_t in_flight;
        size_t far_in_flight;
    } cases[] = {
        {0, 256 << 10, 256 << 10},
        {UINT64_C(16) << 20, 256 << 10, 256 << 10},
        {UINT64_C(64) << 20, 1 << 20, 1 << 20},
        {UINT64_C(512) << 20, 8 << 20, 8 << 20},
        {UINT64_C(1) << 30, 8 << 20, 16 << 20},
        {UINT64_C(4) << 30, 8 << 20, 64 << 20},
        {UINT64_MAX, 8 << 20, 64 << 20},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        MemoryPlan plan = memory_plan_for(cases[i].limit);

        g_assert_cmpuint(plan.limit, ==, cases[i].limit);
        g_assert_cmpuint(plan.in_flight, ==, cases[i].in_flight);
        g_assert_cmpuint(plan.far_in_flight, ==, cases[i].far_in_flight);
        g_assert_cmpuint(plan.batch, ==, cases[i].in_flight / 32);
    }
}

/* The plan of the process itself is made once, and is one of these. */
static void test_own(void)
{
    const MemoryPlan *plan = memory_plan();

    g_assert_true(plan == memory_plan());
    g_assert_cmpuint(plan->limit, >, 0);
    g_assert_cmpuint(plan->in_flight, ==, memory_plan_for(plan->limit).in_flight);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory-plan/shares", test_shares);
    g_test_add_func("/memory-plan/own", test_own);
    return g_test_run();
}
