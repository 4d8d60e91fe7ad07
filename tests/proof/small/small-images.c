/*
 * All small images: docs/devel/proof.rst, "All small images".
 *
 *     small-images [--part I/N] [--layout NAME] [--stage NAME] [--keep FOLDER]       the whole, or a part of it
 *     small-images --short N                                         for `make check`, one image of N: TAP
 *     small-images --file IMAGE...                                                  what was found, once more
 *
 * Each image near a layout (layouts.h) is checked by the program and by the independent reader (reader.h), which must
 * agree; by the stock tool where its class of outcome is new; and repaired (repairs.h). The first difference ends it:
 * the image is put in FOLDER, and the command that shows it again is printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "classes.h"
#include "enumerate.h"
#include "program.h"
#include "reader.h"
#include "repairs.h"
#include "stock.h"

#define STOCK "/usr/bin/qemu-img"

/* What is done with the images of a number of words. */
typedef struct Stage {
    const char *name;
    unsigned words;
    bool few;
    uint64_t stock_each;    /* the stock tool looks at so many images of each class */
    uint64_t stock_every;   /* and at one of so many others; 0: at none */
    uint64_t repairs_every; /* one of so many is repaired; 0: none */
    RepairsPlan repairs;
} Stage;

static const Stage whole[] = {
    {"layouts", 0, false, 1, 1, 1, {true, 12}},       {"one-word", 1, false, 1, 1, 1, {true, 10}},
    {"two-words", 2, false, 1, 100, 1, {false, 0}},   {"two-words-crashes", 2, true, 0, 0, 1, {true, 8}},
    {"three-words", 3, true, 1, 1000, 0, {false, 0}},
};

typedef struct Done {
    uint64_t images, stock, stock_crashes;
    RepairsDone repairs;
} Done;

typedef struct Run {
    const Stage *stage;
    Classes *classes;
    Done done;
    char *scratch; /* a file for the stock tool */
    unsigned differences;
} Run;

static char *part_text, *only_layout, *only_stage, *keep;
static int short_part, most_classes = 40, most_differences = 1;
static char **files;
static ReaderResult reader;
static const char *program;

/* ---- one image ---- */

static char *program_fails(const uint8_t *bytes, uint64_t length)
{
    ProgramResult result;
    char *difference;

    program_check(bytes, length, &result);
    difference = program_differs(&result, &reader);
    program_result_clear(&result);
    return difference;
}

static bool write_file(const char *path, const uint8_t *bytes, uint64_t length)
{
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(bytes, 1, length, file) == length;

    return file && fclose(file) == 0 && written;
}

static char *stock_fails(Run *run, const uint8_t *bytes, uint64_t length)
{
    bool crashed;
    char *difference;

    if (reader.not_for_stock) {
        return NULL;
    }
    if (!write_file(run->scratch, bytes, length)) {
        return g_strdup_printf("%s: %s", run->scratch, g_strerror(errno));
    }
    difference = stock_differs(STOCK, run->scratch, &reader, &crashed);
    run->done.stock++;
    run->done.stock_crashes += crashed;
    return difference;
}

static char *image_fails(Run *run, const uint8_t *bytes, uint64_t length)
{
    const Stage *stage = run->stage;
    uint64_t number = run->done.images++, before;
    char *difference;

    reader_check(bytes, length, &reader);
    before = classes_add(run->classes, &reader);
    difference = program_fails(bytes, length);
    if (!difference && (before < stage->stock_each || (stage->stock_every && number % stage->stock_every == 0))) {
        difference = stock_fails(run, bytes, length);
    }
    if (!difference && stage->repairs_every && number % stage->repairs_every == 0) {
        difference = repairs_fail(bytes, length, &stage->repairs, &run->done.repairs);
    }
    return difference;
}

/* ---- all images ---- */

static char *describe(const SmallImage *image)
{
    GString *text = g_string_new(image->layout->name);

    for (unsigned i = 0; i < image->n_changes; i++) {
        const SmallChange *change = &image->changes[i];

        g_string_append_printf(text, ", %s[%u] = 0x%" PRIx64, change->word->name, change->word->index, change->value);
    }
    return g_string_free(text, false);
}

static void report(const SmallImage *image, const char *difference)
{
    g_autofree char *description = describe(image);
    g_autofree char *name = g_strdup_printf("%08x.qcow2", g_str_hash(description));
    g_autofree char *path = g_build_filename(keep ? keep : ".", name, NULL);

    if (!write_file(path, image->bytes, image->length)) {
        printf("# %s: %s\n", path, g_strerror(errno));
    }
    printf("# %s:\n# %s\n# %s --file %s\n", description, difference, program, path);
    fflush(stdout);
}

