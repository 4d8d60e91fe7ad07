/*
 * Writes samples for test-json-schema.py: an ImageCheck with everything in it, one with nothing optional, or
 * an Everything read from stdin.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "qapi/json-input.h"
#include "qapi/json-output.h"
#include "qapi/qapi-types.h"
#include "qapi/qapi-visit.h"
#include "test-qapi-types.h"
#include "test-qapi-visit.h"

static ImageCheck *least(void)
{
    ImageCheck *check = g_new0(ImageCheck, 1);

    check->filename = g_strdup("a\xff\n");
    check->format = g_strdup("qcow2");
    return check;
}

static void fill_bitmaps(Qcow2Metadata *viscera)
{
    viscera->bitmaps = g_new0(Qcow2Bitmaps, 1);
    viscera->bitmaps->nb_bitmaps = 1;

    Qcow2BitmapDirectoryEntry *bitmap =
        qapi_append_Qcow2BitmapDirectoryEntry(&viscera->bitmaps->bitmap_dir.dir_entries);

    bitmap->bitmap_name = g_strdup("b");
    for (int type = 0; type < QCOW2_BITMAP_TBL_ENTRY_TYPE__MAX; type++) {
        Qcow2BitmapTblEntry *entry = qapi_append_Qcow2BitmapTblEntry(&bitmap->bitmap_table.table_entries);

        entry->type = (Qcow2BitmapTblEntryType)type;
        if (type == QCOW2_BITMAP_TBL_ENTRY_TYPE_SERIALIZED) {
            entry->cluster = g_new0(Qcow2Allocation, 1);
        }
    }
}

static ImageCheck *most(void)
{
    ImageCheck *check = least();
    Qcow2Metadata *viscera = check->viscera = g_new0(Qcow2Metadata, 1);

    check->has_image_end_offset = check->has_corruptions = check->has_leaks = true;
    check->has_corruptions_fixed = check->has_leaks_fixed = check->has_total_clusters = true;
    check->has_allocated_clusters = check->has_fragmented_clusters = check->has_compressed_clusters = true;
    viscera->qcow2_header.location.size = UINT64_MAX;
    viscera->active_l1.name = g_strdup("L1 active table");
    viscera->refcount_table.has_refcount_blocks = true;
    qapi_append_Qcow2Allocation(&viscera->refcount_table.refcount_blocks);
    qapi_append_Qcow2Allocation(&viscera->active_l1.l2_list);
    viscera->crypt_header = g_new0(Qcow2EncryptionHeader, 1);
    viscera->snapshot_table = g_new0(Qcow2SnapshotsTable, 1);
    qapi_append_Qcow2L1Table(&viscera->snapshot_table->l1_list)->name = g_strdup("s");
    fill_bitmaps(viscera);
    return check;
}

static bool write_everything(Visitor *out, GError **errp)
{
    char text[16384];
    size_t length = fread(text, 1, sizeof(text) - 1, stdin);
    g_autoptr(JsonNode) root = NULL;
    g_autoptr(Everything) value = g_new0(Everything, 1);

    text[length] = '\0';
    root = qapi_json_parse(text, errp);
    if (!root) {
        return false;
    }

    g_autoptr(Visitor) in = json_input_visitor_new(root);

    return visit_type_Everything(in, NULL, value, errp) && visit_type_Everything(out, NULL, value, errp);
}

int main(int argc, char **argv)
{
    g_autoptr(Visitor) out = json_output_visitor_new(stdout, true);
    g_autoptr(GError) error = NULL;
    const char *what = argc > 1 ? argv[1] : "";
    bool ok;

    if (strcmp(what, "everything") == 0) {
        ok = write_everything(out, &error);
    } else {
        g_autoptr(ImageCheck) check = strcmp(what, "most") == 0 ? most() : least();

        ok = visit_type_ImageCheck(out, NULL, check, &error);
    }
    if (!ok || !visit_complete(out, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    return 0;
}
