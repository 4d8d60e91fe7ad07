/*
 * The report of a check: see ui/report/write.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/report/write.h"

#include "config.h"
#include "qapi/json-output.h"
#include "block/limits.h"
#include "qapi/qapi-visit.h"
#include "qapi/util.h"
#include "ui/report/lists.h"
#include "ui/report/page.h"
#include "ui/report/roles.h"
#include "ui/output/role-colours.h"
#include "util/secrets.h"

void report_ask(Qcow2CheckOptions *options)
{
    options->viscera = true;
    options->findings = true;
    options->judgement = true;
    options->roles = true;
    options->layout = true;
    options->space = true;
}

static char *colour_text(uint32_t colour)
{
    return g_strdup_printf("#%06x", colour);
}

static bool add_roles(CheckReport *report)
{
    for (ClusterRole role = 0; role < CLUSTER_ROLE__MAX; role++) {
        const RoleStyle *style = role_style(role);
        ReportRole *item = qapi_append_ReportRole(&report->roles);

        if (!item) {
            return false;
        }
        *item = (ReportRole){.role = role,
                             .name = g_strdup(style->name),
                             .colour = colour_text(style->colour),
                             .striped = style->striped};
    }
    report->palette = (ReportPalette){
        .paper = colour_text(ROLE_COLOUR_PAPER),
        .damage = colour_text(ROLE_COLOUR_DAMAGE),
        .outline = colour_text(ROLE_COLOUR_OUTLINE),
        .leak = colour_text(ROLE_COLOUR_LEAK),
        .kept = colour_text(ROLE_COLOUR_KEPT),
    };
    return true;
}

static bool add_notes(CheckReport *report, char *const *notes)
{
    for (; *notes; notes++) {
        char **item = qapi_append_str(&report->notes);

        if (!item) {
            return false;
        }
        *item = g_strdup(*notes);
    }
    return true;
}

/* A copy that borrows everything of @from, every count being there and the lists that are packed elsewhere missing. */
static ImageCheck bare_check(const ImageCheck *from)
{
    ImageCheck check = *from;

    check.viscera = NULL;
    check.findings.len = MIN(check.findings.len, LIMIT_REPORT_FINDINGS);
    check.has_image_end_offset = true;
    check.has_corruptions = check.has_leaks = true;
    check.has_corruptions_fixed = check.has_leaks_fixed = true;
    check.has_total_clusters = check.has_allocated_clusters = true;
    check.has_fragmented_clusters = check.has_compressed_clusters = true;
    return check;
}

/* What the copy below does not borrow. */
typedef struct BareViscera {
    Qcow2Metadata metadata;
    Qcow2SnapshotsTable snapshots;
    Qcow2Bitmaps bitmaps;
} BareViscera;

static void bare_snapshots(BareViscera *bare)
{
    Qcow2L1TableList *list = &bare->snapshots.l1_list;

    bare->snapshots = *bare->metadata.snapshot_table;
    bare->metadata.snapshot_table = &bare->snapshots;
    list->items = g_memdup2(list->items, list->len * sizeof(*list->items));
    for (size_t i = 0; i < list->len; i++) {
        list->items[i].l2_list = (Qcow2AllocationList){0};
    }
}

static void bare_bitmaps(BareViscera *bare)
{
    Qcow2BitmapDirectoryEntryList *list = &bare->bitmaps.bitmap_dir.dir_entries;

    bare->bitmaps = *bare->metadata.bitmaps;
    bare->metadata.bitmaps = &bare->bitmaps;
    list->items = g_memdup2(list->items, list->len * sizeof(*list->items));
    for (size_t i = 0; i < list->len; i++) {
        list->items[i].bitmap_table.table_entries = (Qcow2BitmapTblEntryList){0};
    }
}

static void bare_viscera_init(BareViscera *bare, const Qcow2Metadata *viscera)
{
    bare->metadata = *viscera;
    bare->metadata.refcount_table.has_refcount_blocks = false;
    bare->metadata.active_l1.l2_list = (Qcow2AllocationList){0};
    if (viscera->snapshot_table) {
        bare_snapshots(bare);
    }
    if (viscera->bitmaps) {
        bare_bitmaps(bare);
    }
}

static void bare_viscera_clear(BareViscera *bare)
{
    g_free(bare->snapshots.l1_list.items);
    g_free(bare->bitmaps.bitmap_dir.dir_entries.items);
}

/* @report owns its own texts and lists; the rest is lent to it for the writing. */
static void write_json(FILE *out, CheckReport *report, const Qcow2CheckResult *result)
{
    g_autoptr(Visitor) visitor = json_output_visitor_new_html(out);
    g_autofree char *name = secrets_hide(result->check->filename);
    BareViscera viscera = {0};
    CheckReport whole = *report;

    whole.check = bare_check(result->check);
    whole.check.filename = name;
    whole.image = result->layout->summary;
    if (result->check->viscera) {
        bare_viscera_init(&viscera, result->check->viscera);
        whole.viscera = &viscera.metadata;
    }
    fputs("<script type=\"application/json\" id=\"report\">", out);
    visit_type_CheckReport(visitor, NULL, &whole, NULL);
    visit_complete(visitor, NULL);
    fputs("</script>\n", out);
    bare_viscera_clear(&viscera);
}

bool report_write(FILE *out, const Qcow2CheckResult *result, int64_t when, GError **errp)
{
    g_auto(CheckReport) report = {.created = when, .program = g_strdup("qemu-img check " CONFIG_VERSION)};
    ReportRoles roles;

    fputs((const char *)report_head, out);
    roles = report_write_roles(out, result, LIMIT_REPORT_RUNS);
    report_write_mappings(out, &result->layout->mappings);
    report_write_places(out, result->check->viscera, LIMIT_REPORT_PLACES, &report.lists);
    report.role_runs = (int64_t)roles.runs;
    report.role_step = (int64_t)roles.step;
    report.mappings = (int64_t)result->layout->mappings.n;
    report.mapping_step = (int64_t)result->layout->mappings.step;
    report.findings_total = (int64_t)result->check->findings.len;
    if (!add_roles(&report) || !add_notes(&report, result->notes)) {
        return qapi_set_out_of_memory(errp);
    }
    write_json(out, &report, result);
    fputs((const char *)report_tail, out);
    return true;
}