static bool visit(const SmallImage *image, void *opaque)
{
    Run *run = opaque;
    g_autofree char *difference = image_fails(run, image->bytes, image->length);

    if (difference) {
        report(image, difference);
        run->differences++;
    }
    return run->differences < (unsigned)most_differences;
}

static void run_stage(Run *run, const SmallLayout *layout, const Stage *stage, unsigned part, unsigned parts)
{
    SmallRange range = {.words = stage->words, .few = stage->few, .part = part, .parts = parts};
    gint64 begin = g_get_monotonic_time();
    Done before = run->done;

    run->stage = stage;
    small_enumerate(layout, &range, visit, run);
    printf("# %s, %s: %" PRIu64 " images, %" PRIu64 " repaired, %" PRIu64 " crash states, %" PRIu64
           " by the stock tool, %.1f s\n",
           layout->name, stage->name, run->done.images - before.images,
           run->done.repairs.repairs - before.repairs.repairs, run->done.repairs.states - before.repairs.states,
           run->done.stock - before.stock, (double)(g_get_monotonic_time() - begin) / 1e6);
    fflush(stdout);
}

static void print_done(const Run *run)
{
    const Done *done = &run->done;

    classes_print(run->classes, most_classes, stdout);
    printf("%" PRIu64 " images of %u classes; %" PRIu64 " repairs, %" PRIu64 " crash states, of %" PRIu64
           " repairs not all; %" PRIu64 " images by the stock tool, which crashed on %" PRIu64 "\n",
           done->images, g_hash_table_size(run->classes), done->repairs.repairs, done->repairs.states,
           done->repairs.bounded, done->stock, done->stock_crashes);
}

static bool run_whole(Run *run, unsigned part, unsigned parts)
{
    static SmallLayout layout;

    for (size_t s = 0; s < G_N_ELEMENTS(whole) && run->differences < (unsigned)most_differences; s++) {
        if (only_stage && !g_str_equal(only_stage, whole[s].name)) {
            continue;
        }
        for (unsigned l = 0; small_layout(l, &layout) && run->differences < (unsigned)most_differences; l++) {
            if (!only_layout || g_str_equal(only_layout, layout.name)) {
                run_stage(run, &layout, &whole[s], part, parts);
            }
        }
    }
    print_done(run);
    return run->differences == 0;
}

/* ---- for `make check` ---- */

static const Stage short_stages[] = {
    {"one-word-checks", 1, false, 0, 0, 0, {false, 0}},
    {"one-word-repairs", 1, false, 0, 0, 1, {false, 0}},
    {"one-word-crashes", 1, false, 0, 0, 1, {true, 3}},
};
/* Of all classes in the first layout once by the stock tool, which takes most of the time. */
static const Stage short_stock = {"one-word-checks", 1, false, 1, 0, 0, {false, 0}};

/* Images in which this has found a fault once. */
typedef struct Fault {
    const char *layout;
    struct {
        const char *name;
        uint64_t value;
    } words[2];
} Fault;

static const Fault faults[] = {
    /* was refused, though there is no table */
    {"snapshot-table", {{"l1_table_offset", UINT64_C(0x7ffffffffffffe00)}}},
    /* zeros are read as entries: a crash of the repair left what no repair could end */
    {"snapshot", {{"nb_snapshots", 3}}},
    /* a repair changed words on which a structure lies that reaches out of the file */
    {"data", {{"l1_size", 0x400000}, {"incompatible_features", 4}}},
    {"snapshot", {{"l1_size", 0x400000}, {"snapshot L1 size", 0x80}}},
    {"snapshot-table", {{"refcount_table_offset", 0x600}, {"nb_snapshots", 0x10000}}},
    /* of one directory that lies behind the end of the file two faults were told; of one that ends there another */
    {"bitmap", {{"nb_bitmaps", 0xffff}, {"bitmap_directory_offset", 0x100000}}},
    {"bitmap", {{"bitmap_directory_size", 0x3fffc00}, {"bitmap name length", 0xffff}}},
    /* a refcount block that ends at 2^64 was taken for zeros */
    {"snapshot", {{"refcount_table_clusters", 5}, {"refcount table", UINT64_C(0xfffffffffffffe00)}}},
};

/* Changes the first word of that name. */
static void change_word(SmallLayout *layout, const char *name, uint64_t value)
{
    unsigned w = 0;

    while (w < layout->n_words && !g_str_equal(layout->words[w].name, name)) {
        w++;
    }
    g_assert_cmpuint(w, <, layout->n_words);
    small_put(layout->bytes + layout->words[w].offset, layout->words[w].size, value);
}

