/*
 * The command line of `qemu-img check`: see ui/options/options.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ui/options/object.h"
#include "block/remote.h"
#include "qapi/qapi-types.h"
#include "util/error-report.h"
#include "util/size.h"

enum {
    OPTION_OBJECT = 256,
    OPTION_OUTPUT,
    OPTION_IMAGE_OPTS,
    OPTION_NO_DUMP_META,
    OPTION_ALL_FIELDS,
    OPTION_FINDINGS,
    OPTION_MAP,
    OPTION_MAP_CURVE,
    OPTION_SPACE,
    OPTION_REPORT,
    OPTION_EXPLAIN,
    OPTION_SNAPSHOT,
    OPTION_FILES_FROM,
    OPTION_JOBS,
    OPTION_PROGRESS_FD,
    OPTION_DEBUG_STATS,
    OPTION_DEBUG_READER,
    OPTION_TIMEOUT,
    OPTION_ROLLBACK,
    OPTION_ALL_MESSAGES,
    OPTION_SANDBOX,
    OPTION_MAX_MEMORY,
    OPTION_FREE_LOST,
    OPTION_ONLY,
    OPTION_UNDO_FILE,
};

/* The colon in front makes getopt_long() tell a missing argument from an unknown option, and print nothing. */
static const char short_options[] = ":hf:r:T:qUMm:pvn";

static const struct option long_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"format", required_argument, NULL, 'f'},
    {"repair", required_argument, NULL, 'r'},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"object", required_argument, NULL, OPTION_OBJECT},
    {"image-opts", no_argument, NULL, OPTION_IMAGE_OPTS},
    {"force-share", no_argument, NULL, 'U'},
    {"dump-meta", no_argument, NULL, 'M'},
    {"no-dump-meta", no_argument, NULL, OPTION_NO_DUMP_META},
    {"all-fields", no_argument, NULL, OPTION_ALL_FIELDS},
    {"findings", no_argument, NULL, OPTION_FINDINGS},
    {"space", no_argument, NULL, OPTION_SPACE},
    {"explain", required_argument, NULL, OPTION_EXPLAIN},
    {"snapshot", required_argument, NULL, OPTION_SNAPSHOT},
    {"verbose", no_argument, NULL, 'v'},
    {"map", required_argument, NULL, OPTION_MAP},
    {"report", required_argument, NULL, OPTION_REPORT},
    {"map-curve", required_argument, NULL, OPTION_MAP_CURVE},
    {"files-from", required_argument, NULL, OPTION_FILES_FROM},
    {"jobs", required_argument, NULL, OPTION_JOBS},
    {"progress", no_argument, NULL, 'p'},
    {"progress-fd", required_argument, NULL, OPTION_PROGRESS_FD},
    {"debug-stats", no_argument, NULL, OPTION_DEBUG_STATS},
    {"debug-reader", required_argument, NULL, OPTION_DEBUG_READER},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"rollback", required_argument, NULL, OPTION_ROLLBACK},
    {"all-messages", no_argument, NULL, OPTION_ALL_MESSAGES},
    {"sandbox", required_argument, NULL, OPTION_SANDBOX},
    {"max-memory", required_argument, NULL, OPTION_MAX_MEMORY},
    {"dry-run", no_argument, NULL, 'n'},
    {"free-lost", no_argument, NULL, OPTION_FREE_LOST},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"undo-file", required_argument, NULL, OPTION_UNDO_FILE},
    {NULL, 0, NULL, 0},
};

/* What is judged only after the last option was read. */
typedef struct Deferred {
    const char *output;
    const char *cache;
    GHashTable *object_ids;
    int about_check; /* the first option that a rollback has no use for; 0: none */
} Deferred;

static bool read_repair(CheckOptions *options, const char *mode)
{
    if (strcmp(mode, "leaks") != 0 && strcmp(mode, "all") != 0) {
        error_report_usage("Unknown option value for -r (expecting 'leaks' or 'all'): %s", mode);
        return false;
    }
    options->repair = true;
    options->repair_all = strcmp(mode, "all") == 0;
    return true;
}

