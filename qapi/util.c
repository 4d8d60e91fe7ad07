/*
 * Enum tables and growing lists, as qapi/util.h describes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/util.h"

#include <string.h>

G_DEFINE_QUARK(qapi - error - quark, qapi_error)

const char *qapi_enum_name(const QapiEnumLookup *lookup, int value)
{
    g_assert(value >= 0 && value < lookup->size);
    return lookup->names[value];
}

int qapi_enum_parse(const QapiEnumLookup *lookup, const char *name)
{
    for (int i = 0; i < lookup->size; i++) {
        if (strcmp(lookup->names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

void *qapi_list_grow(void *items, size_t *capacity, size_t size)
{
    size_t extra = *capacity < 8 ? 4 : *capacity / 2;
    size_t wanted;

    if (__builtin_add_overflow(*capacity, extra, &wanted)) {
        return NULL;
    }
    items = g_try_realloc_n(items, wanted, size);
    if (items) {
        *capacity = wanted;
    }
    return items;
}

bool qapi_set_out_of_memory(GError **errp)
{
    g_set_error_literal(errp, QAPI_ERROR, QAPI_ERROR_MEMORY, "Out of memory");
    return false;
}
