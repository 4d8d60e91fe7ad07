/*
 * `qemu-img metadump`: see ui/metadump-command.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/metadump-command.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "block/decompress.h"
#include "block/memory-plan.h"
#include "block/qcow2/metadump/copy.h"
#include "ui/options/help.h"
#include "ui/options/metadump-table.h"
#include "ui/options/options.h"
#include "ui/options/reader.h"
#include "ui/image/resolve.h"
#include "ui/image/metadata-file.h"
#include "util/error-report.h"
#include "util/module.h"
#include "util/sandbox.h"

typedef struct Metadump {
    const MetadumpOptions *options;
    MetadataFile *file;
    uint64_t written; /* bytes */
    uint64_t omitted; /* structures */
    bool remote;      /* the image is on a server */
} Metadump;

static OptionsRead parse(int argc, char **argv, MetadumpOptions *options)
{
    return options_read_two_names(&metadump_option_table, argc, argv, options,
                                  "Expecting the name of an image and that of its metadata image", &options->source,
                                  &options->destination);
}

/* ---- from an image ---- */

static bool write_part(void *opaque, uint64_t offset, const void *bytes, size_t size, GError **errp)
{
    Metadump *dump = opaque;

    dump->written += size;
    return metadata_file_write(dump->file, offset, bytes, size, errp);
}

static void tell_omitted(void *opaque, ImageCheckStructure structure, uint64_t offset, uint64_t size, const char *why)
{
    Metadump *dump = opaque;

    dump->omitted++;
    fprintf(stderr, "not copied: %s, %" PRIu64 " bytes at 0x%" PRIx64 ": %s\n", ImageCheckStructure_str(structure),
            size, offset, why);
}

static BlockSource *open_source(Metadump *dump, GError **errp)
{
    const MetadumpOptions *options = dump->options;
    CheckOptions how = {.filename = options->source, .format = "qcow2", .force_share = options->force_share};
    g_auto(ImageTarget) target = {0};
    g_autoptr(BlockSource) source = NULL;

    if (image_target_resolve(&how, &target, errp) != IMAGE_TARGET_OURS) {
        return NULL;
    }
    dump->remote = target.open_remote != NULL;
    source = image_target_open(&target, errp);
    if (!source) {
        g_prefix_error(errp, "Could not open '%s': ", options->source);
    }
    return g_steal_pointer(&source);
}

/* From here on the image or the stream is read, and what it says is not to be trusted. */
static void lock_in(const Metadump *dump)
{
    const char *files[] = {dump->options->destination, NULL};
    bool to_stream = g_str_equal(dump->options->destination, "-");
    SandboxNeeds needs = {.network = dump->remote, .files = to_stream ? NULL : files};
    unsigned layers;

    memory_plan(); /* looks at the machine */
    sandbox_enter(SANDBOX_AUTO, &needs, &layers, NULL);
}

static bool dump_image(Metadump *dump, GError **errp)
{
    const MetadumpOptions *options = dump->options;
    g_autoptr(BlockSource) source = open_source(dump, errp);
    g_autoptr(Qcow2Image) image = NULL;
    Qcow2CheckOptions how = {.workers = CLAMP(g_get_num_processors(), 1, MAX_WORKERS)};
    Qcow2CopySink sink = {.write = write_part, .omitted = tell_omitted, .opaque = dump};
    CompressorGetOps *get_ops = NULL;

    if (!source) {
        return false;
    }
    if (options->compress && !(get_ops = module_function(COMPRESSION_MODULE, COMPRESSOR_FUNCTION, errp))) {
        return false;
    }
    dump->file = metadata_file_new(options->destination, source->length, get_ops ? get_ops() : NULL, errp);
    if (!dump->file) {
        return false;
    }
    lock_in(dump);
    image = qcow2_open(source, NULL, errp);
    if (!image) {
        g_prefix_error(errp, "Could not open '%s': ", options->source);
        return false;
    }
    return qcow2_copy_metadata(image, &how, options->scramble_names, &sink, errp) &&
           metadata_file_commit(dump->file, errp);
}

static bool restore_image(Metadump *dump, GError **errp)
{
    g_autoptr(MetadataStream) stream = metadata_stream_new(stdin, dump->options->destination, errp);

    if (!stream) {
        return false;
    }
    lock_in(dump);
    return metadata_stream_restore(stream, &dump->written, errp);
}

/* ---- either way ---- */

static bool run(Metadump *dump, GError **errp)
{
    const MetadumpOptions *options = dump->options;
    bool from_stream = g_str_equal(options->source, "-");

    if (!from_stream) {
        return dump_image(dump, errp);
    }
    if (g_str_equal(options->destination, "-")) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "Only one of the two can be a stream");
        return false;
    }
    if (options->compress) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL,
                            "--compress is for when the stream is made; zstd -dc decompresses one");
        return false;
    }
    if (options->scramble_names) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL,
                            "--scramble-names is for when the stream is made: its names are what they are");
        return false;
    }
    return restore_image(dump, errp);
}

static void print_summary(const Metadump *dump)
{
    const MetadumpOptions *options = dump->options;

    if (options->quiet || g_str_equal(options->destination, "-")) {
        return;
    }
    printf("%" PRIu64 " bytes of metadata copied", dump->written);
    if (dump->omitted) {
        printf(", %" PRIu64 " structures not copied", dump->omitted);
    }
    puts(options->scramble_names ? ", names scrambled." : ".");
}

int metadump_command(int argc, char **argv, int command)
{
    MetadumpOptions options = {0};
    Metadump dump = {.options = &options};
    g_autoptr(GError) error = NULL;
    OptionsRead read;
    bool ok;

    error_report_set_command("metadump");
    read = parse(argc - command, argv + command, &options);
    if (read == OPTIONS_HELP) {
        options_print_help(&metadump_option_table);
        return EXIT_SUCCESS;
    }
    if (read != OPTIONS_READ) {
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN); /* a stream that nobody reads is an error like others */
    signal(SIGXFSZ, SIG_IGN); /* likewise a file that gets too large */
    ok = run(&dump, &error);
    g_clear_pointer(&dump.file, metadata_file_free);
    if (!ok) {
        error_report("%s", error->message);
        return EXIT_FAILURE;
    }
    print_summary(&dump);
    return EXIT_SUCCESS;
}
