/*
 * What options of `qemu-img check` demand of each other: see ui/options/rules.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/rules.h"

#include <string.h>

#include "ui/options/values.h"
#include "util/error-report.h"

/* The option that changes what no repair does by itself; NULL: none was given. */
static const char *careful_option(const CheckOptions *options)
{
    switch (options->request.kind) {
    case QCOW2_REQUEST_NONE:
        return options->restore ? "--restore" : NULL;
    case QCOW2_REQUEST_ATTACH_L2:
    case QCOW2_REQUEST_ATTACH_L1:
    case QCOW2_REQUEST_ATTACH_REFBLOCK:
        return "--attach";
    case QCOW2_REQUEST_ZERO:
        return "--zero";
    default:
        return "--drop";
    }
}

/* Nothing but the undo file says what was there before. */
static bool allows_undo(const CheckOptions *options)
{
    const char *option = careful_option(options);

    if (options->no_undo && !option) {
        error_report_usage("--no-undo is about --restore, --attach, --drop or --zero, and none is given");
    } else if (options->undo_file && options->no_undo) {
        error_report_usage("--undo-file and --no-undo are mutually exclusive");
    } else if (option && !options->dry_run && !options->undo_file && !options->no_undo) {
        error_report_usage("%s needs --undo-file FILE, so that it can be taken back, or --no-undo", option);
    } else {
        return true;
    }
    return false;
}

static bool allows_restore(const CheckOptions *options)
{
    if (!options->restore && options->has_min_evidence) {
        error_report_usage("--min-evidence is about --restore, which is not given");
    } else if (options->restore && !options->repair_all) {
        error_report_usage("--restore is a part of a repair of all, and needs -r all");
    } else if (options->restore && options->free_lost) {
        error_report_usage("--restore and --free-lost are mutually exclusive");
    } else {
        return true;
    }
    return false;
}

/* --attach, --drop and --zero do nothing else. */
static bool allows_request(const CheckOptions *options)
{
    if (options->request.kind && options->repair) {
        error_report_usage("%s does nothing else, and -r would", careful_option(options));
        return false;
    }
    if (options->request.kind && options->many) {
        error_report_usage("%s expects one image", careful_option(options));
        return false;
    }
    return true;
}

/* Options that mean something with -r only; some of them also with --attach, --drop and --zero. */
static bool allows_repair_options(const CheckOptions *options)
{
    bool asked = options->request.kind != QCOW2_REQUEST_NONE;
    bool dry_run = options->dry_run && !options->rollback && !asked;

    if (!options->repair && (dry_run || options->free_lost || options->only || (options->undo_file && !asked))) {
        error_report_usage("%s is about a repair, and needs -r", dry_run              ? "--dry-run"
                                                                 : options->free_lost ? "--free-lost"
                                                                 : options->only      ? "--only"
                                                                                      : "--undo-file");
        return false;
    }
    if (options->many && options->undo_file) {
        error_report_usage("--undo-file is for one image, and there are several");
        return false;
    }
    return true;
}

static bool allows_snapshot(const CheckOptions *options)
{
    if (options->question.snapshot && !options->question.guest) {
        error_report_usage("--snapshot says in which tree --explain guest:OFFSET looks, which is not given");
        return false;
    }
    return true;
}

/* A repair neither reads nor mends data. */
static bool allows_verify(const CheckOptions *options)
{
    const char *other = options->repair ? "--repair" : options->request.kind ? careful_option(options) : NULL;

    if (options->verify_compressed && other) {
        error_report_usage("--verify-compressed and %s are mutually exclusive", other);
        return false;
    }
    return true;
}

static bool allows_format(const CheckOptions *options)
{
    if (options->image_opts && options->format) {
        error_report("--image-opts and --format are mutually exclusive");
        return false;
    }
    return true;
}

/* A rollback is one thing, done to one image. */
static bool allows_rollback(const CheckOptions *options)
{
    if (!options->rollback) {
        return true;
    }
    if (options->repair) {
        error_report_usage("--rollback and --repair are mutually exclusive");
    } else if (options->many) {
        error_report_usage("--rollback expects one image");
    } else if (options->about_check) {
        g_autofree char *word = option_word(options->about_check);

        error_report_usage("%s is about a check, and --rollback makes none", word);
    } else {
        return true;
    }
    return false;
}

static bool allows_map(const CheckOptions *options)
{
    if (!options->map && !options->has_map_curve && !options->has_map_order) {
        return true;
    }
    if (!options->map) {
        error_report_usage("%s is of use with --map only", options->has_map_curve ? "--map-curve" : "--map-order");
    } else if (g_str_equal(options->map, "-")) {
        error_report_usage("--map expects the name of a file; the standard output is for the result of the check");
    } else if (options->many) {
        error_report_usage("--map expects one image");
    } else {
        return true;
    }
    return false;
}

static bool allows_report(const CheckOptions *options)
{
    if (!options->report) {
        return true;
    }
    if (options->many) {
        error_report_usage("--report expects one image");
    } else if (g_str_equal(options->report, "-") && !options->quiet) {
        error_report_usage("--report=- takes the standard output, where the result of the check goes: it needs -q");
    } else {
        return true;
    }
    return false;
}

/* A chain is looked at as a whole, and each of its images changed by itself. */
static bool allows_chain(const CheckOptions *options)
{
    const char *other = options->repair         ? "--repair"
                        : options->request.kind ? careful_option(options)
                        : options->map          ? "--map"
                        : options->report       ? "--report"
                        : options->explain      ? "--explain"
                                                : NULL;

    if (options->allow_remote_backing && !options->backing_chain) {
        error_report_usage("--allow-remote-backing is about --backing-chain, which is not given");
    } else if (options->backing_chain && options->many) {
        error_report_usage("--backing-chain expects one image");
    } else if (options->backing_chain && other) {
        error_report_usage("--backing-chain and %s are mutually exclusive", other);
    } else {
        return true;
    }
    return false;
}

/* An option that takes a file, or the name of an existing file, may have taken what was meant to be the image. */
static bool is_taken_image(const CheckOptions *options)
{
    const Option *option = options->last_taken;

    return option && (option->file || g_file_test(options->last_argument, G_FILE_TEST_EXISTS));
}

static void report_no_image(const CheckOptions *options)
{
    const Option *option = options->last_taken;
    g_autofree char *word = option ? option_word(option) : NULL;

    if (is_taken_image(options)) {
        error_report_usage("Expecting one image file name\n%s took '%s' as %s; no image is left", word,
                           options->last_argument, option->purpose ? option->purpose : "its argument");
    } else {
        error_report_usage("Expecting one image file name");
    }
}

bool check_options_judge(CheckOptions *options)
{
    if (!options->filename && !options->many) {
        report_no_image(options);
        return false;
    }
    return allows_repair_options(options) && allows_request(options) && allows_restore(options) &&
           allows_undo(options) && option_parse_output(options, options->output ? options->output : "human") &&
           option_parse_cache(options, options->cache ? options->cache : "writeback") && allows_snapshot(options) &&
           allows_verify(options) && allows_format(options) && allows_rollback(options) && allows_report(options) &&
           allows_map(options) && allows_chain(options);
}