/* A list of finding kinds with commas between them. */
static bool read_only_kinds(CheckOptions *options)
{
    g_auto(GStrv) names = g_strsplit(optarg, ",", -1);

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

static bool read_object(CheckOptions *options, Deferred *deferred, const char *definition)
{
    g_autoptr(GError) error = NULL;

    switch (user_object_add(deferred->object_ids, definition, &error)) {
    case USER_OBJECT_FOREIGN:
        options->foreign_object = definition;
        return true;
    case USER_OBJECT_ACCEPTED:
        return true;
    default:
        error_report("%s", error->message);
        return false;
    }
}

static bool read_cache(CheckOptions *options, const char *mode)
{
    static const char *const buffered[] = {"writeback", "writethrough", "unsafe", NULL};
    static const char *const direct[] = {"none", "off", "directsync", NULL};
    static const char *const sync[] = {"writethrough", "directsync", NULL};

    options->direct = g_strv_contains(direct, mode);
    options->sync = g_strv_contains(sync, mode);
    options->no_flush = g_str_equal(mode, "unsafe");
    if (!options->direct && !g_strv_contains(buffered, mode)) {
        error_report("Invalid source cache option: %s", mode);
        return false;
    }
    return true;
}

static bool read_output(CheckOptions *options, const char *output)
{
    options->json = strcmp(output, "json") == 0;
    if (!options->json && strcmp(output, "human") != 0) {
        error_report("--output must be used with human or json as argument.");
        return false;
    }
    return true;
}

static bool read_number(const char *what, unsigned least, unsigned most, unsigned *number)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(optarg, 10, least, most, &value, NULL)) {
        error_report_usage("Invalid %s (expecting %u to %u): %s", what, least, most, optarg);
        return false;
    }
    *number = (unsigned)value;
    return true;
}

static bool read_progress_fd(CheckOptions *options)
{
    unsigned fd;
    int flags;

    if (!read_number("file descriptor for --progress-fd", 0, INT_MAX, &fd)) {
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

/* OFFSET, or guest:OFFSET */
static bool read_question(CheckOptions *options)
{
    Qcow2Question *question = &options->question;
    const char *offset = optarg;

    question->guest = g_str_has_prefix(optarg, "guest:");
    if (question->guest) {
        offset += strlen("guest:");
    }
    if (!size_parse(offset, &question->offset)) {
        error_report_usage("--explain expects an offset such as 65536, 0x10000, 64k or guest:1G, not '%s'", optarg);
        return false;
    }
    options->explain = true;
    return true;
}

static bool read_files_from(CheckOptions *options)
{
    if (options->files_from) {
        error_report_usage("--files-from can be given once only");
        return false;
    }
    options->files_from = optarg;
    return true;
}

static bool read_reader(CheckOptions *options)
{
    static const char *const names[] = {"auto", "io_uring", "threads", "inline"}; /* by FileReaderKind */

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(optarg, names[i])) {
            options->reader = i;
            return true;
        }
    }
    error_report_usage("--debug-reader expects auto, io_uring, threads or inline, not '%s'", optarg);
    return false;
}

static bool read_max_memory(CheckOptions *options)
{
    if (!size_parse(optarg, &options->max_memory) || !options->max_memory) {
        error_report_usage("--max-memory expects a size, as 512M, not '%s'", optarg);
        return false;
    }
    return true;
}

static bool read_sandbox(CheckOptions *options)
{
    static const char *const names[] = {"auto", "on", "off"}; /* by SandboxMode */

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(optarg, names[i])) {
            options->sandbox = i;
            return true;
        }
    }
    error_report_usage("--sandbox expects on, off or auto, not '%s'", optarg);
    return false;
}

/* Options that the stock tool lacks, and that a check by the stock tool satisfies all the same. Sets *@known to false
 * for any other. */
static bool read_extra(int option, CheckOptions *options, bool *known)
{
    switch (option) {
    case 'm':
        return read_number("number of worker threads for -m", 1, MAX_WORKERS, &options->workers);
    case 'p':
        options->progress = true;
        return true;
    case OPTION_JOBS:
        return read_number("number of images for --jobs", 1, MAX_JOBS, &options->jobs);
    case OPTION_TIMEOUT:
        return read_number("number of seconds for --timeout", 1, REMOTE_MAX_SECONDS, &options->timeout);
    case OPTION_FILES_FROM:
        return read_files_from(options);
    case OPTION_PROGRESS_FD:
        return read_progress_fd(options);
    case OPTION_DEBUG_STATS:
        options->debug_stats = true;
        return true;
    case OPTION_DEBUG_READER:
        return read_reader(options);
    case OPTION_SANDBOX:
        return read_sandbox(options);
    case OPTION_MAX_MEMORY:
        return read_max_memory(options);
    case OPTION_ALL_MESSAGES:
        options->all_messages = true;
        return true;
    case OPTION_NO_DUMP_META:
        options->no_dump_meta = true;
        return true;
    default:
        *known = false;
        return true;
    }
}

