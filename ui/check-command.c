/*
 * `qemu-img check`: see ui/check-command.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "block/probe.h"
#include "block/qcow2.h"
#include "ui/check-options.h"
#include "ui/check-output.h"
#include "ui/fallback.h"
#include "ui/image-target.h"
#include "util/error-report.h"

/* Exit status; the first that applies counts. */
enum {
    EXIT_CLEAN = 0,
    EXIT_FAILED = 1,
    EXIT_CORRUPTIONS = 2,
    EXIT_LEAKS = 3,
    EXIT_NOT_SUPPORTED = 63,
};

/* Findings can be many, and stderr is not buffered of itself. */
#define STDERR_BUFFER (64u << 10)

typedef struct CheckCommand {
    CheckOptions options;
    char **argv; /* of the program, for the stock tool */
} CheckCommand;

/* Lets the stock tool do it all. @subject is what it is needed for. */
static int hand_over(const CheckCommand *command, const char *subject)
{
    g_autoptr(GError) error = NULL;

    if (command->options.own_option) {
        error_report("%s needs the stock qemu-img, which does not have the option '%s'", subject,
                     command->options.own_option);
        return EXIT_FAILED;
    }
    fallback_exec(command->argv, &error);
    error_report("%s needs the stock qemu-img: %s", subject, error->message);
    return EXIT_FAILED;
}

/* The same where the stock tool may or may not know what is meant. @message is what to say if there is none. */
static int hand_over_unknown(const CheckCommand *command, const char *message)
{
    if (!command->options.own_option) {
        fallback_exec(command->argv, NULL);
    }
    error_report("%s", message);
    return EXIT_FAILED;
}

static int could_not_open(const CheckCommand *command, const GError *error)
{
    error_report("Could not open '%s': %s", command->options.filename, error->message);
    return EXIT_FAILED;
}

static int not_supported(void)
{
    error_report("This image format does not support checks");
    return EXIT_NOT_SUPPORTED;
}

static int exit_status(const Qcow2CheckResult *result)
{
    const ImageCheck *check = result->check;

    if (result->failure != 0 || check->check_errors != 0) {
        return EXIT_FAILED;
    }
    if (check->corruptions != 0) {
        return EXIT_CORRUPTIONS;
    }
    return check->leaks != 0 ? EXIT_LEAKS : EXIT_CLEAN;
}

static void print_result(const CheckOptions *options, Qcow2CheckResult *result)
{
    if (options->json) {
        print_check_json(stdout, result->check, options->all_fields);
        return;
    }
    print_check_text(stdout, result->check, result->notes);
    if (options->dump_meta > 0 && result->check->viscera) {
        print_viscera_text(stdout, result->check->viscera, options->dump_meta > 1);
    }
}

/* False when the output did not arrive. A reader who has seen enough is no failure. */
static bool finish_stdout(void)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE) {
        return true;
    }
    error_report("Could not write the result: %s", errno ? g_strerror(errno) : "output failed");
    return false;
}

static void report_failure(const Qcow2CheckResult *result)
{
    if (result->failure != 0) {
        error_report("Check failed: %s", g_strerror(result->failure));
    } else if (result->check->check_errors != 0) {
        error_report("Check failed");
    }
}

static int check_image(const CheckCommand *command, BlockSource *source)
{
    const CheckOptions *options = &command->options;
    bool viscera = options->json ? !options->no_dump_meta : options->dump_meta > 0;
    Qcow2CheckOptions how = {.viscera = viscera && !options->quiet, .messages = stderr};
    Qcow2CheckResult result = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, stderr, &error);
    int status;

    if (!image) {
        return could_not_open(command, error);
    }
    if (!qcow2_check(image, &how, &result, &error)) {
        error_report("Check failed: %s", error->message);
        return EXIT_FAILED;
    }
    result.check->filename = g_strdup(options->filename);
    result.check->format = g_strdup("qcow2");
    status = exit_status(&result);
    fflush(stderr);
    if (!options->quiet) {
        print_result(options, &result);
        status = finish_stdout() ? status : EXIT_FAILED;
    }
    report_failure(&result);
    qcow2_check_result_clear(&result);
    return status;
}

/* The format of the image in @source, NULL and @errp set when it cannot be read. */
static const char *guess_format(const ImageTarget *target, BlockSource *source, GError **errp)
{
    char bytes[BLOCK_PROBE_SIZE];
    int failure = block_source_read(source, bytes, sizeof(bytes), 0);

    if (failure < 0) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not read image for determining its format: %s",
                    g_strerror(-failure));
        return NULL;
    }
    return block_probe(target->path, bytes);
}

static int check_target(const CheckCommand *command, const ImageTarget *target)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSource) source = image_target_open(target, &error);
    const char *format = target->format;

    if (source && !format) {
        format = guess_format(target, source, &error);
    }
    if (error) {
        return could_not_open(command, error);
    }
    if (g_str_equal(format, "qcow2")) {
        signal(SIGPIPE, SIG_IGN); /* the verdict is in the exit status, whoever stops reading */
        return check_image(command, source);
    }
    if (g_str_equal(format, "raw")) {
        return not_supported();
    }
    g_autofree char *subject = g_strdup_printf("A check of '%s' (format '%s')", command->options.filename, format);
    return hand_over(command, subject);
}

static int run(const CheckCommand *command)
{
    const CheckOptions *options = &command->options;
    g_auto(ImageTarget) target = {0};
    g_autoptr(GError) error = NULL;

    if (options->foreign_object) {
        g_autofree char *subject = g_strdup_printf("--object %s", options->foreign_object);
        return hand_over(command, subject);
    }
    if (options->repair) {
        return hand_over(command, "Repair, which is not built in yet,");
    }
    switch (image_target_resolve(options, &target, &error)) {
    case IMAGE_TARGET_OURS:
        return check_target(command, &target);
    case IMAGE_TARGET_FOREIGN:
        return hand_over(command, error->message);
    case IMAGE_TARGET_UNKNOWN:
        return hand_over_unknown(command, error->message);
    default:
        error_report("%s", error->message);
        return EXIT_FAILED;
    }
}

int check_command(int argc, char **argv, int command)
{
    CheckCommand check = {.argv = argv};
    /* getopt_long() moves arguments about, and the stock tool is to have them as they were. */
    g_autofree char **arguments = g_memdup2(argv + command, (argc - command + 1) * sizeof(*argv));

    setvbuf(stderr, NULL, isatty(STDERR_FILENO) ? _IOLBF : _IOFBF, STDERR_BUFFER);
    switch (check_options_parse(argc - command, arguments, &check.options)) {
    case CHECK_PARSED_HELP:
        check_options_print_help();
        return finish_stdout() ? EXIT_CLEAN : EXIT_FAILED;
    case CHECK_PARSED_REFUSED:
        return EXIT_FAILED;
    default:
        return run(&check);
    }
}
