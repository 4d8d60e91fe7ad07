/*
 * The limits of a fuzz target: see fuzz.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define COUNT_MEMORY
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define COUNT_MEMORY
#endif

#if defined(COUNT_MEMORY) || defined(COUNT_WORK)
static void fail(const char *what, const char *limit, double used)
{
    fprintf(stderr, "LIMIT: %s took %.1f %s\n", what, used, limit);
    abort();
}
#endif

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
        fail(what, "MiB", (double)most / 1048576.0);
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

#ifdef COUNT_WORK
#include "work.h"

static uint64_t done_before;

static void work_begin(void)
{
    done_before = work_done();
}

static void work_end(const char *what)
{
    uint64_t done = work_done() - done_before;

    if (done > LIMIT_COMPARISONS) {
        fail(what, "million comparisons", (double)done / 1e6);
    }
}
#else
static void work_begin(void)
{
}

static void work_end(const char *what)
{
}
#endif

void limits_begin(void)
{
    memory_begin();
    work_begin();
}

void limits_end(const char *what)
{
    work_end(what);
    memory_end(what);
}
