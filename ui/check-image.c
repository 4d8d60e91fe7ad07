/*
 * The check or the repair of one image: see ui/check-image.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "block/limits.h"
#include "block/memory-plan.h"
#include "block/probe.h"
#include "block/qcow2.h"
#include "ui/check-result.h"
#include "ui/map/layout.h"
#include "ui/output/answer-text.h"
#include "ui/progress/message-stream.h"
#include "ui/progress/view.h"
#include "ui/repair-command.h"
#include "ui/report/write.h"
#include "util/error-report.h"
#include "util/sandbox.h"
#include "util/zeros.h"

void check_image_advise_on_zeros(const CheckOptions *options, BlockSource *source)
{
    char bytes[BLOCK_PROBE_SIZE];

    if (!options->table && !isatty(STDERR_FILENO)) {
        return;
    }
    if (source->length == 0 || block_source_read(source, bytes, sizeof(bytes), 0) != 0 ||
        !is_zeros(bytes, sizeof(bytes))) {
        return;
    }
    if (options->table) {
        printf("%cunknown\tbegins with zeros: no image, or its header is gone", ANSWER_ROW_MARK);
    } else {
        fputs("The file begins with zeros: it is a blank disk, or an image whose header is gone, which 'qemu-img "
              "rescue' can copy.\n",
              stderr);
    }
}

/* What is there to tell of the work itself; the result is not concerned. */
static void print_debug_stats(const CheckCommand *command, const BlockSource *source, unsigned sandbox_layers)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr,
            "debug-stats: bytes-read %" PRIu64 " requests %" PRIu64 " workers %u metadata-bytes %" PRIu64
            " reader %s in-flight-limit-bytes %zu peak-memory-bytes %" PRIu64 " sandbox %s\n",
            source->bytes_read, source->requests, command->options.workers, command->progress->slot->bytes_known,
            source->reader ? source->reader : "cache", memory_plan()->in_flight, (uint64_t)usage.ru_maxrss * 1024,
            sandbox_layers_name(sandbox_layers));
}

static bool open_and_check(const CheckCommand *command, BlockSource *source, const CheckFiles *files, FILE *messages,
                           Qcow2CheckResult *result, GError **errp)
{
    const CheckOptions *options = &command->options;
    bool viscera = options->json ? !options->no_dump_meta : options->dump_meta > 0;
    bool findings = options->json ? options->findings : options->verbose || check_result_has_answer(options);
    Qcow2Question question = options->question;
    Qcow2CheckOptions how = {.viscera = viscera && !options->quiet,
                             .findings = (findings && !options->quiet) || options->explain,
                             .corruptions = options->map,
                             .judgement = check_result_shows_judgement(options) || options->map,
                             .lost_data = options->map || options->strict || options->repair || options->request.kind,
                             .question = options->explain ? &question : NULL,
                             .roles = options->map,
                             .space = options->space && !options->quiet,
                             .verify_compressed = options->verify_compressed ? command->decompress : NULL,
                             .messages = messages,
                             .max_messages = options->all_messages ? 0 : LIMIT_MESSAGES,
                             .detect_changes = command->shared,
                             .backing_checked = command->chain,
                             .outcome = options->dry_run && check_result_has_answer(options),
                             .no_advice = options->repair && options->repair_all,
                             .workers = options->workers,
                             .progress = command->progress->slot};
    g_autoptr(Qcow2Image) image = NULL;

    question.decompress = command->decompress;
    if (options->report) {
        report_ask(&how);
    }
    if (qcow2_request_is_for_header(&options->request)) {
        return repair_header(options, files->undo, source, &how, result, errp);
    }
    image = qcow2_open(source, messages, errp);
    if (!image) {
        g_prefix_error(errp, "Could not open '%s': ", options->filename);
        return false;
    }
    how.layout |= options->map && (options->map_guest || map_shows_seams(qcow2_file_clusters(image)));
    if (options->repair || options->request.kind) {
        return repair_opened(options, files->undo, image, &how, result, errp);
    }
    if (!qcow2_check(image, &how, result, errp)) {
        g_prefix_error(errp, "Check failed: ");
        return false;
    }
    return true;
}

/* The same in the eyes of the user: with progress, if wanted, that makes room for messages. */
static bool check_in_view(const CheckCommand *command, BlockSource *source, const CheckFiles *files,
                          Qcow2CheckResult *result, GError **errp)
{
    const CheckOptions *options = &command->options;
    g_autoptr(ProgressView) view = progress_view_new(command->progress, options->progress, options->progress_fd, true);
    FILE *messages =
        message_stream_new(view, !options->all_messages && !options->quiet && isatty(STDERR_FILENO), options->dry_run);
    bool checked = open_and_check(command, source, files, messages, result, errp);

    if (checked && result->changed) {
        fputs("The image was written to while it was checked. It is checked once more; the findings so far may be "
              "transient.\n",
              messages);
        qcow2_check_result_clear(result);
        block_source_follow(source);
        checked = open_and_check(command, source, files, messages, result, errp);
    }

    __atomic_store_n(&command->progress->finished, 1, __ATOMIC_RELAXED);
    fclose(messages);
    return checked;
}

bool check_image_lock_in(const CheckOptions *options, const ImageTarget *target, CheckFiles *files, unsigned *layers)
{
    SandboxNeeds needs = {.network = target->open_remote != NULL, .files = check_files_paths(files)};
    g_autoptr(GError) error = NULL;

    memory_plan(); /* looks at the machine */
    if (!sandbox_enter(options->sandbox, &needs, layers, &error)) {
        error_report("Could not lock the check in, as --sandbox=on asks for: %s", error->message);
        return false;
    }
    return true;
}

int check_image_locked_in(const CheckCommand *command, BlockSource *source, CheckFiles *files, unsigned layers)
{
    const CheckOptions *options = &command->options;
    Qcow2CheckResult result = {0};
    g_autoptr(GError) error = NULL;
    int status;

    if (!check_in_view(command, source, files, &result, &error)) {
        error_report("%s", error->message);
        check_image_advise_on_zeros(options, source);
        return EXIT_FAILED;
    }
    result.check->filename = g_strdup(options->filename);
    result.check->format = g_strdup("qcow2");
    if (command->chain) {
        chain_describe(command->chain, command->depth, result.check);
    }
    status = check_result_exit_status(options, &result);
    result.check->has_exit_status = true;
    result.check->exit_status = status;
    check_files_start(files, &result, source->length, options->workers > 1);
    if (check_result_has_answer(options)) {
        check_result_report_failure(&result); /* the answer is last */
    }
    if (!options->quiet) {
        check_result_print(options, &result);
        status = check_result_finish_stdout() ? status : EXIT_FAILED;
    }
    if (!check_result_has_answer(options)) {
        check_result_report_failure(&result);
    }
    if (!check_files_finish(files)) {
        status = EXIT_FAILED;
    }
    if (options->debug_stats) {
        print_debug_stats(command, source, layers);
    }
    qcow2_check_result_clear(&result);
    return status;
}

int check_image(const CheckCommand *command, const ImageTarget *target, BlockSource *source)
{
    g_auto(CheckFiles) files = {0};
    unsigned layers;

    if (!check_files_prepare(&files, &command->options, target, source) ||
        !check_image_lock_in(&command->options, target, &files, &layers)) {
        return EXIT_FAILED;
    }
    return check_image_locked_in(command, source, &files, layers);
}
