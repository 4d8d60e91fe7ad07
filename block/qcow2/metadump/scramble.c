/*
 * Names made unreadable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/metadump/scramble.h"

#include <stdint.h>
#include <string.h>

#define ATTEMPTS 1000 /* names of one or two letters may all be taken; any byte will do for them then */

struct Qcow2Scrambler {
    GHashTable *names; /* GBytes to the GBytes that replace them */
    GHashTable *taken; /* the latter; borrowed */
};

Qcow2Scrambler *qcow2_scrambler_new(void)
{
    Qcow2Scrambler *s = g_new(Qcow2Scrambler, 1);

    s->names = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                                     (GDestroyNotify)g_bytes_unref);
    s->taken = g_hash_table_new(g_bytes_hash, g_bytes_equal);
    return s;
}

void qcow2_scrambler_free(Qcow2Scrambler *s)
{
    g_hash_table_destroy(s->taken);
    g_hash_table_destroy(s->names);
    g_free(s);
}

static GBytes *random_name(size_t size, unsigned attempt)
{
    uint8_t *name = g_malloc(size);

    for (size_t i = 0; i < size; i++) {
        name[i] = (uint8_t)(attempt < ATTEMPTS ? 'a' + g_random_int_range(0, 26) : g_random_int_range(0, 256));
    }
    return g_bytes_new_take(name, size);
}

/* There are never more names of a length than the image has room for different ones, so this ends. */
static GBytes *choose(Qcow2Scrambler *s, size_t size)
{
    unsigned attempt = 0;
    GBytes *name = random_name(size, attempt);

    while (g_hash_table_contains(s->taken, name)) {
        g_bytes_unref(name);
        name = random_name(size, ++attempt);
    }
    return name;
}

void qcow2_scramble(Qcow2Scrambler *s, void *name, size_t size)
{
    g_autoptr(GBytes) original = g_bytes_new(name, size);
    GBytes *replacement = g_hash_table_lookup(s->names, original);

    if (size == 0) {
        return;
    }
    if (!replacement) {
        replacement = choose(s, size);
        g_hash_table_insert(s->names, g_bytes_ref(original), replacement);
        g_hash_table_add(s->taken, replacement);
    }
    memcpy(name, g_bytes_get_data(replacement, NULL), size);
}
