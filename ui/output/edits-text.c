/*
 * The edits of a repair in words: see ui/output/edits-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/edits-text.h"

#include <inttypes.h>

static void print_range(FILE *out, uint64_t offset, uint64_t size)
{
    fprintf(out, "0x%" PRIx64 "-0x%" PRIx64, offset, offset + size - (size != 0));
}

static void print_what(FILE *out, const ImageCheckEdit *edit)
{
    fprintf(out, "%s", edit->what);
    if (edit->clusters) {
        fputs(" of ", out);
        print_range(out, edit->clusters->offset, edit->clusters->size);
        fprintf(out, ", %" PRIu64 " -> %" PRIu64, edit->old_refcount, edit->new_refcount);
    }
    if (edit->has_from) {
        fprintf(out, ", from 0x%" PRIx64, edit->from);
    }
    if (edit->old && edit->new) {
        fprintf(out, ", %s -> %s", edit->old, edit->new);
    }
    if (edit->count > 1) {
        fprintf(out, " (%" PRId64 ")", edit->count);
    }
}

void print_edits_text(FILE *out, const ImageCheckEditList *edits)
{
    int64_t step = 0;

    fputs(edits->len ? "This would be changed:\n" : "Nothing would be changed.\n", out);
    for (size_t i = 0; i < edits->len; i++) {
        const ImageCheckEdit *edit = &edits->items[i];

        if (edit->step != step) {
            step = edit->step;
            fprintf(out, "Step %" PRId64 ":\n", step);
        }
        fputs("  ", out);
        print_range(out, edit->offset, edit->size);
        if (edit->structure != IMAGE_CHECK_STRUCTURE_NONE) {
            fprintf(out, " %s", ImageCheckStructure_str(edit->structure));
        }
        fputs(": ", out);
        print_what(out, edit);
        fprintf(out, " [%s", edit->has_why ? ImageCheckFindingKind_str(edit->why) : "asked for");
        if (edit->has_evidence) {
            fprintf(out, ", %s", ImageCheckEvidence_str(edit->evidence));
        }
        fputs("]\n", out);
    }
    fputs("\n", out);
}
