/*
 * `qemu-img check`: see ui/check-command.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-command.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/probe.h"
#include "block/undo/rollback.h"
#include "ui/chain/text.h"
#include "ui/check-image.h"
#include "ui/check-result.h"
#include "ui/fallback.h"
#include "ui/image/resolve.h"
#include "ui/many/jobs.h"
#include "ui/many/together.h"
#include "ui/options/parse.h"
#include "ui/progress/signal.h"
#include "ui/rollback-command.h"
#include "util/error-report.h"
#include "util/module.h"

/* Findings can be many, and stderr is not buffered of itself. */
#define STDERR_BUFFER (64u << 10)

/* The stock tool gets the arguments untouched, unless there are some which it does not know and need not heed. */
static void exec_stock_tool(const CheckCommand *command, GError **errp)
{
    g_autofree char **argv = NULL;

    if (!command->options.has_extras && !command->options.many) {
        fallback_exec(command->argv, errp);
        return;
    }
    argv = check_options_stock_argv(&command->options, command->argv[0]);
    fallback_exec(argv, errp);
}

/* Lets the stock tool do it all. @subject is what it is needed for. */
static int hand_over(const CheckCommand *command, const char *subject)
{
    g_autoptr(GError) error = NULL;

    if (command->options.own_option) {
        error_report("%s needs the stock qemu-img, which does not have the option '--%s'", subject,
                     command->options.own_option);
        return EXIT_FAILED;
    }
    exec_stock_tool(command, &error);
    error_report("%s needs the stock qemu-img: %s", subject, error->message);
    return EXIT_FAILED;
}

/* The same where the stock tool may or may not know what is meant. @message is what to say if there is none. */
static int hand_over_unknown(const CheckCommand *command, const char *message)
{
    if (!command->options.own_option) {
        exec_stock_tool(command, NULL);
        error_report("%s", message);
    } else {
        error_report("%s\nThe stock qemu-img, which may know more, does not have the option '--%s'", message,
                     command->options.own_option);
    }
    return EXIT_FAILED;
}

/* For people a name stands once in a line; elsewhere the messages are the stock tool's. */
static int could_not_open(const CheckCommand *command, const GError *error)
{
    bool person = isatty(STDERR_FILENO);

    if (person && g_str_has_prefix(error->message, "Could not open '")) {
        error_report("%s", error->message);
    } else {
        error_report("Could not open '%s': %s", command->options.filename, error->message);
    }
    if (person && error->code == EAGAIN && !command->options.repair) {
        fputs("It is in use, by a virtual machine perhaps. -U checks it all the same: findings may be transient then, "
              "and no repair is possible.\n",
              stderr);
    } else if (person && error->code == EAGAIN) {
        fputs("It is in use, by a virtual machine perhaps: shut that down before a repair.\n", stderr);
    }
    return EXIT_FAILED;
}

/* In the stock tool's words: it guesses the format of what it opens for writing only with this warning. */
static void warn_of_guess(const char *path)
{
    g_autofree char *first =
        g_strdup_printf("WARNING: Image format was not specified for '%s' and probing guessed raw.", path);
    static const char second[] =
        "         Automatically detecting the format is dangerous for raw images, write operations "
        "on block 0 will be restricted.";
    static const char third[] = "         Specify the 'raw' format explicitly to remove the restrictions.";

    error_print_line(first, strlen(first));
    error_print_line(second, strlen(second));
    error_print_line(third, strlen(third));
}

static int not_supported(void)
{
    error_report("This image format does not support checks");
    return EXIT_NOT_SUPPORTED;
}

