/*
 * The arguments of options of `qemu-img check`: see ui/options/values.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/values.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "block/remote.h"
#include "qapi/qapi-types.h"
#include "ui/options/object.h"
#include "ui/options/options.h"
#include "ui/options/requests.h"
#include "util/error-report.h"
#include "util/size.h"

bool option_parse_object(CheckOptions *options, const char *argument)
{
    g_autoptr(GError) error = NULL;

    switch (user_object_add(options->object_ids, argument, &error)) {
    case USER_OBJECT_FOREIGN:
        options->foreign_object = argument;
        return false;
    case USER_OBJECT_ACCEPTED:
        return true;
    default:
        error_report("%s", error->message);
        return false;
    }
}

bool option_parse_dump_meta(CheckOptions *options, const char *argument)
{
    options->dump_meta++;
    return true;
}

bool option_parse_explain(CheckOptions *options, const char *argument)
{
    Qcow2Question *question = &options->question;
    const char *offset = argument;

    question->guest = g_str_has_prefix(argument, "guest:");
    if (question->guest) {
        offset += strlen("guest:");
    }
    if (!size_parse(offset, &question->offset)) {
        error_report_usage("--explain expects an offset such as 65536, 0x10000, 64k or guest:1G, not '%s'", argument);
        return false;
    }
    options->explain = true;
    return true;
}

/* Returns the index of @argument among @names, or -1. */
static int find_choice(const char *const *names, const char *argument)
{
    for (int i = 0; names[i]; i++) {
        if (g_str_equal(names[i], argument)) {
            return i;
        }
    }
    return -1;
}

bool option_parse_map_curve(CheckOptions *options, const char *argument)
{
    static const char *const names[] = {"hilbert", "linear", NULL}; /* by MapCurve */
    int curve = find_choice(names, argument);

    if (curve < 0) {
        error_report_usage("--map-curve expects hilbert or linear, not '%s'", argument);
        return false;
    }
    options->has_map_curve = true;
    options->map_curve = (MapCurve)curve;
    return true;
}

bool option_parse_map_order(CheckOptions *options, const char *argument)
{
    static const char *const names[] = {"host", "guest", NULL};
    int order = find_choice(names, argument);

    if (order < 0) {
        error_report_usage("--map-order expects host or guest, not '%s'", argument);
        return false;
    }
    options->has_map_order = true;
    options->map_guest = order == 1;
    return true;
}

bool option_parse_repair(CheckOptions *options, const char *argument)
{
    static const char *const names[] = {"leaks", "all", NULL};
    int what = find_choice(names, argument);

    if (what < 0) {
        error_report_usage("Unknown option value for -r (expecting 'leaks' or 'all'): %s", argument);
        return false;
    }
    options->repair = true;
    options->repair_all = what == 1;
    return true;
}

bool option_parse_only(CheckOptions *options, const char *argument)
{
    g_auto(GStrv) names = g_strsplit(argument, ",", -1);

    if (!*names) {
        error_report_usage("--only expects kinds of findings with commas between them, and there is none");
        return false;
    }
    for (char **name = names; *name; name++) {
        int kind = qapi_enum_parse(&ImageCheckFindingKind_lookup, *name);

        if (kind < 0) {
            error_report_usage("--only expects kinds of findings with commas between them, and '%s' is none", *name);
            return false;
        }
        options->only |= UINT64_C(1) << kind;
    }
    return true;
}

bool option_parse_min_evidence(CheckOptions *options, const char *argument)
{
    int class = qapi_enum_parse(&ImageCheckEvidence_lookup, argument);

    if (class < 0) {
        error_report_usage("--min-evidence expects proved, inferred or guessed, not '%s'", argument);
        return false;
    }
    options->has_min_evidence = true;
    options->min_evidence = (ImageCheckEvidence) class;
    return true;
}

/* Each of these does one thing, and so does the command. */
static bool take_request(CheckOptions *options, const char *argument,
                         bool (*parse)(const char *text, Qcow2Request *request), const char *expected)
{
    if (options->request.kind) {
        error_report_usage("Of --attach, --drop and --zero one can be given, once");
        return false;
    }
    if (!parse(argument, &options->request)) {
        error_report_usage("%s, not '%s'", expected, argument);
        return false;
    }
    return true;
}

