/*
 * Classes of outcome: see classes.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "classes.h"

#include <inttypes.h>

Classes *classes_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static const char *roughly(uint64_t n)
{
    return n == 0 ? "0" : n == 1 ? "1" : "more";
}

/* Of images with findings, those of all kinds: so there are hundreds. */
static char *name_of(const ReaderResult *result)
{
    GString *name = g_string_new(NULL);

    if (result->refusal) {
        g_string_printf(name, "refused: %s", result->refusal);
        return g_string_free(name, false);
    }
    g_string_printf(name, "%s%s corruptions %s, leaks %s, errors %s:", result->stock_refusal ? "stock refuses: " : "",
                    result->stock_refusal ? result->stock_refusal : "opens", roughly(result->corruptions),
                    roughly(result->leaks), roughly(result->errors));
    for (unsigned kind = 0; kind < READER_KINDS; kind++) {
        if (result->kinds & 1u << kind) {
            g_string_append_printf(name, " %s", reader_kind_names[kind]);
        }
    }
    return g_string_free(name, false);
}

uint64_t classes_add(Classes *classes, const ReaderResult *result)
{
    char *name = name_of(result);
    uint64_t *n = g_hash_table_lookup(classes, name);

    if (n) {
        g_free(name);
        return (*n)++;
    }
    n = g_new(uint64_t, 1);
    *n = 1;
    g_hash_table_insert(classes, name, n);
    return 0;
}

typedef struct Line {
    const char *name;
    uint64_t n;
} Line;

static int by_size(const void *a, const void *b)
{
    const Line *left = a, *right = b;

    return left->n == right->n ? g_strcmp0(left->name, right->name) : left->n < right->n ? 1 : -1;
}

void classes_print(Classes *classes, unsigned most, FILE *out)
{
    guint n = g_hash_table_size(classes);
    g_autofree Line *lines = g_new(Line, n);
    uint64_t others = 0;
    GHashTableIter iter;
    void *key, *value;
    guint i = 0;

    g_hash_table_iter_init(&iter, classes);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        lines[i++] = (Line){key, *(uint64_t *)value};
    }
    qsort(lines, n, sizeof(*lines), by_size);
    for (i = 0; i < n; i++) {
        if (i < most) {
            fprintf(out, "%10" PRIu64 "  %s\n", lines[i].n, lines[i].name);
        } else {
            others += lines[i].n;
        }
    }
    if (n > most) {
        fprintf(out, "%10" PRIu64 "  in %u other classes\n", others, n - most);
    }
}
