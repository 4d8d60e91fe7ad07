/*
 * The result of a check in words: see ui/output/check-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/check-text.h"

#include <inttypes.h>

static void print_verdict(FILE *out, const ImageCheck *check)
{
    if (check->corruptions == 0 && check->leaks == 0 && check->check_errors == 0) {
        fputs("No errors were found on the image.\n", out);
    }
    if (check->corruptions != 0) {
        fprintf(out,
                "\n%" PRId64 " errors were found on the image.\n"
                "Data may be corrupted, or further writes to the image may corrupt it.\n",
                check->corruptions);
    }
    if (check->leaks != 0) {
        fprintf(out,
                "\n%" PRId64 " leaked clusters were found on the image.\n"
                "This means waste of disk space, but no harm to data.\n",
                check->leaks);
    }
    if (check->check_errors != 0) {
        fprintf(out, "\n%" PRId64 " internal errors have occurred during the check.\n", check->check_errors);
    }
}

static double percent(int64_t part, int64_t whole)
{
    return 100.0 * (double)part / (double)whole;
}

static void print_statistics(FILE *out, const ImageCheck *check)
{
    if (check->total_clusters != 0 && check->allocated_clusters != 0) {
        fprintf(out, "%" PRId64 "/%" PRId64 " = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n",
                check->allocated_clusters, check->total_clusters,
                percent(check->allocated_clusters, check->total_clusters),
                percent(check->fragmented_clusters, check->allocated_clusters),
                percent(check->compressed_clusters, check->allocated_clusters));
    }
    if (check->image_end_offset != 0) {
        fprintf(out, "Image end offset: %" PRId64 "\n", check->image_end_offset);
    }
}

static void print_compressed(FILE *out, const ImageCheck *check)
{
    if (check->has_compressed_verified) {
        fprintf(out, "Compressed clusters: %" PRIu64 " verified", check->compressed_verified);
        if (check->compressed_damaged) {
            fprintf(out, ", %" PRIu64 " damaged; -v lists where the guest has them", check->compressed_damaged);
        }
        fputc('\n', out);
    }
}

static void print_fixed(FILE *out, const ImageCheck *check)
{
    if (check->corruptions_fixed || check->leaks_fixed) {
        fprintf(out,
                "The following inconsistencies were found and repaired:\n"
                "\n"
                "    %" PRId64 " leaked clusters\n"
                "    %" PRId64 " corruptions\n"
                "\n"
                "Double checking the fixed image now...\n",
                check->leaks_fixed, check->corruptions_fixed);
    }
}

void print_check_text(FILE *out, const ImageCheck *check, char *const *notes)
{
    print_fixed(out, check);
    print_verdict(out, check);
    print_statistics(out, check);
    print_compressed(out, check);
    for (; *notes; notes++) {
        fprintf(out, "Note: %s\n", *notes);
    }
}
