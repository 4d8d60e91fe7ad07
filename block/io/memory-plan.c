/*
 * How much memory reading may take.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/memory-plan.h"

#include <glib.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHARE_IN_FLIGHT 64 /* one part in so many of what the process may have */
#define MAX_IN_FLIGHT   (8u << 20)
#define MAX_FAR         (64u << 20)
#define MIN_IN_FLIGHT   (256u << 10)

MemoryPlan memory_plan_for(uint64_t limit)
{
    size_t far = CLAMP(limit / SHARE_IN_FLIGHT, MIN_IN_FLIGHT, MAX_FAR);
    size_t in_flight = MIN(far, MAX_IN_FLIGHT);

    return (MemoryPlan){
        .limit = limit,
        .in_flight = in_flight,
        .far_in_flight = far,
        .batch = in_flight / MEMORY_PLAN_BATCHES,
    };
}

static uint64_t lower_by(int resource, uint64_t limit)
{
    struct rlimit own;

    return getrlimit(resource, &own) == 0 && own.rlim_cur != RLIM_INFINITY ? MIN(limit, own.rlim_cur) : limit;
}

static uint64_t process_limit(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

    return lower_by(RLIMIT_DATA, lower_by(RLIMIT_AS, machine));
}

const MemoryPlan *memory_plan(void)
{
    static MemoryPlan plan;
    static gsize known;

    if (g_once_init_enter(&known)) {
        plan = memory_plan_for(process_limit());
        g_once_init_leave(&known, 1);
    }
    return &plan;
}
