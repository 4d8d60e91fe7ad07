/*
 * The judgement on an image in words: see ui/output/judgement-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/judgement-text.h"

#include <inttypes.h>

#include "util/size.h"

static const char *const meanings[IMAGE_CHECK_JUDGEMENT__MAX] = {
    [IMAGE_CHECK_JUDGEMENT_SOUND] = "nothing is wrong",
    [IMAGE_CHECK_JUDGEMENT_BOOKKEEPING] = "the guest reads what it wrote; a repair is safe",
    [IMAGE_CHECK_JUDGEMENT_DATA_AT_RISK] = "a write to the image may damage data; do not write before a repair",
    [IMAGE_CHECK_JUDGEMENT_UNKNOWN] = "a part of the image could not be examined",
};

const char *judgement_meaning(ImageCheckJudgement judgement)
{
    return meanings[judgement];
}

static void print_lost(FILE *out, const ImageCheck *check)
{
    g_autofree char *lost = size_format(check->guest_bytes_lost);

    if (!check->guest_bytes_lost) {
        fputs("tables of the guest's disk or of a snapshot have lost their place", out);
        return;
    }
    fprintf(out, "%s of the guest's disk, in %" PRIu64 " range%s", lost, check->guest_ranges_lost,
            check->guest_ranges_lost == 1 ? "" : "s");
    if (check->guest_lost.len) {
        const Qcow2Allocation *first = &check->guest_lost.items[0];

        fprintf(out, "%s 0x%" PRIx64 "-0x%" PRIx64, check->guest_ranges_lost == 1 ? ":" : ", the first:", first->offset,
                first->offset + first->size - 1);
    }
}

void print_judgement_text(FILE *out, const ImageCheck *check)
{
    g_autofree char *kept = size_format(check->bytes_kept_as_lost);

    bool goes_on = check->has_file_length_least && check->file_length_least >= check->file_length;
    bool unsearched = check->leaks && !check->has_bytes_kept_as_lost;

    if (!check->has_judgement || check->judgement == IMAGE_CHECK_JUDGEMENT_SOUND) {
        return;
    }
    fprintf(out, "Judgement: %s: ", ImageCheckJudgement_str(check->judgement));
    if (check->judgement == IMAGE_CHECK_JUDGEMENT_DATA_LOST) {
        print_lost(out, check);
    } else if (check->judgement == IMAGE_CHECK_JUDGEMENT_DATA_AT_RISK && !check->corruptions) {
        fputs("clusters are used for two things, which their counts allow and no repair undoes; -v names them", out);
    } else if (check->judgement == IMAGE_CHECK_JUDGEMENT_UNKNOWN && check->guest_cut_off && !check->check_errors) {
        fputs("the file ends within a cluster of data", out);
    } else if (check->judgement == IMAGE_CHECK_JUDGEMENT_BOOKKEEPING && unsearched) {
        fputs("clusters leak; -v looks whether they are the last copy of something, which a repair keeps", out);
    } else {
        fputs(meanings[check->judgement], out);
    }
    if (check->bytes_kept_as_lost) {
        fprintf(out, "; a repair keeps %s of leaked clusters that may be the last copy", kept);
    }
    if (check->guest_cut_off) {
        fprintf(out, "; guest 0x%" PRIx64 "-0x%" PRIx64 " is cut off, and reads as zeros", check->guest_cut_off->offset,
                check->guest_cut_off->offset + (check->guest_cut_off->size - 1));
    }
    if (goes_on && check->judgement == IMAGE_CHECK_JUDGEMENT_BOOKKEEPING && !check->corruptions && !check->leaks) {
        fprintf(out,
                "; nothing refers to the clusters behind its end at 0x%" PRIx64 ", which are counted up to 0x%" PRIx64,
                check->file_length, check->file_length_least);
    } else if (goes_on) {
        fprintf(out, "; the file ends at 0x%" PRIx64 ", but clusters are counted up to the one at 0x%" PRIx64,
                check->file_length, check->file_length_least);
    }
    fputc('\n', out);
}