static bool run_fault(Run *run, SmallLayout *layout, const Fault *fault)
{
    static const Stage stage = {"a fault", 1, false, 1, 0, 1, {true, 8}};
    g_autofree char *difference = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(fault->words) && fault->words[i].name; i++) {
        change_word(layout, fault->words[i].name, fault->words[i].value);
    }
    run->stage = &stage;
    difference = image_fails(run, layout->bytes, (uint64_t)layout->clusters * SMALL_CLUSTER);
    if (difference) {
        printf("# %s\n", difference);
    }
    return !difference;
}

static bool run_faults(Run *run, unsigned *number)
{
    static SmallLayout layout;
    bool well = true;

    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        const Fault *fault = &faults[i];
        unsigned l = 0;
        bool passed;

        while (small_layout(l, &layout) && !g_str_equal(layout.name, fault->layout)) {
            l++;
        }
        passed = run_fault(run, &layout, fault);
        printf("%sok %u - %s, %s%s%s: no fault any more\n", passed ? "" : "not ", ++*number, fault->layout,
               fault->words[0].name, fault->words[1].name ? " and " : "",
               fault->words[1].name ? fault->words[1].name : "");
        well &= passed;
    }
    return well;
}

static bool run_short(Run *run)
{
    static const unsigned parts[] = {1, 40, 300};
    static SmallLayout layout;
    unsigned number = 0;
    bool well = true;

    for (unsigned l = 0; small_layout(l, &layout); l++) {
        for (size_t s = 0; s < G_N_ELEMENTS(short_stages); s++) {
            unsigned n = parts[s] * (unsigned)short_part;

            run->differences = 0;
            run_stage(run, &layout, l == 0 && s == 0 ? &short_stock : &short_stages[s], l % n, n);
            printf("%sok %u - %s, %s\n", run->differences ? "not " : "", ++number, layout.name, short_stages[s].name);
            well &= run->differences == 0;
        }
    }
    well &= run_faults(run, &number);
    printf("1..%u\n", number);
    return well;
}

/* ---- files ---- */

static bool run_file(Run *run, const char *path)
{
    static const Stage stage = {"a file", 0, false, UINT64_MAX, 0, 1, {true, 10}};
    g_autofree char *bytes = NULL;
    g_autofree char *difference = NULL;
    g_autoptr(GError) error = NULL;
    gsize size;

    if (!g_file_get_contents(path, &bytes, &size, &error)) {
        printf("%s\n", error->message);
        return false;
    }
    if (size > READER_MAX_BYTES) {
        printf("%s: it is not small\n", path);
        return false;
    }
    run->stage = &stage;
    difference = image_fails(run, (const uint8_t *)bytes, size);
    printf("%s: %s\n", path, difference ? difference : "well");
    return !difference;
}

static bool run_files(Run *run)
{
    bool well = true;

    for (char **path = files; *path; path++) {
        well &= run_file(run, *path);
    }
    return well;
}

static bool parse_part(unsigned *part, unsigned *parts)
{
    *part = 0;
    *parts = 1;
    if (part_text && (sscanf(part_text, "%u/%u", part, parts) != 2 || *part < 1 || *part > *parts)) {
        fprintf(stderr, "--part I/N: I is 1 to N\n");
        return false;
    }
    *part -= part_text ? 1 : 0;
    return true;
}

int main(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"part", 0, 0, G_OPTION_ARG_STRING, &part_text, "of N parts, of about the same size, the Ith", "I/N"},
        {"layout", 0, 0, G_OPTION_ARG_STRING, &only_layout, "only images near this one", "NAME"},
        {"stage", 0, 0, G_OPTION_ARG_STRING, &only_stage, "only this stage", "NAME"},
        {"classes", 0, 0, G_OPTION_ARG_INT, &most_classes, "print at most N classes", "N"},
        {"differences", 0, 0, G_OPTION_ARG_INT, &most_differences, "end after N of them; 1", "N"},
        {"keep", 0, 0, G_OPTION_ARG_FILENAME, &keep, "put images on which it fails in FOLDER", "FOLDER"},
        {"short", 0, 0, G_OPTION_ARG_INT, &short_part, "one of N of some seconds' worth, with TAP", "N"},
        {"file", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, "try the image in this file", "IMAGE"},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    Run run = {.classes = classes_new()};
    unsigned part, parts;
    bool well;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || !parse_part(&part, &parts)) {
        fprintf(stderr, "%s\n", error ? error->message : "");
        return 1;
    }
    program = argv[0];
    g_set_prgname("qemu-img"); /* as messages begin with it */
    run.scratch = g_strdup_printf("%s/small-%d.qcow2", g_get_tmp_dir(), getpid());
    well = files ? run_files(&run) : short_part > 0 ? run_short(&run) : run_whole(&run, part, parts);
    g_unlink(run.scratch);
    g_free(run.scratch);
    g_hash_table_unref(run.classes);
    return !well;
}
