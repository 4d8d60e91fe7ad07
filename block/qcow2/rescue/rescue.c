/*
 * Rescuing an image without a usable header or L1 table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/rescue.h"

#include <errno.h>

#include "block/io/edited.h"
#include "block/qcow2/rescue/build.h"
#include "block/qcow2/rescue/disk-size.h"
#include "block/qcow2/rescue/order.h"
#include "block/qcow2/rescue/restore.h"
#include "block/qcow2/rescue/snapshots.h"
#include "block/qcow2/rescue/survey.h"
#include "util/number.h"

/* ---- the result ---- */

static void count_range(ImageRescueTotal *total, const ImageRescueRange *range)
{
    uint64_t *counts[] = {
        [IMAGE_RESCUE_CLASS_PROVED] = &total->proved,
        [IMAGE_RESCUE_CLASS_INFERRED] = &total->inferred,
        [IMAGE_RESCUE_CLASS_GUESSED] = &total->guessed,
        [IMAGE_RESCUE_CLASS_MISSING] = &total->missing,
    };

    *counts[range->class] += range->length;
}

static void list_unplaced(ImageRescue *result, const GPtrArray *unplaced)
{
    result->unplaced.len = unplaced->len;
    result->unplaced.items = g_new(ImageRescueUnplaced, unplaced->len);
    for (guint i = 0; i < unplaced->len; i++) {
        const Qcow2FoundTable *t = g_ptr_array_index(unplaced, i);

        result->unplaced.items[i] =
            (ImageRescueUnplaced){.offset = t->offset, .clusters = t->entries, .first_entry = t->first_entry};
    }
}

static void list_notes(ImageRescue *result, GPtrArray *notes)
{
    result->notes.len = notes->len;
    result->notes.items = g_new(char *, notes->len);
    for (guint i = 0; i < notes->len; i++) {
        result->notes.items[i] = g_strdup(g_ptr_array_index(notes, i));
    }
}

static ImageRescue *make_result(const Qcow2Found *found, const Qcow2Trees *trees, const Qcow2Survey *survey,
                                const GPtrArray *unplaced, GPtrArray *notes)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    ImageRescue *result = g_new0(ImageRescue, 1);

    result->size = trees->size;
    result->cluster_size = h->cluster_size;
    result->extended_l2 = qcow2_has_extended_l2(h);
    result->refcount_bits = UINT64_C(1) << h->refcount_order;
    result->snapshots = found->snapshots->len;
    result->ranges.len = survey->ranges->len;
    result->ranges.items = g_new(ImageRescueRange, survey->ranges->len);
    for (guint i = 0; i < survey->ranges->len; i++) {
        result->ranges.items[i] = g_array_index(survey->ranges, ImageRescueRange, i);
        count_range(&result->total, &result->ranges.items[i]);
    }
    list_unplaced(result, unplaced);
    list_notes(result, notes);
    return result;
}

/* ---- the plan ---- */

static void add_notes(const Qcow2Found *found, const Qcow2Survey *survey, GPtrArray *notes)
{
    uint64_t unread = 0;

    for (guint i = 0; i < found->scan.unread->len; i++) {
        unread += g_array_index(found->scan.unread, Qcow2ByteRange, i).size;
    }
    if (unread) {
        g_ptr_array_add(notes, g_strdup_printf("%" PRIu64 " bytes of the source could not be read", unread));
    } else if (found->in->source->failed_reads) {
        g_ptr_array_add(notes, g_strdup_printf("metadata could not be read (%s), and counts as lost",
                                               g_strerror(-found->in->source->read_error)));
    }
    if (survey->damaged) {
        g_ptr_array_add(notes,
                        g_strdup_printf("%" PRIu64 " L2 entries are damaged, and were taken out", survey->damaged));
    }
}

/* False and @errp set if there is neither a table of the disk nor a header that may be one of an empty disk. */
static bool has_anything(const Qcow2Found *found, const Qcow2Trees *trees, const GPtrArray *unplaced, GError **errp)
{
    bool any = unplaced->len || found->snapshots->len || found->in->metadata || found->remains.is_qcow2;

    for (guint i = 0; !any && i < trees->slots->len; i++) {
        any = g_array_index(trees->slots, Qcow2Slot, i).table != 0;
    }
    if (!any) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "Nothing in it looks like an L2 table of a qcow2 image");
    }
    return any;
}

static bool plan_edits(const Qcow2Found *found, Qcow2Trees *trees, Qcow2Rescue *rescue, GError **errp)
{
    g_autoptr(GPtrArray) unplaced = g_ptr_array_new();
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) dropped = g_array_new(FALSE, FALSE, sizeof(Qcow2DroppedEntry));
    g_autoptr(BlockSource) view = NULL;
    g_auto(Qcow2Survey) survey = {0};
    uint64_t end;

    if (!align_up_u64(found->in->source->length, qcow2_found_header(found)->cluster_size, &end) ||
        !qcow2_place_tables(found, trees, unplaced, errp) || !has_anything(found, trees, unplaced, errp) ||
        !qcow2_restore_tables(found, trees, rescue->edits, &end, dropped, errp)) {
        return false;
    }
    edits_end_pass(rescue->edits);
    view = block_source_new_edited(found->in->source, rescue->edits);
    if (!qcow2_survey(found, trees, view, dropped, rescue->edits, &survey, errp)) {
        return false;
    }
    qcow2_build_image(found, trees, &survey, rescue->edits, &end, notes);
    edits_end_pass(rescue->edits);
    add_notes(found, &survey, notes);
    rescue->length = end;
    rescue->result = make_result(found, trees, &survey, unplaced, notes);
    rescue->size_from = g_steal_pointer(&trees->size_from);
    return true;
}

bool qcow2_rescue_plan(const Qcow2RescueInput *in, Qcow2Rescue *rescue, GError **errp)
{
    g_auto(Qcow2Found) found = {0};
    g_auto(Qcow2Trees) trees = {0};

    *rescue = (Qcow2Rescue){.edits = edits_new()};
    if (!qcow2_find(in, &found, errp)) {
        return false;
    }
    qcow2_find_snapshots(&found);
    qcow2_find_trees(&found, &trees);
    qcow2_find_disk_size(&found, &trees);
    return plan_edits(&found, &trees, rescue, errp);
}

bool qcow2_rescue_write(const Qcow2Rescue *rescue, BlockSource *copy, GError **errp)
{
    int error = block_source_truncate(copy, rescue->length);

    for (size_t i = 0; !error && i < edits_n(rescue->edits); i++) {
        const Edit *edit = edits_at(rescue->edits, i);

        error = block_source_write(copy, edit->bytes, edit->size, edit->offset);
    }
    if (error) {
        g_set_error(errp, BLOCK_ERROR, -error, "Could not write the new image: %s", g_strerror(-error));
        return false;
    }
    return true;
}

void qcow2_rescue_clear(Qcow2Rescue *rescue)
{
    g_clear_pointer(&rescue->edits, edits_free);
    g_clear_pointer(&rescue->result, qapi_free_ImageRescue);
    g_clear_pointer(&rescue->size_from, g_free);
}
