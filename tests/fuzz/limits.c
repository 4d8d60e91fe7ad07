/*
 * The limits of a fuzz target: see fuzz.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define COUNT_MEMORY
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define COUNT_MEMORY
#endif

static double started; /* seconds of processor time */

static double processor_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void fail(const char *what, const char *limit, double used)
{
    fprintf(stderr, "LIMIT: %s took %.1f %s\n", what, used, limit);
    abort();
}

#ifdef COUNT_MEMORY
#include <sanitizer/allocator_interface.h>

static bool counting;
static size_t in_use; /* bytes, of what was allocated since limits_begin() */
static size_t most;

static void count_malloc(const volatile void *pointer, size_t size)
{
    size_t now, before = __atomic_load_n(&most, __ATOMIC_RELAXED);

    if (!counting) {
        return;
    }
    now = __atomic_add_fetch(&in_use, size, __ATOMIC_RELAXED);
    while (now > before &&
           !__atomic_compare_exchange_n(&most, &before, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static void count_free(const volatile void *pointer)
{
    size_t size = pointer ? __sanitizer_get_allocated_size(pointer) : 0;
    size_t before = __atomic_load_n(&in_use, __ATOMIC_RELAXED);

    /* what is older than limits_begin() was not counted */
    while (counting && !__atomic_compare_exchange_n(&in_use, &before, before > size ? before - size : 0, true,
                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static void memory_begin(void)
{
    static bool installed;

    if (!installed) {
        installed = true;
        __sanitizer_install_malloc_and_free_hooks(count_malloc, count_free);
    }
    in_use = most = 0;
    counting = true;
}

static void memory_end(const char *what)
{
    counting = false;
    if (most > LIMIT_MEMORY_BYTES) {
        fail(what, "MiB", most / 1048576.0);
    }
}
#else
static void memory_begin(void)
{
}

static void memory_end(const char *what)
{
}
#endif

void limits_begin(void)
{
    memory_begin();
    started = processor_seconds();
}

void limits_end(const char *what)
{
    double used = processor_seconds() - started;

    memory_end(what);
    if (used > LIMIT_SECONDS) {
        fail(what, "seconds", used);
    }
}
