/*
 * The bar: see ui/progress/bar.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/progress/bar.h"

#include <inttypes.h>
#include <string.h>

#include "qapi/util.h"

#define LEAST_BAR 6u /* columns, brackets included: a shorter one tells nothing */
#define MIB       (1024.0 * 1024.0)

/* What is going on. */
static char *bar_subject(const ImageCheckProgress *p)
{
    const char *phase = p->has_phase ? qapi_enum_name(&ImageCheckPhase_lookup, p->phase) : "checking";

    if (p->images == 1) {
        return g_strdup_printf("%-9s ", phase);
    }
    return g_strdup_printf("%" PRId64 "/%" PRId64 " images ", p->images_done, p->images);
}

static char *bar_time_left(const ImageCheckProgress *p)
{
    int64_t seconds = p->has_remaining ? (int64_t)MIN(p->remaining + 0.5, 359999.0) : 0;

    if (!p->has_remaining) {
        return g_strdup("");
    }
    if (seconds >= 3600) {
        return g_strdup_printf("  %" PRId64 ":%02d:%02d left", seconds / 3600, (int)(seconds / 60 % 60),
                               (int)(seconds % 60));
    }
    return g_strdup_printf("  %d:%02d left", (int)(seconds / 60), (int)(seconds % 60));
}

static void append_cells(GString *line, size_t cells, double percent)
{
    size_t full = (size_t)((double)cells * percent / 100);

    g_string_append_c(line, '[');
    for (size_t i = 0; i < cells; i++) {
        g_string_append_c(line, i < full ? '#' : '.');
    }
    g_string_append_c(line, ']');
}

char *progress_bar(const ImageCheckProgress *progress, unsigned columns)
{
    g_autofree char *subject = bar_subject(progress);
    g_autofree char *left = bar_time_left(progress);
    g_autofree char *pace = g_strdup_printf(" %5.1f%%  %.1f MiB/s", progress->percent, (double)progress->rate / MIB);
    GString *line = g_string_new(subject);
    size_t room = columns > 0 ? columns - 1 : 0;
    size_t text = line->len + strlen(pace);

    if (room < text + strlen(left) + LEAST_BAR) {
        *left = '\0'; /* the bar tells more */
    }
    text += strlen(left);
    if (room >= text + LEAST_BAR) {
        append_cells(line, room - text - 2, progress->percent);
    }
    g_string_append(line, pace);
    g_string_append(line, left);
    g_string_truncate(line, MIN(line->len, room));
    return g_string_free(line, FALSE);
}
