/*
 * A whole image: opened, checked, its viscera and its result printed as text and as JSON.
 *
 * Whatever the image is, what is printed is fit for a terminal, the JSON says what it was made from, the findings add
 * up to the counts, the space to the file, a second check says the same, and a check of which some reads fail ends too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/block/faults.h"
#include "../unit/block/findings.h"
#include "block/qcow2.h"
#include "fuzz.h"
#include "output.h"
#include "qapi/json-input.h"
#include "qapi/qapi-visit.h"
#include "ui/output/check-text.h"
#include "ui/output/explanation-text.h"
#include "ui/output/findings-text.h"
#include "ui/output/json.h"
#include "ui/output/space-text.h"
#include "ui/output/viscera-text.h"

#define MOST_READ_BACK 100000 /* bytes of output: parsing costs more than all the rest */

/* What is asked of the image: chosen by its bytes. */
static Qcow2Question question;

typedef struct Verdict {
    bool opened;
    bool checked;
    Qcow2CheckResult result;
    Output messages;
    char *error;
} Verdict;

static void verdict_clear(Verdict *verdict)
{
    qcow2_check_result_clear(&verdict->result);
    g_free(verdict->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Verdict, verdict_clear)

static Verdict check(BlockSource *source, bool everything, const char *what)
{
    Verdict verdict = {0};
    FILE *messages = output_begin(&verdict.messages);
    Qcow2CheckOptions options = {.viscera = everything,
                                 .roles = everything,
                                 .space = everything,
                                 .question = everything ? &question : NULL,
                                 .findings = everything,
                                 .messages = messages,
                                 .workers = 2};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = NULL;

    limits_begin();
    image = qcow2_open(source, messages, &error);
    verdict.opened = image;
    verdict.checked = image && qcow2_check(image, &options, &verdict.result, &error);
    limits_end(what);
    fclose(messages);
    g_assert_true(verdict.checked == !error);
    verdict.error = error ? g_strdup(error->message) : NULL;
    output_is_printable(&verdict.messages);
    return verdict;
}

/* The counts are as they should be, whatever the image is. */
static void counts_make_sense(const ImageCheck *check, size_t size)
{
    g_assert_cmpint(check->check_errors, >=, 0);
    g_assert_cmpint(check->corruptions, >=, 0);
    g_assert_cmpint(check->leaks, >=, 0);
    g_assert_cmpint(check->total_clusters, >=, 0);
    g_assert_cmpint(check->compressed_clusters, >=, 0);
    g_assert_cmpint(check->compressed_clusters, <=, check->fragmented_clusters);
    g_assert_cmpint(check->fragmented_clusters, <=, check->allocated_clusters);
}

/* Roles are runs in the order of the file, and no more than it has. */
static void roles_make_sense(const ClusterRoles *roles)
{
    uint64_t at = 0, before = 0;
    ClusterRun run;

    while (cluster_roles_next(roles, &at, &run)) {
        g_assert_cmpuint(run.first, ==, before);
        g_assert_cmpuint(run.n, >, 0);
        g_assert_cmpuint(at, ==, run.first + run.n);
        g_assert_cmpint(run.role, <, CLUSTER_ROLE__MAX);
        before = at;
    }
    g_assert_cmpuint(before, ==, cluster_roles_clusters(roles));
}

/* The roles fill the file, and holes are no more than there is. */
static void space_adds_up(const ImageCheckSpace *space, size_t size)
{
    ImageCheckRoles roles = space->roles;
    uint64_t sum = space->beyond_end;

    for (ClusterRole role = 0; role < CLUSTER_ROLE__MAX; role++) {
        const ImageCheckRoleSpace *of_role = *cluster_role_space(&roles, role);

        if (of_role) {
            g_assert_cmpuint(of_role->holes, <=, of_role->size);
            sum += of_role->size;
        }
    }
    g_assert_cmpuint(space->file_size, ==, size);
    g_assert_cmpuint(sum, ==, size);
}

/* There are users exactly where there are references, and a place is either found or the way is broken. */
static void answer_makes_sense(const Qcow2CheckResult *result)
{
    const ImageCheckExplanation *answer = result->check->explanation;

    g_assert_true(!answer == (result->no_answer != NULL));
    if (answer && answer->host) {
        g_assert_true((answer->host->users.len == 0) == (answer->host->reference == 0));
    }
    if (answer && answer->guest) {
        g_assert_true((answer->guest->state == IMAGE_CHECK_GUEST_STATE_DAMAGED) == (answer->guest->problem != NULL));
    }
}

static char *json_of(ImageCheck *check)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    print_check_json(out, check, true, true);
    fclose(out);
    return text;
}

