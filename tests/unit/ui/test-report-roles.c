/*
 * Roles of clusters, packed into a report.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/report/roles.h"

#include <string.h>

#include "ui/report/pack.h"

#define CLUSTER 65536

typedef struct Fixture {
    ImageCheck check;
    Qcow2CheckResult result;
    GString *runs; /* those that were written, as "12xd " for twelve clusters of data */
    ReportRoles written;
} Fixture;

static void fixture_clear(Fixture *f)
{
    cluster_roles_free(f->result.roles);
    qapi_clear_ImageCheck(&f->check);
    g_string_free(f->runs, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void begin(Fixture *f, uint64_t clusters)
{
    f->result.check = &f->check;
    f->result.roles = cluster_roles_new(clusters, CLUSTER);
    f->runs = g_string_new(NULL);
}

static void add(Fixture *f, uint64_t first, uint64_t n, ClusterRole role, bool corrupt)
{
    ClusterRun run = {.first = first, .n = n, .role = role, .corrupt = corrupt};

    g_assert_true(cluster_roles_add(f->result.roles, &run));
}

static uint64_t take_number(const guchar **at)
{
    uint64_t number = 0;

    for (unsigned shift = 0;; shift += 7) {
        number |= (uint64_t)(**at & 0x7f) << shift;
        if (!(*(*at)++ & 0x80)) {
            return number;
        }
    }
}

/* One letter a role, in the order of ClusterRole; ! is damage, ? has a leak. */
static void describe(GString *runs, uint64_t number)
{
    static const char letters[] = ".HtrLldcTsbe?X";

    g_string_append_printf(runs, "%" G_GUINT64_FORMAT "%c%s%s ", number >> 7, letters[number & 15],
                           number & 16 ? "!" : "", number & 32 ? "?" : "");
}

static void expect(Fixture *f, uint64_t most, uint64_t step, const char *expected)
{
    static const char head[] = "<script type=\"text/plain\" id=\"roles\">", tail[] = "</script>\n";
    g_autofree char *text = NULL;
    g_autofree guchar *bytes = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    g_assert_true(cluster_roles_finish(f->result.roles));
    f->written = report_write_roles(out, &f->result, most);
    fclose(out);
    g_assert_true(g_str_has_prefix(text, head) && g_str_has_suffix(text, tail));
    text[size - strlen(tail)] = '\0';
    bytes = g_base64_decode(text + strlen(head), &size);
    for (const guchar *at = bytes; at < bytes + size;) {
        describe(f->runs, take_number(&at));
    }
    if (expected) {
        g_assert_cmpstr(f->runs->str, ==, expected);
    }
    g_assert_cmpuint(f->written.step, ==, step);
    g_assert_cmpuint(f->written.runs, <=, most);
}

/* As long as there is room, runs are written as they are, free ones too. */
static void test_exact(void)
{
    g_auto(Fixture) f = {0};

    begin(&f, 1000);
    add(&f, 0, 1, CLUSTER_ROLE_HEADER, false);
    add(&f, 4, 300, CLUSTER_ROLE_DATA, false);
    add(&f, 304, 1, CLUSTER_ROLE_DATA, true);
    add(&f, 999, 1, CLUSTER_ROLE_LEAKED, false);
    expect(&f, 6, 1, "1H 3. 300d 1d! 694. 1?? ");
}

/* What a finding is about is marked, whatever its role says. */
static void test_findings(void)
{
    g_auto(Fixture) f = {0};
    ImageCheckFindingList *list = g_new0(ImageCheckFindingList, 1);
    ImageCheckFinding *finding = qapi_append_ImageCheckFinding(list);

    begin(&f, 10);
    finding->severity = IMAGE_CHECK_SEVERITY_CORRUPTION;
    finding->message = g_strdup("");
    finding->has_entry_offset = true;
    finding->entry_offset = 3 * CLUSTER + 8;
    f.check.has_findings = true;
    f.check.corruptions = 1;
    f.check.findings = qapi_sequence_of_ImageCheckFindingList(list);
    add(&f, 0, 10, CLUSTER_ROLE_L2, false);
    expect(&f, 6, 1, "3l 1l! 6l ");
}

/* A cluster that is in use and has a leak keeps its role. */
static void test_leak_in_use(void)
{
    g_auto(Fixture) f = {0};
    ClusterRun run = {.first = 3, .n = 2, .role = CLUSTER_ROLE_DATA, .leaked = true};

    begin(&f, 10);
    g_assert_true(cluster_roles_add(f.result.roles, &run));
    expect(&f, 3, 1, "3. 2d? 5. ");
}

/* Of too many runs, clusters are taken together: the role of most that are in use, and what is wrong with any. */
static void test_steps(void)
{
    g_auto(Fixture) f = {0};

    begin(&f, 18);
    for (uint64_t cluster = 0; cluster < 8; cluster += 2) {
        add(&f, cluster, 1, cluster == 2 ? CLUSTER_ROLE_L2 : CLUSTER_ROLE_DATA, false);
    }
    add(&f, 8, 1, CLUSTER_ROLE_L1, true);
    add(&f, 10, 1, CLUSTER_ROLE_LEAKED, false);
    add(&f, 12, 6, CLUSTER_ROLE_DATA, false);
    /* 0-3: d.l. 4-7: d.d. 8-11: L.?. 12-15: dddd 16-17: dd */
    expect(&f, 4, 4, "4l 4d 4L!? 6d ");
}

/* A run of more clusters than a script could count with is several. */
static void test_longest(void)
{
    g_auto(Fixture) f = {0};

    begin(&f, (UINT64_C(1) << 41) + 1);
    expect(&f, 6, 1, "1099511627776. 1099511627776. 1. ");
}

/* A million runs and more end within the limit, with nothing lost that is wrong. */
static void test_fragmented(void)
{
    enum { CLUSTERS = 1 << 21, LIMIT = 1 << 14 }; /* roles change every 64 clusters */
    g_auto(Fixture) f = {0};

    begin(&f, CLUSTERS);
    for (uint64_t cluster = 0; cluster < CLUSTERS; cluster += 2) {
        add(&f, cluster, 1, CLUSTER_ROLE_DATA + (cluster / 64) % 2, cluster == 77778);
    }
    expect(&f, LIMIT, 128, NULL);
    g_assert_nonnull(strchr(f.runs->str, '!'));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/report-roles/exact", test_exact);
    g_test_add_func("/report-roles/findings", test_findings);
    g_test_add_func("/report-roles/leak-in-use", test_leak_in_use);
    g_test_add_func("/report-roles/steps", test_steps);
    g_test_add_func("/report-roles/longest", test_longest);
    g_test_add_func("/report-roles/fragmented", test_fragmented);
    return g_test_run();
}
