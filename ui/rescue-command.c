/*
 * `qemu-img rescue`: see ui/rescue-command.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/rescue-command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "block/memory-plan.h"
#include "block/qcow2/rescue/rescue.h"
#include "block/repair.h"
#include "ui/check-result.h"
#include "ui/image/resolve.h"
#include "ui/options/help.h"
#include "ui/options/options.h"
#include "ui/options/reader.h"
#include "ui/options/rescue-table.h"
#include "ui/output/json.h"
#include "ui/output/rescue-text.h"
#include "ui/progress/view.h"
#include "ui/rescue/new-image.h"
#include "util/error-report.h"
#include "util/output-file.h"
#include "util/sandbox.h"

#define EXIT_NOT_ALL_SURE 2 /* the image was made, but some of it is guessed or missing */

#define MAP_SIGNATURE "{" /* an older map may be replaced, an image not */

/* All that is open before anything is parsed. */
typedef struct Rescuing {
    const RescueOptions *options;
    unsigned workers;
    BlockSource *source;
    BlockSource *metadata;
    NewImage *image;
    OutputFile *map;
    bool remote; /* the source or the metadata is on a server */
} Rescuing;

/* ---- options ---- */

static OptionsRead parse(int argc, char **argv, RescueOptions *options)
{
    return options_read_two_names(&rescue_option_table, argc, argv, options,
                                  "Expecting the name of the damaged image and that of the image to be made",
                                  &options->source, &options->destination);
}

static bool choose_workers(Rescuing *r)
{
    guint64 n;

    if (!r->options->workers) {
        r->workers = CLAMP(g_get_num_processors(), 1, MAX_WORKERS);
        return true;
    }
    if (!g_ascii_string_to_unsigned(r->options->workers, 10, 1, MAX_WORKERS, &n, NULL)) {
        error_report_usage("Invalid number of threads '%s': 1 to %u are possible", r->options->workers, MAX_WORKERS);
        return false;
    }
    r->workers = (unsigned)n;
    return true;
}

/* ---- files ---- */

/* Opens the file @name, and sets *@path to its path; NULL for an image on a server. */
static BlockSource *open_source(Rescuing *r, const char *name, char **path, GError **errp)
{
    CheckOptions how = {.filename = name, .format = "qcow2", .force_share = r->options->force_share};
    g_auto(ImageTarget) target = {0};
    g_autoptr(BlockSource) source = NULL;

    if (image_target_resolve(&how, &target, errp) != IMAGE_TARGET_OURS) {
        return NULL;
    }
    r->remote |= target.open_remote != NULL;
    source = image_target_open(&target, errp);
    if (!source) {
        g_prefix_error(errp, "Could not open '%s': ", name);
        return NULL;
    }
    if (path && !target.open_remote) {
        *path = g_steal_pointer(&target.path);
    }
    return g_steal_pointer(&source);
}

static bool open_files(Rescuing *r, GError **errp)
{
    const RescueOptions *options = r->options;
    g_autofree char *path = NULL;

    r->source = open_source(r, options->source, &path, errp);
    if (!r->source) {
        return false;
    }
    if (options->metadata && !(r->metadata = open_source(r, options->metadata, NULL, errp))) {
        return false;
    }
    if (options->map && !(r->map = output_file_new(options->map, MAP_SIGNATURE, errp))) {
        return false;
    }
    r->image = new_image_begin(options->destination, path, options->overwrite, errp);
    return r->image != NULL;
}

static void close_files(Rescuing *r)
{
    g_clear_pointer(&r->image, new_image_free);
    g_clear_pointer(&r->map, output_file_free);
    g_clear_pointer(&r->metadata, block_source_close);
    g_clear_pointer(&r->source, block_source_close);
}

/* From here on the images are read, and what they say is not to be trusted. */
static void lock_in(const Rescuing *r)
{
    const char *files[] = {r->options->destination, r->options->map, NULL};
    SandboxNeeds needs = {.network = r->remote, .files = files};
    unsigned layers;

    memory_plan(); /* looks at the machine */
    sandbox_enter(SANDBOX_AUTO, &needs, &layers, NULL);
}

