/*
 * Advice on an option that does not exist: see ui/options/nearest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/nearest.h"

#include <glib.h>
#include <string.h>

#define LONGEST_NAME 32u /* bytes of a name that is compared */

/* Names that other programs have for an option of ours. */
static const struct {
    const char *name;
    const char *ours;
} foreign_names[] = {
    {"json", "--output=json"},
    {"human", "--output=human"},
    {"threads", "-m"},
};

/*
 * The number of letters to insert, remove, replace or swap with their neighbour to get from @a to @b; both are at most
 * LONGEST_NAME bytes long.
 */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][LONGEST_NAME + 1]; /* of the letters of a, the last three */
    size_t width = strlen(b);

    g_assert(strlen(a) <= LONGEST_NAME && width <= LONGEST_NAME);
    for (size_t j = 0; j <= width; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= strlen(a); i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= width; j++) {
            unsigned least = MIN(above[j], row[j - 1]) + 1;

            least = MIN(least, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                least = MIN(least, second[j - 2] + 1);
            }
            row[j] = least;
        }
    }
    return rows[strlen(a) % 3][width];
}

static char *advise_prefix(const OptionTable *table, const char *name)
{
    g_autoptr(GString) list = g_string_new(NULL);
    unsigned n = 0;

    for (size_t i = 0; i < table->n; i++) {
        if (table->rows[i].name && g_str_has_prefix(table->rows[i].name, name)) {
            g_string_append_printf(list, "%s--%s", n++ ? ", " : "", table->rows[i].name);
        }
    }
    return n > 1 ? g_strdup_printf("It is short for several options: %s", list->str) : NULL;
}

static char *advise_nearest(const OptionTable *table, const char *name)
{
    unsigned least = (unsigned)strlen(name) / 3 + 1; /* one above the most that is near */
    const char *nearest = NULL;

    for (size_t i = 0; i < table->n; i++) {
        const char *known = table->rows[i].name;
        unsigned away = known ? distance(name, known) : least;

        if (away < least) {
            least = away;
            nearest = known;
        }
    }
    return nearest ? g_strdup_printf("Did you mean --%s?", nearest) : NULL;
}

char *option_advice(const OptionTable *table, const char *word)
{
    g_autofree char *name = g_str_has_prefix(word, "--") ? g_strndup(word + 2, strcspn(word + 2, "=")) : NULL;
    char *advice;

    if (!name || !*name || strlen(name) > LONGEST_NAME) {
        return NULL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(foreign_names); i++) {
        if (g_str_equal(name, foreign_names[i].name)) {
            return g_strdup_printf("Did you mean %s?", foreign_names[i].ours);
        }
    }
    advice = advise_prefix(table, name);
    return advice ? advice : advise_nearest(table, name);
}
