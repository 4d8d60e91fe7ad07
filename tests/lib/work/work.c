/*
 * Counting comparisons: see work.h. The linker's --wrap has the calls that the compiler puts before each comparison
 * come here, and they go on to whoever else wants them, such as libFuzzer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "work.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic uint64_t total;
static _Thread_local unsigned part;
static int file = -1;

static inline void count(void)
{
    if (++part == WORK_BATCH) {
        atomic_fetch_add_explicit(&total, part, memory_order_relaxed);
        part = 0;
    }
}

uint64_t work_done(void)
{
    return atomic_load_explicit(&total, memory_order_relaxed) + part;
}

#define COUNT(name, type_a, type_b)                                                                                    \
    void __real___sanitizer_cov_trace_##name(type_a a, type_b b);                                                      \
    void __wrap___sanitizer_cov_trace_##name(type_a a, type_b b);                                                      \
    void __wrap___sanitizer_cov_trace_##name(type_a a, type_b b)                                                       \
    {                                                                                                                  \
        count();                                                                                                       \
        __real___sanitizer_cov_trace_##name(a, b);                                                                     \
    }

COUNT(cmp1, uint8_t, uint8_t)
COUNT(cmp2, uint16_t, uint16_t)
COUNT(cmp4, uint32_t, uint32_t)
COUNT(cmp8, uint64_t, uint64_t)
COUNT(const_cmp1, uint8_t, uint8_t)
COUNT(const_cmp2, uint16_t, uint16_t)
COUNT(const_cmp4, uint32_t, uint32_t)
COUNT(const_cmp8, uint64_t, uint64_t)
COUNT(switch, uint64_t, uint64_t *)

/* Opened before the program locks itself in. */
__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("WORK_FILE");

    if (name) {
        file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
}

__attribute__((destructor)) static void end(void)
{
    if (file >= 0) {
        dprintf(file, "%" PRIu64 "\n", work_done());
    }
}
