/*
 * The page of an image, as `qemu-img check --report` writes it, whatever the image is.
 *
 * The page is the template, four elements with data between its halves, and nothing else: no byte of the image can end
 * an element. The data are parsed here as docs/interop/report.rst has them, and say what the check said.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../ui/report/page.h"
#include "block/qcow2.h"
#include "fuzz.h"
#include "qapi/json-input.h"
#include "qapi/json-output.h"
#include "qapi/qapi-visit.h"
#include "ui/report/write.h"

#define MOST_PAGE      ((size_t)30 << 20) /* bytes of a page, as documented */
#define MOST_READ_BACK 100000             /* bytes of JSON: parsing costs more than all the rest */
#define MOST_FINDINGS  10000u
#define MOST_PLACES    1310720u
#define FILENAME       "</script><script>alert(1)</script><!--\n\x1b[31m&amp;\xff\xe2\x80\xae"

/* ---- the page, in memory that is no business of the limits ---- */

typedef struct Page {
    size_t size;
    char text[MOST_PAGE];
} Page;

static Page page;

static ssize_t take(void *cookie, const char *bytes, size_t size)
{
    g_assert_cmpuint(size, <, MOST_PAGE - page.size);
    memcpy(page.text + page.size, bytes, size);
    page.size += size;
    page.text[page.size] = 0;
    return size;
}

static void write_page(const Qcow2CheckResult *result)
{
    FILE *out = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take});

    page.size = 0;
    limits_begin();
    g_assert_true(report_write(out, result, 1234567890, NULL));
    limits_end("a report");
    fclose(out);
    g_assert_cmpuint(strlen(page.text), ==, page.size);
}

/* ---- its parts ---- */

/* Goes behind @text, which must come next. */
static void expect(char **at, const char *text)
{
    g_assert_true(g_str_has_prefix(*at, text));
    *at += strlen(text);
}

/* What is in the element that comes next: ends where the first "<" is, which must be the end of the element. */
static char *take_element(char **at, const char *type, const char *id)
{
    g_autofree char *begin = g_strdup_printf("<script type=\"%s\" id=\"%s\">", type, id);
    char *content, *end;

    expect(at, begin);
    content = *at;
    end = strchr(content, '<');
    g_assert_nonnull(end);
    *at = end;
    expect(at, "</script>\n");
    *end = 0;
    return content;
}

typedef struct Packed {
    guchar *bytes;
    gsize size;
    gsize at;
} Packed;

static void packed_clear(Packed *packed)
{
    g_free(packed->bytes);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Packed, packed_clear)

static Packed unpack(const char *text)
{
    Packed packed = {0};
    g_autofree char *again = NULL;

    packed.bytes = g_base64_decode(text, &packed.size);
    again = g_base64_encode(packed.bytes, packed.size);
    g_assert_cmpstr(text, ==, again); /* g_base64_decode() passes over what is no base64 */
    return packed;
}

static uint64_t next_number(Packed *packed)
{
    uint64_t number = 0;
    guchar byte;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        g_assert_cmpuint(packed->at, <, packed->size);
        byte = packed->bytes[packed->at++];
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return number;
        }
    }
    g_assert_not_reached();
}

static int64_t next_signed(Packed *packed)
{
    uint64_t number = next_number(packed);

    return number & 1 ? -(int64_t)(number / 2) - 1 : (int64_t)(number / 2);
}

static uint64_t word_at(const Packed *packed, uint64_t index)
{
    uint64_t word;

    g_assert_cmpuint(index, <, packed->size / 8);
    memcpy(&word, packed->bytes + index * 8, sizeof(word));
    return GUINT64_FROM_LE(word);
}

/* ---- what they say ---- */

/* Runs are of all clusters, and have roles that there are. */
static void roles_are_whole(const CheckReport *report, const char *text, const ClusterRoles *roles)
{
    g_auto(Packed) packed = unpack(text);
    uint64_t clusters = 0;

    for (int64_t i = 0; i < report->role_runs; i++) {
        uint64_t run = next_number(&packed);

        g_assert_cmpuint(run & 15, <, report->roles.len);
        g_assert_cmpuint(run >> 7, >, 0);
        clusters += run >> 7;
    }
    g_assert_cmpuint(packed.at, ==, packed.size);
    g_assert_cmpuint(clusters, ==, cluster_roles_clusters(roles));
}

static void mappings_are_those_of(const Mappings *mappings, const CheckReport *report, const char *text)
{
    g_auto(Packed) packed = unpack(text);
    Mapping before = {0};

    g_assert_cmpint(report->mappings, ==, mappings->n);
    for (size_t i = 0; i < mappings->n; i++) {
        const Mapping *wanted = &mappings->items[i];
        uint64_t head = next_number(&packed);
        Mapping found = {.n = (uint32_t)(head >> 3), .kind = (unsigned)head & 3};

        found.host = before.host + next_number(&packed);
        found.guest = before.guest + before.n + (uint64_t)next_signed(&packed);
        found.tree = (head & 4 ? (unsigned)next_number(&packed) : before.tree) & MAPPING_MAX_TREE;
        g_assert_cmpuint(found.host, ==, wanted->host);
        g_assert_cmpuint(found.guest, ==, wanted->guest);
        g_assert_cmpuint(found.n, ==, wanted->n);
        g_assert_cmpuint(found.tree, ==, wanted->tree);
        g_assert_cmpuint(found.kind, ==, wanted->kind);
        before = found;
    }
    g_assert_cmpuint(packed.at, ==, packed.size);
}