bool option_parse_attach(CheckOptions *options, const char *argument)
{
    return take_request(options, argument, request_parse_attach,
                        "--attach expects OFFSET=l1:INDEX, OFFSET=snapshot:ID:l1:INDEX, OFFSET=header:l1 or "
                        "OFFSET=reftable:INDEX");
}

bool option_parse_drop(CheckOptions *options, const char *argument)
{
    return take_request(
        options, argument, request_parse_drop,
        "--drop expects bitmaps, bitmap:NAME, snapshots, snapshot:ID, backing-name or encryption-header");
}

bool option_parse_zero(CheckOptions *options, const char *argument)
{
    return take_request(options, argument, request_parse_zero,
                        "--zero expects guest:OFFSET+LENGTH, such as guest:1G+64k");
}

static bool parse_number(const char *argument, const char *what, unsigned least, unsigned most, unsigned *number)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(argument, 10, least, most, &value, NULL)) {
        error_report_usage("Invalid %s (expecting %u to %u): %s", what, least, most, argument);
        return false;
    }
    *number = (unsigned)value;
    return true;
}

bool option_parse_progress_fd(CheckOptions *options, const char *argument)
{
    unsigned fd;
    int flags;

    if (!parse_number(argument, "file descriptor for --progress-fd", 0, INT_MAX, &fd)) {
        return false;
    }
    flags = fcntl((int)fd, F_GETFL);
    if (flags < 0 || flags & O_PATH) { /* the latter was closed, too: util/standard-streams.h */
        error_report("Could not write progress to file descriptor %u: %s", fd, g_strerror(EBADF));
        return false;
    }
    options->progress_fd = (int)fd;
    return true;
}

bool option_parse_files_from(CheckOptions *options, const char *argument)
{
    if (options->files_from) {
        error_report_usage("--files-from can be given once only");
        return false;
    }
    options->files_from = argument;
    return true;
}

bool option_parse_jobs(CheckOptions *options, const char *argument)
{
    return parse_number(argument, "number of images for --jobs", 1, MAX_JOBS, &options->jobs);
}

bool option_parse_workers(CheckOptions *options, const char *argument)
{
    return parse_number(argument, "number of worker threads for -m", 1, MAX_WORKERS, &options->workers);
}

bool option_parse_timeout(CheckOptions *options, const char *argument)
{
    return parse_number(argument, "number of seconds for --timeout", 1, REMOTE_MAX_SECONDS, &options->timeout);
}

bool option_parse_sandbox(CheckOptions *options, const char *argument)
{
    static const char *const names[] = {"auto", "on", "off", NULL}; /* by SandboxMode */
    int mode = find_choice(names, argument);

    if (mode < 0) {
        error_report_usage("--sandbox expects on, off or auto, not '%s'", argument);
        return false;
    }
    options->sandbox = (SandboxMode)mode;
    return true;
}

bool option_parse_reader(CheckOptions *options, const char *argument)
{
    static const char *const names[] = {"auto", "io_uring", "threads", "inline", NULL}; /* by FileReaderKind */
    int reader = find_choice(names, argument);

    if (reader < 0) {
        error_report_usage("--debug-reader expects auto, io_uring, threads or inline, not '%s'", argument);
        return false;
    }
    options->reader = (FileReaderKind)reader;
    return true;
}

bool option_parse_output(CheckOptions *options, const char *argument)
{
    options->lines = g_str_equal(argument, "jsonl");
    options->json = options->lines || g_str_equal(argument, "json");
    if (!options->json && !g_str_equal(argument, "human")) {
        error_report("--output must be used with human or json as argument.");
        return false;
    }
    return true;
}

bool option_parse_cache(CheckOptions *options, const char *argument)
{
    static const char *const buffered[] = {"writeback", "writethrough", "unsafe", NULL};
    static const char *const direct[] = {"none", "off", "directsync", NULL};
    static const char *const sync[] = {"writethrough", "directsync", NULL};

    options->direct = g_strv_contains(direct, argument);
    options->sync = g_strv_contains(sync, argument);
    options->no_flush = g_str_equal(argument, "unsafe");
    if (!options->direct && !g_strv_contains(buffered, argument)) {
        error_report("Invalid source cache option: %s", argument);
        return false;
    }
    return true;
}