/* ---- the work ---- */

static bool plan(const Rescuing *r, Qcow2Rescue *rescue, GError **errp)
{
    CheckProgress done = {.phase = CHECK_PHASE_TABLES};
    ProgressState state = {.images = 1, .slots = 1, .slot = &done};
    g_autoptr(ProgressView) view =
        r->options->progress && !r->options->quiet ? progress_view_new(&state, true, -1, true) : NULL;
    Qcow2RescueInput in = {.source = r->source,
                           .metadata = r->metadata,
                           .options = {.workers = r->workers, .progress = view ? &done : NULL}};

    return qcow2_rescue_plan(&in, rescue, errp);
}

/* Gives the copy right reference counts and flags, and frees what nothing refers to. */
static bool make_sound(const Rescuing *r, GError **errp)
{
    Qcow2CheckOptions how = {.workers = r->workers};
    Qcow2RepairOptions repair = {.all = true, .free_lost = true, .check = &how};
    Qcow2RepairResult done = {0};
    g_autoptr(Qcow2Image) image = qcow2_open(new_image_source(r->image), NULL, errp);
    bool ok = image && qcow2_repair(image, &repair, &done, errp);

    if (ok && (done.check.not_repaired || check_result_status(&done.check) != EXIT_CLEAN)) {
        g_set_error(errp, BLOCK_ERROR, EIO, "The new image could not be made sound: %s",
                    done.check.not_repaired ? done.check.not_repaired->message : "errors remain in it");
        ok = false;
    }
    if (image && (ok || done.check.check)) {
        qcow2_repair_result_clear(&done);
    }
    return ok;
}

static bool write_map(const Rescuing *r, ImageRescue *result, GError **errp)
{
    if (!r->map) {
        return true;
    }
    print_rescue_json(output_file_stream(r->map), result);
    return output_file_commit(r->map, errp);
}

static bool run(const Rescuing *r, Qcow2Rescue *rescue, GError **errp)
{
    lock_in(r);
    if (!plan(r, rescue, errp)) {
        return false;
    }
    rescue->result->source = g_strdup(r->options->source);
    rescue->result->destination = g_strdup(r->options->destination);
    return new_image_copy(r->image, r->source, errp) && qcow2_rescue_write(rescue, new_image_source(r->image), errp) &&
           make_sound(r, errp) && write_map(r, rescue->result, errp) && new_image_commit(r->image, errp);
}

static bool is_all_sure(const ImageRescue *result)
{
    return !result->total.guessed && !result->total.missing && !result->unplaced.len;
}

int rescue_command(int argc, char **argv, int command)
{
    RescueOptions options = {0};
    Rescuing rescuing = {.options = &options};
    g_auto(Qcow2Rescue) rescue = {0};
    g_autoptr(GError) error = NULL;
    OptionsRead read;
    bool ok;

    error_report_set_command("rescue");
    read = parse(argc - command, argv + command, &options);
    if (read == OPTIONS_HELP) {
        options_print_help(&rescue_option_table);
        return EXIT_SUCCESS;
    }
    if (read != OPTIONS_READ || !choose_workers(&rescuing)) {
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN); /* of a server */
    signal(SIGXFSZ, SIG_IGN); /* a file that gets too large is an error like others */
    ok = open_files(&rescuing, &error) && run(&rescuing, &rescue, &error);
    close_files(&rescuing);
    if (!ok) {
        error_report("%s", error->message);
        return EXIT_FAILURE;
    }
    if (!options.quiet) {
        print_rescue_text(stdout, rescue.result, rescue.size_from);
    }
    if (!check_result_finish_stdout()) {
        return EXIT_FAILURE;
    }
    return is_all_sure(rescue.result) ? EXIT_SUCCESS : EXIT_NOT_ALL_SURE;
}