static void allocations_are_those_of(const Qcow2AllocationList *list, const ReportPlaces *places, const Packed *packed)
{
    g_assert_cmpint(places->total, ==, list->len);
    for (int64_t i = 0; i < places->shown; i++) {
        g_assert_cmpuint(word_at(packed, places->first + i), ==, list->items[i].offset);
    }
}

static void bitmap_is_that_of(const Qcow2BitmapTblEntryList *list, const ReportPlaces *places, const Packed *packed)
{
    g_assert_cmpint(places->total, ==, list->len);
    for (int64_t i = 0; i < places->shown; i++) {
        const Qcow2BitmapTblEntry *entry = &list->items[i];
        uint64_t word = word_at(packed, places->first + i);

        g_assert_true(entry->cluster ? word == entry->cluster->offset
                                     : word == (entry->type == QCOW2_BITMAP_TBL_ENTRY_TYPE_ALL_ONES));
    }
}

/* Each list is where it is said to be, one behind the other, and has what the viscera have. */
static void places_are_those_of(const Qcow2Metadata *viscera, const CheckReport *report, const char *text)
{
    g_auto(Packed) packed = unpack(text);
    int64_t written = 0;

    for (size_t i = 0; i < report->lists.len; i++) {
        const ReportPlaces *places = &report->lists.items[i];

        g_assert_cmpint(places->first, ==, written);
        g_assert_cmpint(places->shown, ==, MIN(places->total, MOST_PLACES - written));
        written += places->shown;
        switch (places->kind) {
        case REPORT_PLACES_KIND_REFCOUNT_BLOCKS:
            allocations_are_those_of(&viscera->refcount_table.refcount_blocks, places, &packed);
            break;
        case REPORT_PLACES_KIND_L2_TABLES:
            allocations_are_those_of(places->of ? &viscera->snapshot_table->l1_list.items[places->of - 1].l2_list
                                                : &viscera->active_l1.l2_list,
                                     places, &packed);
            break;
        default:
            bitmap_is_that_of(&viscera->bitmaps->bitmap_dir.dir_entries.items[places->of].bitmap_table.table_entries,
                              places, &packed);
            break;
        }
    }
    g_assert_cmpuint(packed.size, ==, (uint64_t)written * 8);
}

static CheckReport *parse_report(const char *json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = qapi_json_parse(json, &error);
    g_autoptr(Visitor) visitor = NULL;
    g_autoptr(CheckReport) report = g_new0(CheckReport, 1);

    g_assert_no_error(error);
    visitor = keyval_input_visitor_new(root); /* large numbers are strings here */
    visit_type_CheckReport(visitor, NULL, report, &error);
    g_assert_no_error(error);
    return g_steal_pointer(&report);
}

static void is_plain(const char *json)
{
    for (const char *c = json; *c; c++) {
        g_assert_true((*c >= ' ' && *c < 0x7f) || *c == '\n');
        g_assert_null(strchr("<>&", *c));
    }
}

static void is_written_the_same(CheckReport *report, const char *json)
{
    g_autofree char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    g_autoptr(Visitor) visitor = json_output_visitor_new_html(out);

    visit_type_CheckReport(visitor, NULL, report, NULL);
    visit_complete(visitor, NULL);
    fclose(out);
    g_assert_cmpstr(text, ==, json);
}

static void counts_are_those_of(const ImageCheck *check, const CheckReport *report)
{
    g_assert_cmpint(report->check.corruptions, ==, check->corruptions);
    g_assert_cmpint(report->check.leaks, ==, check->leaks);
    g_assert_cmpint(report->check.check_errors, ==, check->check_errors);
    g_assert_cmpint(report->findings_total, ==, check->findings.len);
    g_assert_cmpuint(report->check.findings.len, ==, MIN(check->findings.len, MOST_FINDINGS));
    g_assert_null(report->check.viscera);
}

static void page_is_right(const Qcow2CheckResult *result)
{
    char *at = page.text;
    const char *roles, *mappings, *places, *json;

    expect(&at, (const char *)report_head);
    roles = take_element(&at, "text/plain", "roles");
    mappings = take_element(&at, "text/plain", "mappings");
    places = take_element(&at, "text/plain", "places");
    json = take_element(&at, "application/json", "report");
    g_assert_cmpstr(at, ==, (const char *)report_tail);
    is_plain(json);
    if (strlen(json) < MOST_READ_BACK) {
        g_autoptr(CheckReport) report = parse_report(json);

        is_written_the_same(report, json);
        counts_are_those_of(result->check, report);
        roles_are_whole(report, roles, result->roles);
        mappings_are_those_of(&result->layout->mappings, report, mappings);
        places_are_those_of(result->check->viscera, report, places);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, size);
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, NULL);
    Qcow2CheckOptions options = {.workers = 1};
    Qcow2CheckResult result = {0};

    report_ask(&options);
    if (image && qcow2_check(image, &options, &result, NULL)) {
        result.check->filename = g_strdup(FILENAME);
        result.check->format = g_strdup("qcow2");
        write_page(&result);
        page_is_right(&result);
    }
    qcow2_check_result_clear(&result);
    return 0;
}