/* Keeps an option that the stock tool has, for the case that it is to do the work. */
static void keep_if_stock(CheckOptions *options, int option)
{
    static const struct {
        int option;
        const char *word;
    } stock[] = {
        {'f', "-f"},
        {'r', "-r"},
        {'T', "-T"},
        {'q', "-q"},
        {'U', "-U"},
        {OPTION_OUTPUT, "--output"},
        {OPTION_OBJECT, "--object"},
        {OPTION_IMAGE_OPTS, "--image-opts"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(stock); i++) {
        if (stock[i].option == option) {
            g_ptr_array_add(options->stock_arguments, (char *)stock[i].word);
            if (optarg) {
                g_ptr_array_add(options->stock_arguments, optarg);
            }
        }
    }
}

static bool read_map_curve(CheckOptions *options, const char *name)
{
    options->has_map_curve = true;
    options->map_curve = g_str_equal(name, "linear") ? MAP_CURVE_LINEAR : MAP_CURVE_HILBERT;
    if (options->map_curve == MAP_CURVE_HILBERT && !g_str_equal(name, "hilbert")) {
        error_report_usage("--map-curve expects hilbert or linear, not '%s'", name);
        return false;
    }
    return true;
}

/* @word is the option as typed. */
static CheckParsed read_option(int option, const char *word, CheckOptions *options, Deferred *deferred)
{
    switch (option) {
    case 'h':
        return CHECK_PARSED_HELP;
    case 'f':
        options->format = optarg;
        break;
    case 'r':
        return read_repair(options, optarg) ? CHECK_PARSED_RUN : CHECK_PARSED_REFUSED;
    case 'T':
        deferred->cache = optarg;
        break;
    case 'q':
        options->quiet = true;
        break;
    case 'U':
        options->force_share = true;
        break;
    case 'M':
        options->dump_meta++;
        options->own_option = "--dump-meta";
        break;
    case OPTION_ALL_FIELDS:
        options->all_fields = true;
        options->own_option = "--all-fields";
        break;
    case OPTION_FINDINGS:
        options->findings = true;
        options->own_option = "--findings";
        break;
    case OPTION_SPACE:
        options->space = true;
        options->own_option = "--space";
        break;
    case OPTION_EXPLAIN:
        options->own_option = "--explain";
        return read_question(options) ? CHECK_PARSED_RUN : CHECK_PARSED_REFUSED;
    case OPTION_SNAPSHOT:
        options->own_option = "--snapshot";
        options->question.snapshot = optarg;
        break;
    case 'v':
        options->verbose = true;
        options->own_option = "--verbose";
        break;
    case OPTION_ROLLBACK:
        options->rollback = optarg;
        options->own_option = "--rollback";
        break;
    case OPTION_MAP:
        options->map = optarg;
        options->own_option = "--map";
        break;
    case OPTION_REPORT:
        options->report = optarg;
        options->own_option = "--report";
        break;
    case OPTION_MAP_CURVE:
        return read_map_curve(options, optarg) ? CHECK_PARSED_RUN : CHECK_PARSED_REFUSED;
    case 'n':
        options->dry_run = true;
        options->own_option = "--dry-run";
        break;
    case OPTION_FREE_LOST:
        options->free_lost = true;
        options->own_option = "--free-lost";
        break;
    case OPTION_ONLY:
        options->own_option = "--only";
        return read_only_kinds(options) ? CHECK_PARSED_RUN : CHECK_PARSED_REFUSED;
    case OPTION_UNDO_FILE:
        options->undo_file = optarg;
        options->own_option = "--undo-file";
        break;
    case OPTION_OUTPUT:
        deferred->output = optarg;
        break;
    case OPTION_OBJECT:
        return read_object(options, deferred, optarg) ? CHECK_PARSED_RUN : CHECK_PARSED_REFUSED;
    case OPTION_IMAGE_OPTS:
        options->image_opts = true;
        break;
    case ':':
        error_report_usage("missing argument for option '%s'", word);
        return CHECK_PARSED_REFUSED;
    default:
        error_report_usage("unrecognized option '%s'", word);
        return CHECK_PARSED_REFUSED;
    }
    return CHECK_PARSED_RUN;
}

/* True for options that say which image it is, how it is used, and what is printed. All others are about a check. */
static bool is_for_rollback(int option)
{
    switch (option) {
    case 'f':
    case 'n':
    case 'q':
    case 'T':
    case 'U':
    case OPTION_IMAGE_OPTS:
    case OPTION_OBJECT:
    case OPTION_OUTPUT:
    case OPTION_ROLLBACK:
    case OPTION_SANDBOX:
    case OPTION_TIMEOUT:
        return true;
    default:
        return false;
    }
}

/* As a user writes it, to be freed. */
static char *option_word(int option)
{
    for (const struct option *known = long_options; known->name; known++) {
        if (known->val == option) {
            return g_strdup_printf("--%s", known->name);
        }
    }
    return g_strdup_printf("-%c", option);
}

/* A rollback is one thing, done to one image. */
static bool allows_rollback(const CheckOptions *options, const Deferred *deferred)
{
    if (options->repair) {
        error_report_usage("--rollback and --repair are mutually exclusive");
    } else if (options->many) {
        error_report_usage("--rollback expects one image");
    } else if (deferred->about_check) {
        g_autofree char *word = option_word(deferred->about_check);

        error_report_usage("%s is about a check, and --rollback makes none", word);
    } else {
        return true;
    }
    return false;
}

static bool allows_map(const CheckOptions *options)
{
    if (!options->map) {
        error_report_usage("--map-curve is of use with --map only");
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
    if (options->many) {
        error_report_usage("--report expects one image");
    } else if (g_str_equal(options->report, "-") && !options->quiet) {
        error_report_usage("--report=- takes the standard output, where the result of the check goes: it needs -q");
    } else {
        return true;
    }
    return false;
}

/* Options that have a meaning with -r only. */
static bool check_repair_options(const CheckOptions *options)
{
    bool dry_run = options->dry_run && !options->rollback;

    if (!options->repair && (dry_run || options->free_lost || options->only || options->undo_file)) {
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

static CheckParsed read_rest(int names, char **name, CheckOptions *options, const Deferred *deferred)
{
    options->filenames = name;
    options->many = names > 1 || options->files_from;
    if (names == 0 && !options->many) {
        error_report_usage("Expecting one image file name");
        return CHECK_PARSED_REFUSED;
    }
    options->filename = options->many ? NULL : name[0];
    if (!check_repair_options(options)) {
        return CHECK_PARSED_REFUSED;
    }
    if (!read_output(options, deferred->output) || !read_cache(options, deferred->cache)) {
        return CHECK_PARSED_REFUSED;
    }
    if (options->question.snapshot && !options->question.guest) {
        error_report_usage("--snapshot says in which tree --explain guest:OFFSET looks, which is not given");
        return CHECK_PARSED_REFUSED;
    }
    if (options->image_opts && options->format) {
        error_report("--image-opts and --format are mutually exclusive");
        return CHECK_PARSED_REFUSED;
    }
    if (options->rollback && !allows_rollback(options, deferred)) {
        return CHECK_PARSED_REFUSED;
    }
    if (options->report && !allows_report(options)) {
        return CHECK_PARSED_REFUSED;
    }
    if ((options->map || options->has_map_curve) && !allows_map(options)) {
        return CHECK_PARSED_REFUSED;
    }
    return CHECK_PARSED_RUN;
}

CheckParsed check_options_parse(int argc, char **argv, CheckOptions *options)
{
    g_autoptr(GHashTable) object_ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Deferred deferred = {.output = "human", .cache = "writeback", .object_ids = object_ids};
    int option;

    *options = (CheckOptions){.progress_fd = -1, .stock_arguments = g_ptr_array_new()};
    optind = 0; /* 0, not 1: glibc starts afresh, as main() has used it before */
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        bool extra = true;
        CheckParsed parsed = CHECK_PARSED_REFUSED;

        keep_if_stock(options, option);
        if (!deferred.about_check && !is_for_rollback(option)) {
            deferred.about_check = option;
        }
        if (read_extra(option, options, &extra)) {
            parsed = extra ? CHECK_PARSED_RUN : read_option(option, argv[optind - 1], options, &deferred);
        }
        options->has_extras |= extra;
        if (parsed != CHECK_PARSED_RUN || options->foreign_object) {
            return parsed;
        }
    }
    return read_rest(argc - optind, argv + optind, options, &deferred);
}

void check_options_clear(CheckOptions *options)
{
    g_clear_pointer(&options->stock_arguments, g_ptr_array_unref);
}

char **check_options_stock_argv(const CheckOptions *options, char *program)
{
    static char check[] = "check";
    static char end_of_options[] = "--";
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    g_ptr_array_add(argv, program);
    g_ptr_array_add(argv, check);
    g_ptr_array_extend(argv, options->stock_arguments, NULL, NULL);
    g_ptr_array_add(argv, end_of_options);
    g_ptr_array_add(argv, (char *)options->filename);
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&argv), FALSE);
}

void check_options_print_help(void)
{
    fputs("usage: qemu-img check [options] FILENAME...\n"
          "\n"
          "Checks the consistency of a disk image, shows where its metadata lies, and repairs it if asked to.\n"
          "\n"
          "  -f, --format=FMT       format of the image; guessed from its first bytes if not given\n"
          "      --image-opts       FILENAME is a list of options: driver=qcow2,file.filename=...\n"
          "      --object=OBJECT    accepted; a check uses no object, as it reads no guest data\n"
          "  -T CACHE               how to read: none, directsync (both O_DIRECT), writeback (default),\n"
          "                         writethrough or unsafe\n"
          "  -U, --force-share      check although another program may write to the image; what is found\n"
          "                         can then be a passing state\n"
          "  -r, --repair=WHAT      repair leaks or all; the image is written to\n"
          "  -n, --dry-run          with -r or --rollback: only list what would be changed\n"
          "      --only=KIND,...    with -r: repair findings of these kinds only\n"
          "      --free-lost        with -r: free leaked clusters also where a fault remains that may be\n"
          "                         what makes them look leaked\n"
          "      --undo-file=FILE   with -r: first save all that will be overwritten in FILE\n"
          "      --rollback=FILE    take a repair back with the undo file that it wrote\n"
          "      --output=FORMAT    human (default) or json\n"
          "  -q                     print nothing on stdout\n"
          "  -M, --dump-meta        show the metadata in human output; twice: with every table entry\n"
          "      --no-dump-meta     leave the metadata out of JSON output\n"
          "      --all-fields       JSON with every count, 0 included\n"
          "      --findings         JSON with a list of what is wrong, and where\n"
          "  -v, --verbose          the same in human output, behind the verdict\n"
          "      --space            show what fills the file, and what deleting snapshots would free\n"
          "      --explain=OFFSET   what is at this offset of the file, such as 0x50000 or 64k; with guest:OFFSET\n"
          "                         the way there from this offset of the guest's disk\n"
          "      --snapshot=NAME    of the disk of this snapshot, by name or ID\n"
          "      --map=FILE         draw a picture of what the clusters of the file are used for: a PNG\n"
          "      --map-curve=CURVE  how they lie in it: hilbert (default), or linear, row by row\n"
          "      --report=FILE      write a page that shows all of this, for a browser: HTML\n"
          "  -m N                   threads that check an image, 1 to 16; all CPUs if not given\n"
          "      --all-messages     print every message, also when there are more than a million\n"
          "  -p, --progress         show progress on stderr, if that is a terminal\n"
          "      --progress-fd=N    write progress to file descriptor N, as JSON Lines\n"
          "      --files-from=FILE  check the images whose names are in FILE too, one a line, or ended by a\n"
          "                         zero byte each; - is the standard input\n"
          "      --jobs=N           check N images at a time, 1 to 256; as many as CPUs if not given\n"
          "      --timeout=SECONDS  how long to wait for a server, 1 to 86400; 30 for a connection and 60 for data\n"
          "                         if not given\n"
          "      --debug-stats      tell on stderr what was read, and how\n"
          "      --debug-reader=HOW read a file by io_uring, threads or inline; auto if not given\n"
          "      --max-memory=SIZE  take no more memory, as 512M: check in several passes, if need be\n"
          "      --sandbox=MODE     take all rights from the check that it does not need: on (or fail), off, or auto,\n"
          "                         which takes what the system can take\n"
          "  -h, --help             this help\n"
          "\n"
          "With several images JSON output is one object a line, and the exit status that of the worst.\n"
          "\n"
          "Exit status: 0 clean, 1 could not check, 2 corruptions, 3 leaks only, 63 the format has no check.\n",
          stdout);
}