static void json_reads_back(ImageCheck *check)
{
    g_autofree char *text = json_of(check);
    g_autofree char *again = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = qapi_json_parse(text, &error);
    g_autoptr(Visitor) visitor = NULL;
    g_autoptr(ImageCheck) back = g_new0(ImageCheck, 1);

    g_assert_no_error(error);
    visitor = json_input_visitor_new(root);
    visit_type_ImageCheck(visitor, NULL, back, &error);
    g_assert_no_error(error);
    again = json_of(back);
    g_assert_cmpstr(text, ==, again);
}

static void print_everything(Qcow2CheckResult *result)
{
    Output output;
    FILE *out = output_begin(&output);

    print_check_text(out, result->check, result->notes);
    print_findings_text(out, &result->check->findings);
    print_space_text(out, result->check->space);
    if (result->check->explanation) {
        print_explanation_text(out, result->check->explanation);
    }
    if (result->check->viscera) {
        print_viscera_text(out, result->check->viscera, false);
        print_viscera_text(out, result->check->viscera, true);
    }
    print_check_json(out, result->check, true, false);
    fclose(out);
    output_is_printable(&output);
    if (output.size < MOST_READ_BACK) {
        json_reads_back(result->check);
    }
}

/* Neither the viscera nor anything that was there before changes the verdict. */
static void same_verdict(const Verdict *a, const Verdict *b)
{
    g_assert_true(a->opened == b->opened && a->checked == b->checked);
    g_assert_cmpstr(a->error, ==, b->error);
    if (a->checked) {
        g_assert_cmpint(a->result.failure, ==, b->result.failure);
        g_assert_cmpint(a->result.check->corruptions, ==, b->result.check->corruptions);
        g_assert_cmpint(a->result.check->leaks, ==, b->result.check->leaks);
        g_assert_cmpint(a->result.check->check_errors, ==, b->result.check->check_errors);
    }
}

/* A part of the file that the bytes themselves choose cannot be read. */
static void check_with_faults(const uint8_t *bytes, size_t size)
{
    uint64_t chosen = output_hash(bytes, size);
    FaultySource source = faulty_source(bytes, size, chosen % (size / 512 + 1) * 512, 512 << (chosen >> 60));
    g_auto(Verdict) verdict = check(&source.base, true, "a check with reads that fail");

    if (verdict.checked) {
        counts_make_sense(verdict.result.check, size);
    }
}

static void choose_question(const uint8_t *bytes, size_t size)
{
    uint64_t chosen = output_hash(bytes, size);

    question.guest = chosen & 1;
    question.snapshot = question.guest && (chosen & 2) ? "1" : NULL;
    /* offsets of the guest are spread over all magnitudes */
    question.offset = question.guest ? chosen >> (chosen >> 58) : (chosen >> 2) % (size + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, size);

    choose_question(bytes, size);

    g_auto(Verdict) verdict = check(source, true, "a check with viscera, roles and findings");
    g_auto(Verdict) plain = check(source, false, "a check");

    same_verdict(&verdict, &plain);
    if (verdict.checked) {
        counts_make_sense(verdict.result.check, size);
        assert_findings_add_up(verdict.result.check);
        roles_make_sense(verdict.result.roles);
        space_adds_up(verdict.result.check->space, size);
        answer_makes_sense(&verdict.result);
        verdict.result.check->filename = g_strdup("t.qcow2");
        verdict.result.check->format = g_strdup("qcow2");
        print_everything(&verdict.result);
        check_with_faults(bytes, size);
    }
    return 0;
}