static void ignore_signals(void)
{
    signal(SIGPIPE, SIG_IGN); /* the verdict is in the exit status, whoever stops reading */
    signal(SIGXFSZ, SIG_IGN); /* an output file that gets too large is an error of writing it */
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

/*
 * Loads what --verify-compressed and --explain need, which cannot be done later. Without it an explanation does not say
 * whether data can be decompressed; with --verify-compressed it returns false, having reported why.
 */
static bool load_decompression(CheckCommand *command)
{
    const CheckOptions *options = &command->options;
    g_autoptr(GError) error = NULL;
    DecompressGetOps *get_ops;

    if (!options->verify_compressed && !(options->explain && options->question.guest)) {
        return true;
    }
    get_ops = module_function(COMPRESSION_MODULE, DECOMPRESS_FUNCTION, &error);
    if (get_ops) {
        command->decompress = get_ops();
    } else if (options->verify_compressed) {
        error_report("--verify-compressed needs a part that this build or installation lacks: %s", error->message);
    }
    return get_ops || !options->verify_compressed;
}

static int check_target(CheckCommand *command, const ImageTarget *target)
{
    CheckCommand ours = *command;
    g_autoptr(GError) error = NULL;
    bool write = (command->options.repair || command->options.request.kind) && !command->options.dry_run;
    g_autoptr(BlockSource) source =
        write ? image_target_open_writable(target, &error) : image_target_open(target, &error);
    const char *format = target->format;

    if (source && !format) {
        format = guess_format(target, source, &error);
    }
    if (error) {
        return could_not_open(command, error);
    }
    assert(source && format);
    if (g_str_equal(format, "qcow2")) {
        ignore_signals();
        ours.shared = target->file.force_share;
        if (!load_decompression(&ours)) {
            return EXIT_FAILED;
        }
        return check_image(&ours, target, source);
    }
    if (g_str_equal(format, "raw")) {
        if (write && !target->format) {
            warn_of_guess(target->path);
        }
        check_image_advise_on_zeros(&command->options, source);
        return not_supported();
    }
    g_autofree char *subject = g_strdup_printf("A check of '%s' (format '%s')", command->options.filename, format);
    return hand_over(command, subject);
}

/* No repair of another format writes an undo file. */
static int not_rolled_back(const CheckCommand *command, const char *format)
{
    error_report("Could not roll back '%s': its format is said to be '%s', and undo files are of qcow2 images",
                 command->options.filename, format);
    return EXIT_FAILED;
}

/* The image may be of no format at all, half of its header being back: it is not looked at. */
static int rollback(const CheckCommand *command, const ImageTarget *target)
{
    const CheckOptions *options = &command->options;
    g_autoptr(GError) error = NULL;
    g_auto(CheckFiles) none = {0};
    g_autoptr(BlockSource) source = NULL;
    g_autoptr(BlockSource) undo = NULL;
    unsigned layers;

    if (target->format && !g_str_equal(target->format, "qcow2")) {
        return not_rolled_back(command, target->format);
    }
    source = options->dry_run ? image_target_open(target, &error) : image_target_open_writable(target, &error);
    if (!source) {
        return could_not_open(command, error);
    }
    undo = undo_rollback_open(options->rollback, &error);
    if (undo && !check_image_lock_in(options, target, &none, &layers)) {
        return EXIT_FAILED;
    }
    if (!undo || !rollback_image(options, undo, source, &error)) {
        error_report("%s", error->message);
        return EXIT_FAILED;
    }
    return check_result_finish_stdout() ? EXIT_CLEAN : EXIT_FAILED;
}

static int run_one(CheckCommand *command)
{
    const CheckOptions *options = &command->options;
    g_auto(ImageTarget) target = {0};
    g_autoptr(GError) error = NULL;

    if (options->foreign_object) {
        g_autofree char *subject = g_strdup_printf("--object %s", options->foreign_object);
        return hand_over(command, subject);
    }
    switch (image_target_resolve(options, &target, &error)) {
    case IMAGE_TARGET_OURS:
        return options->rollback ? rollback(command, &target) : check_target(command, &target);
    case IMAGE_TARGET_FOREIGN:
        return hand_over(command, error->message);
    case IMAGE_TARGET_UNKNOWN:
        return hand_over_unknown(command, error->message);
    default:
        error_report("%s", error->message);
        return EXIT_FAILED;
    }
}

/* Each of the images that are checked at a time gets its share of the CPUs. */
static unsigned choose_workers(const CheckOptions *options, unsigned at_a_time)
{
    return options->workers ? options->workers : CLAMP(g_get_num_processors() / at_a_time, 1, MAX_WORKERS);
}

static int run_first(CheckCommand *one, size_t index)
{
    if (one->chain) {
        one->depth = index;
        chain_choose(one->chain, index, &one->options);
        if (chain_member(one->chain, index)->refusal) {
            error_report("%s", chain_member(one->chain, index)->refusal);
            return EXIT_FAILED;
        }
    }
    return run_one(one);
}

/* Several images, all open when the process is locked in. */
static int run_together(const CheckCommand *command, char *const *filenames, OpenImage *images, size_t number,
                        ManyProcess *process)
{
    CheckCommand one = *command;
    g_auto(CheckFiles) none = {0};
    unsigned layers;

    ignore_signals();
    if (!check_image_lock_in(&command->options, &images[0].target, &none, &layers)) {
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < number; i++) {
        one.options.filename = filenames[i];
        one.shared = images[i].target.file.force_share;
        many_checked(process, check_image_locked_in(&one, images[i].source, &none, layers));
        open_image_close(&images[i]);
    }
    return EXIT_CLEAN;
}

/* In a process beside others: see ui/many/jobs.h. */
static int run_some_of_many(void *context, char *const *filenames, ManyProcess *process)
{
    ProgressState state = {.images = 1, .slots = 1, .slot = process->progress};
    CheckCommand one = *(const CheckCommand *)context;
    OpenImage images[MAX_TOGETHER];
    size_t opened;

    filenames += process->first;
    one.options.filename = *filenames;
    one.options.progress = false;
    one.options.progress_fd = -1;
    one.options.workers = choose_workers(&one.options, process->at_a_time);
    one.progress = &state;
    opened = process->number > 1 ? open_together(&one.options, filenames, process->number, images) : 0;
    return opened > 0 ? run_together(&one, filenames, images, opened, process) : run_first(&one, process->first);
}

static int run_chain(const CheckCommand *command)
{
    CheckCommand all = *command;
    g_autoptr(Chain) chain = chain_follow(&command->options);
    int status;

    all.chain = chain;
    all.options.many = true;
    all.options.filenames = chain->filenames;
    status = check_many(&all.options, 1, run_some_of_many, &all);
    if (status != EXIT_FAILED && chain_broken_off_at(chain)) {
        error_report("Could not follow the chain beyond '%s'", chain_broken_off_at(chain));
        status = EXIT_FAILED;
    }
    if (!all.options.json && !all.options.quiet) {
        print_chain_text(stdout, chain);
    }
    return check_result_finish_stdout() ? status : EXIT_FAILED;
}

static int run_many(CheckCommand *command)
{
    int status;

    command->options.many = true;
    command->options.table = !command->options.json && !command->options.quiet && isatty(STDOUT_FILENO);
    status = check_many(&command->options, images_together(&command->options), run_some_of_many, command);
    return check_result_finish_stdout() ? status : EXIT_FAILED;
}

static int run(CheckCommand *command)
{
    CheckProgress slot = {0};
    ProgressState progress = {.images = 1, .slots = 1, .slot = &slot};
    int status;

    if (command->options.backing_chain) {
        return run_chain(command);
    }
    if (command->options.many || command->options.lines) {
        return run_many(command);
    }
    command->options.workers = choose_workers(&command->options, 1);
    /* cppcheck-suppress autoVariables ; nobody looks at it when this has returned */
    command->progress = &progress;
    progress_answer_signal(&progress);
    status = run_one(command);
    progress_answer_signal(NULL);
    command->progress = NULL;
    return status;
}

int check_command(int argc, char **argv, int command)
{
    CheckCommand check = {.options = check_options_new(), .argv = argv};
    /* getopt_long() moves arguments about, and the stock tool is to have them as they were. */
    g_autofree char **arguments = g_memdup2(argv + command, (argc - command + 1) * sizeof(*argv));
    int status = EXIT_FAILED;

    error_report_set_command("check");
    setvbuf(stderr, NULL, isatty(STDERR_FILENO) ? _IOLBF : _IOFBF, STDERR_BUFFER);
    switch (check_options_parse(argc - command, arguments, &check.options)) {
    case CHECK_PARSED_HELP:
        check_options_print_help();
        status = check_result_finish_stdout() ? EXIT_CLEAN : EXIT_FAILED;
        break;
    case CHECK_PARSED_REFUSED:
        break;
    default:
        status = run(&check);
    }
    check_options_clear(&check.options);
    return status;
}
