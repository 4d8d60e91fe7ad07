/*
 * Allocations that may fail, made to fail: see allocations.h. GLib's memory is that of malloc(), since version 2.46.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "allocations.h"

#include <stdbool.h>
#include <stdlib.h>

static guint requests; /* atomic */
static guint failing;

void crash_allocations_fail_at(guint n)
{
    failing = n;
    g_atomic_int_set(&requests, 0);
}

guint crash_allocations(void)
{
    return g_atomic_int_get(&requests);
}

static bool fails(void)
{
    return (guint)g_atomic_int_add(&requests, 1) + 1 == failing;
}

gpointer(g_try_malloc)(gsize size)
{
    return size == 0 || fails() ? NULL : malloc(size);
}

gpointer(g_try_malloc0)(gsize size)
{
    return size == 0 || fails() ? NULL : calloc(1, size);
}

gpointer(g_try_realloc)(gpointer memory, gsize size)
{
    if (size == 0) {
        free(memory);
        return NULL;
    }
    return fails() ? NULL : realloc(memory, size);
}

gpointer(g_try_malloc_n)(gsize n, gsize size)
{
    return n == 0 || size == 0 || fails() ? NULL : reallocarray(NULL, n, size);
}

gpointer(g_try_malloc0_n)(gsize n, gsize size)
{
    return n == 0 || size == 0 || fails() ? NULL : calloc(n, size);
}

gpointer(g_try_realloc_n)(gpointer memory, gsize n, gsize size)
{
    if (n == 0 || size == 0) {
        free(memory);
        return NULL;
    }
    return fails() ? NULL : reallocarray(memory, n, size);
}
