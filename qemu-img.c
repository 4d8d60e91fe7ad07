/*
 * qemu-img: checks qcow2 images, and leaves everything else to the stock program of the same name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "config.h"
#include "ui/check-command.h"
#include "ui/fallback.h"
#include "ui/metadump-command.h"
#include "ui/rescue-command.h"
#include "util/error-report.h"
#include "util/fatal-error.h"
#include "util/standard-streams.h"

#define STOCK_VERSION "7.2.22" /* of the stock tool that this program was compared with */

typedef struct OwnCommand {
    const char *name;
    int (*run)(int argc, char **argv, int command);
} OwnCommand;

static const OwnCommand own_commands[] = {
    {"check", check_command},
    {"metadump", metadump_command},
    {"rescue", rescue_command},
};

/* NULL if the command is the stock tool's. */
static const OwnCommand *find_own_command(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(own_commands); i++) {
        if (g_str_equal(own_commands[i].name, name)) {
            return &own_commands[i];
        }
    }
    return NULL;
}

static int print_help(char **argv)
{
    g_autoptr(GError) error = NULL;

    fputs("usage: qemu-img [--help | --version] COMMAND [ARGUMENTS]\n"
          "\n"
          "  check     check the consistency of an image; see qemu-img check --help\n"
          "  metadump  copy the metadata of an image, and none of its data; see qemu-img metadump --help\n"
          "  rescue    make a sound image of one without header or L1 table; see qemu-img rescue --help\n"
          "\n"
          "All other commands, and images that are not qcow2, are handed to the stock qemu-img.\n"
          "Its help follows.\n"
          "\n",
          stdout);
    fallback_exec(argv, &error);
    printf("(No stock qemu-img: %s)\n", error->message);
    return EXIT_SUCCESS;
}

/*
 * Programs read the stock tool's version to learn what it can do, and take the first word behind "version" or every
 * number with two points. So that line is the only one with either. Without a stock tool it has the version whose check
 * this is.
 */
static int print_version(char **argv)
{
    g_auto(GStrv) ours = g_strsplit(CONFIG_VERSION, ".", -1);
    g_autofree char *release = g_strjoinv("-", ours);

    if (!fallback_run(argv, NULL)) {
        puts("qemu-img version " STOCK_VERSION " (there is no stock qemu-img)");
    }
    printf("check, metadump and rescue: qemu-img-check, release %s\n", release);
    return EXIT_SUCCESS;
}

static int run_stock_command(char **argv, const char *command)
{
    g_autoptr(GError) error = NULL;

    fallback_exec(argv, &error);
    if (g_strv_contains(stock_commands, command)) {
        error_report("'%s' needs the stock qemu-img: %s", command, error->message);
    } else {
        error_report_usage("Command not found: %s", command);
    }
    return EXIT_FAILURE;
}

static int run_traced(char **argv)
{
    g_autoptr(GError) error = NULL;

    fallback_exec(argv, &error);
    error_report("--trace needs the stock qemu-img: %s", error->message);
    return EXIT_FAILURE;
}

/* Called as qemu-img-check, for one, the program is that command: beside a stock qemu-img it needs no other place. */
static int run_named(const OwnCommand *command, int argc, char **argv)
{
    g_autofree char **arguments = g_new0(char *, argc + 2); /* with the command, as the stock tool takes them */

    if (argc == 2 && (g_str_equal(argv[1], "--version") || g_str_equal(argv[1], "-V"))) {
        printf("%s version " CONFIG_VERSION "\n", g_get_prgname());
        return EXIT_SUCCESS;
    }
    arguments[0] = argv[0];
    arguments[1] = (char *)command->name;
    memcpy(arguments + 2, argv + 1, (argc - 1) * sizeof(*argv));
    return command->run(argc + 1, arguments, 1);
}

static int run_command(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {"trace", required_argument, NULL, 'T'},
        {NULL, 0, NULL, 0},
    };
    const OwnCommand *command;
    int option;

    /* The plus sign stops at the first word that is no option: the command. */
    while ((option = getopt_long(argc, argv, "+:hVT:", long_options, NULL)) != -1) {
        switch (option) {
        case 'h':
            return print_help(argv);
        case 'V':
            return print_version(argv);
        case 'T':
            return run_traced(argv);
        case ':':
            error_report_usage("missing argument for option '%s'", argv[optind - 1]);
            return EXIT_FAILURE;
        default:
            error_report_usage("unrecognized option '%s'", argv[optind - 1]);
            return EXIT_FAILURE;
        }
    }
    if (optind >= argc) {
        error_report_usage("Not enough arguments");
        return EXIT_FAILURE;
    }
    command = find_own_command(argv[optind]);
    return command ? command->run(argc, argv, optind) : run_stock_command(argv, argv[optind]);
}

int main(int argc, char **argv)
{
    g_autofree char *name = g_path_get_basename(argc > 0 ? argv[0] : "qemu-img");
    const OwnCommand *named = g_str_has_prefix(name, "qemu-img-") ? find_own_command(name + strlen("qemu-img-")) : NULL;
    g_autoptr(GError) error = NULL;

    g_set_prgname(name);
    if (!standard_streams_reserve(&error)) {
        error_report("%s", error->message);
        return EXIT_FAILURE;
    }
    fatal_error_exits();
    return named ? run_named(named, argc, argv) : run_command(argc, argv);
}
