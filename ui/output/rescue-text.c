/*
 * What a rescue has found, in words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/rescue-text.h"

#include <glib.h>
#include <inttypes.h>

#include "util/size.h"

#define MOST_TABLES 10 /* tables without a place that are listed */

static void print_size(FILE *out, const char *name, uint64_t bytes, const char *meaning)
{
    g_autofree char *size = size_format(bytes);

    if (bytes) {
        fprintf(out, "  %-9s %12s  %s\n", name, size, meaning);
    }
}

static void print_unplaced(FILE *out, const ImageRescue *result)
{
    if (!result->unplaced.len) {
        return;
    }
    fprintf(out, "%zu L2 tables found no place; their data is in the source only:\n", result->unplaced.len);
    for (size_t i = 0; i < MIN(result->unplaced.len, MOST_TABLES); i++) {
        const ImageRescueUnplaced *table = &result->unplaced.items[i];

        fprintf(out, "  at 0x%" PRIx64 ", which maps %" PRIu64 " clusters\n", table->offset, table->clusters);
    }
    if (result->unplaced.len > MOST_TABLES) {
        fprintf(out, "  and %zu more; --map lists all\n", result->unplaced.len - MOST_TABLES);
    }
}

static void print_advice(FILE *out, const ImageRescue *result)
{
    if (result->total.guessed || result->total.missing || result->unplaced.len) {
        fputs("Keep the source. Check the file systems of the guest before you use them", out);
        fputs(result->total.guessed ? ": some ranges may be those of other places.\n" : ".\n", out);
    } else {
        fputs("Keep the source until the guest runs from the new image.\n", out);
    }
}

void print_rescue_text(FILE *out, const ImageRescue *result, const char *size_from)
{
    g_autofree char *disk = size_format(result->size);
    g_autofree char *cluster = size_format(result->cluster_size);

    fprintf(out, "Clusters of %s%s, reference counts of %" PRIu64 " bits, %" PRIu64 " snapshots.\n", cluster,
            result->extended_l2 ? ", extended L2 entries" : "", result->refcount_bits, result->snapshots);
    fprintf(out, "The disk has %s: %s.\n", disk, size_from);
    print_size(out, "proved", result->total.proved, "certain");
    print_size(out, "inferred", result->total.inferred, "very likely: only one place fits");
    print_size(out, "guessed", result->total.guessed, "the likeliest of several places");
    print_size(out, "missing", result->total.missing, "nothing was found, reads as zeros");
    print_unplaced(out, result);
    for (size_t i = 0; i < result->notes.len; i++) {
        fprintf(out, "Note: %s.\n", result->notes.items[i]);
    }
    print_advice(out, result);
}
