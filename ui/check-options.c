/*
 * The command line of `qemu-img check`: see ui/check-options.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ui/user-object.h"
#include "util/error-report.h"

enum {
    OPTION_OBJECT = 256,
    OPTION_OUTPUT,
    OPTION_IMAGE_OPTS,
    OPTION_NO_DUMP_META,
    OPTION_ALL_FIELDS,
};

/* The colon in front makes getopt_long() tell a missing argument from an unknown option, and print nothing. */
static const char short_options[] = ":hf:r:T:qUM";

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
    {NULL, 0, NULL, 0},
};

/* What is judged only after the last option was read. */
typedef struct Deferred {
    const char *output;
    const char *cache;
    GHashTable *object_ids;
} Deferred;

static bool read_repair(CheckOptions *options, const char *mode)
{
    if (strcmp(mode, "leaks") != 0 && strcmp(mode, "all") != 0) {
        error_report_usage("Unknown option value for -r (expecting 'leaks' or 'all'): %s", mode);
        return false;
    }
    options->repair = true;
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

    options->direct = g_strv_contains(direct, mode);
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
    case OPTION_NO_DUMP_META:
        options->no_dump_meta = true;
        options->own_option = "--no-dump-meta";
        break;
    case OPTION_ALL_FIELDS:
        options->all_fields = true;
        options->own_option = "--all-fields";
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

static CheckParsed read_rest(int names, char **name, CheckOptions *options, const Deferred *deferred)
{
    if (names != 1) {
        error_report_usage("Expecting one image file name");
        return CHECK_PARSED_REFUSED;
    }
    options->filename = name[0];
    if (!read_output(options, deferred->output) || !read_cache(options, deferred->cache)) {
        return CHECK_PARSED_REFUSED;
    }
    if (options->image_opts && options->format) {
        error_report("--image-opts and --format are mutually exclusive");
        return CHECK_PARSED_REFUSED;
    }
    return CHECK_PARSED_RUN;
}

CheckParsed check_options_parse(int argc, char **argv, CheckOptions *options)
{
    g_autoptr(GHashTable) object_ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Deferred deferred = {.output = "human", .cache = "writeback", .object_ids = object_ids};
    int option;

    *options = (CheckOptions){0};
    optind = 0; /* 0, not 1: glibc starts afresh, as main() has used it before */
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        CheckParsed parsed = read_option(option, argv[optind - 1], options, &deferred);

        if (parsed != CHECK_PARSED_RUN || options->foreign_object) {
            return parsed;
        }
    }
    return read_rest(argc - optind, argv + optind, options, &deferred);
}

void check_options_print_help(void)
{
    fputs("usage: qemu-img check [options] FILENAME\n"
          "\n"
          "Checks the consistency of a disk image, and shows where its metadata lies. Nothing is written.\n"
          "\n"
          "  -f, --format=FMT       format of the image; guessed from its first bytes if not given\n"
          "      --image-opts       FILENAME is a list of options: driver=qcow2,file.filename=...\n"
          "      --object=OBJECT    accepted; a check uses no object, as it reads no guest data\n"
          "  -T CACHE               how to read: none, directsync (both O_DIRECT), writeback (default),\n"
          "                         writethrough or unsafe\n"
          "  -U, --force-share      check although another program may write to the image; what is found\n"
          "                         can then be a passing state\n"
          "  -r, --repair=WHAT      repair leaks or all; done by the stock qemu-img\n"
          "      --output=FORMAT    human (default) or json\n"
          "  -q                     print nothing on stdout\n"
          "  -M, --dump-meta        show the metadata in human output; twice: with every table entry\n"
          "      --no-dump-meta     leave the metadata out of JSON output\n"
          "      --all-fields       JSON with every count, 0 included\n"
          "  -h, --help             this help\n"
          "\n"
          "Exit status: 0 clean, 1 could not check, 2 corruptions, 3 leaks only, 63 the format has no check.\n",
          stdout);
}
