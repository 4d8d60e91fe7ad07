/*
 * What a check of one image comes to: see ui/check-result.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-result.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "ui/output/answer-text.h"
#include "ui/output/check-text.h"
#include "ui/output/edits-text.h"
#include "ui/output/explanation-text.h"
#include "ui/output/findings-text.h"
#include "ui/output/json.h"
#include "ui/output/judgement-text.h"
#include "ui/output/space-text.h"
#include "ui/output/terminal.h"
#include "ui/output/viscera-text.h"
#include "util/error-report.h"

int check_result_status(const Qcow2CheckResult *result)
{
    const ImageCheck *check = result->check;

    if (result->failure != 0 || check->check_errors != 0 || result->no_answer || result->not_repaired) {
        return EXIT_FAILED;
    }
    if (check->corruptions != 0) {
        return EXIT_CORRUPTIONS;
    }
    return check->leaks != 0 ? EXIT_LEAKS : EXIT_CLEAN;
}

int check_result_exit_status(const CheckOptions *options, const Qcow2CheckResult *result)
{
    int status = check_result_status(result);

    if (!options->strict || !result->check->has_judgement || (status != EXIT_CLEAN && status != EXIT_LEAKS)) {
        return status;
    }
    switch (result->check->judgement) {
    case IMAGE_CHECK_JUDGEMENT_DATA_LOST:
    case IMAGE_CHECK_JUDGEMENT_DATA_AT_RISK:
        return EXIT_CORRUPTIONS;
    case IMAGE_CHECK_JUDGEMENT_UNKNOWN:
        return EXIT_FAILED;
    default:
        return status;
    }
}

bool check_result_shows_judgement(const CheckOptions *options)
{
    bool as_stock = options->json && options->no_dump_meta && !options->findings && !options->all_fields;

    return options->strict || (!options->quiet && !as_stock);
}

static void hide_own_members(ImageCheck *check)
{
    check->has_virtual_size = check->has_cluster_size = check->has_exit_status = false;
    check->has_judgement = check->has_unknown_because = check->has_guest_bytes_lost = check->has_guest_ranges_lost =
        check->has_guest_lost = false;
    check->has_bytes_kept_as_lost = check->has_file_length = check->has_file_length_least = false;
    check->guest_cut_off = NULL;
}

/* Judgement, findings, space and viscera may be there for another purpose than to be printed. */
static void print_json(const CheckOptions *options, const ImageCheck *check)
{
    ImageCheck shown = *check; /* others may read @check just now */

    if (!check_result_shows_judgement(options)) {
        hide_own_members(&shown);
    }
    shown.has_findings = check->has_findings && options->findings;
    shown.space = options->space ? check->space : NULL;
    shown.viscera = options->no_dump_meta ? NULL : check->viscera;
    print_check_json(stdout, &shown, options->all_fields, !options->many);
}

bool check_result_has_answer(const CheckOptions *options)
{
    return !options->json && !options->quiet && (options->table || isatty(STDOUT_FILENO));
}

void check_result_print(const CheckOptions *options, const Qcow2CheckResult *result)
{
    static char *const no_notes[] = {NULL};
    bool answer = check_result_has_answer(options);

    if (options->json) {
        print_json(options, result->check);
        return;
    }
    if (result->check->has_edits && (options->verbose || !answer)) {
        print_edits_text(stdout, &result->check->edits);
    }
    print_check_text(stdout, result->check, answer ? no_notes : result->notes);
    if (options->verbose) {
        print_findings_text(stdout, &result->check->findings);
    }
    if (options->space && result->check->space) {
        print_space_text(stdout, result->check->space);
    }
    if (result->check->explanation) {
        print_explanation_text(stdout, result->check->explanation);
    }
    if (options->dump_meta > 0 && result->check->viscera) {
        print_viscera_text(stdout, result->check->viscera, options->dump_meta > 1);
    }
    if (answer) {
        print_answer_text(stdout, options, result, terminal_columns(STDOUT_FILENO),
                          terminal_has_colours(STDOUT_FILENO));
        if (options->table) {
            print_answer_row(stdout, options, result);
        }
    } else {
        print_judgement_text(stdout, result->check);
    }
}

bool check_result_finish_stdout(void)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE) {
        return true;
    }
    error_report("Could not write the result: %s", errno ? g_strerror(errno) : "output failed");
    return false;
}

void check_result_report_failure(const Qcow2CheckResult *result)
{
    if (result->not_repaired) {
        error_report("Repair failed: %s", result->not_repaired->message);
    } else if (result->failure != 0) {
        error_report("Check failed: %s", g_strerror(result->failure));
    } else if (result->check->check_errors != 0) {
        error_report("Check failed");
    }
    if (result->no_answer) {
        error_report("%s", result->no_answer->message);
    }
}
