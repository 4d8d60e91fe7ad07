/*
 * Memory that runs short: of the allocations that may fail, those do that a test has chosen.
 *
 * What is defined here takes the place of GLib's functions in the whole program, so one file of a program includes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_SHORT_MEMORY_H
#define TESTS_UNIT_BLOCK_SHORT_MEMORY_H

#include <glib.h>
#include <stdlib.h>

static struct {
    gint count;    /* allocations so far, from any thread */
    gint first;    /* the number, from 1, of the first that fails; 0: none does */
    gboolean once; /* else all later ones fail too */
} short_memory;

static inline void short_memory_begin(gint first, gboolean once)
{
    short_memory.count = 0;
    short_memory.first = first;
    short_memory.once = once;
}

/* Ends it; true if an allocation has failed. */
static inline gboolean short_memory_end(void)
{
    gint first = short_memory.first;

    short_memory.first = 0;
    return first && short_memory.count >= first;
}

static gboolean allocation_fails(void)
{
    gint number = g_atomic_int_add(&short_memory.count, 1) + 1;

    return short_memory.first && (short_memory.once ? number == short_memory.first : number >= short_memory.first);
}

gpointer g_try_malloc(gsize size)
{
    return size == 0 || allocation_fails() ? NULL : malloc(size);
}

gpointer g_try_malloc0(gsize size)
{
    return size == 0 || allocation_fails() ? NULL : calloc(1, size);
}

gpointer g_try_malloc_n(gsize n, gsize size)
{
    return n == 0 || size == 0 || n > G_MAXSIZE / size ? NULL : g_try_malloc(n * size);
}

gpointer g_try_malloc0_n(gsize n, gsize size)
{
    return n == 0 || size == 0 || n > G_MAXSIZE / size ? NULL : g_try_malloc0(n * size);
}

gpointer g_try_realloc(gpointer old, gsize size)
{
    if (size == 0) {
        free(old);
        return NULL;
    }
    return allocation_fails() ? NULL : realloc(old, size);
}

gpointer g_try_realloc_n(gpointer old, gsize n, gsize size)
{
    return size != 0 && n > G_MAXSIZE / size ? NULL : g_try_realloc(old, n * size);
}

#endif
