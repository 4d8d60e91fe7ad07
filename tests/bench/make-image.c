/*
 * Makes a large, sparse qcow2 image for a measurement: the command line of image-writer.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "image-writer.h"

/* A size with an optional suffix K, M, G, T or P (powers of 1024). */
static bool parse_size(const char *name, const char *text, uint64_t *size, GError **errp)
{
    const char *suffixes = "KMGTP";
    const char *suffix;
    char *end = NULL;
    uint64_t number = g_ascii_strtoull(text, &end, 10);
    unsigned shift = 0;

    if (end != text && *end && (suffix = strchr(suffixes, *end)) != NULL) {
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        end++;
    }
    if (end == text || *end || number > UINT64_MAX >> shift) {
        g_set_error(errp, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: '%s' is no size", name, text);
        return false;
    }
    *size = number << shift;
    return true;
}

/* The exponent of a power of two; -1 for any other number. */
static int log2_exact(uint64_t n)
{
    return n && !(n & (n - 1)) ? __builtin_ctzll(n) : -1;
}

typedef struct Arguments {
    char *size;
    char *allocated;
    char *cluster_size;
    int refcount_bits;
    int shared_snapshots;
    int own_snapshots;
    gint64 leaks;
    gint64 seed;
    gint64 run;
    gboolean random;
    gboolean extended_l2;
    gboolean counts_too_high;
    gboolean full;
    char **paths;
} Arguments;

static bool parse(Arguments *args, int argc, char **argv, GError **errp)
{
    const GOptionEntry entries[] = {
        {"size", 0, 0, G_OPTION_ARG_STRING, &args->size, "virtual size", "SIZE"},
        {"allocated", 0, 0, G_OPTION_ARG_STRING, &args->allocated, "written from the start on (default: all)", "SIZE"},
        {"cluster-size", 0, 0, G_OPTION_ARG_STRING, &args->cluster_size, "default: 64K", "SIZE"},
        {"refcount-bits", 0, 0, G_OPTION_ARG_INT, &args->refcount_bits, "default: 16", "N"},
        {"random", 0, 0, G_OPTION_ARG_NONE, &args->random, "clusters were written in random order", NULL},
        {"run", 0, 0, G_OPTION_ARG_INT64, &args->run, "clusters that were written in a row all the same (default: 1)",
         "N"},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &args->seed, "of what is random (default: 1)", "N"},
        {"extended-l2", 0, 0, G_OPTION_ARG_NONE, &args->extended_l2, "with subclusters", NULL},
        {"own-snapshots", 0, 0, G_OPTION_ARG_INT, &args->own_snapshots, "with L2 tables of their own", "N"},
        {"shared-snapshots", 0, 0, G_OPTION_ARG_INT, &args->shared_snapshots, "that share all tables", "N"},
        {"leaks", 0, 0, G_OPTION_ARG_INT64, &args->leaks, "leaked clusters, scattered over the file", "N"},
        {"counts-too-high", 0, 0, G_OPTION_ARG_NONE, &args->counts_too_high, "every stored count is 1 too high", NULL},
        {"full", 0, 0, G_OPTION_ARG_NONE, &args->full, "the file has no holes: its blocks lie on the disk in its order",
         NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &args->paths, NULL, "FILE"},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(context, "Makes a sparse qcow2 image that has metadata only.");
    g_option_context_add_main_entries(context, entries, NULL);
    return g_option_context_parse(context, &argc, &argv, errp);
}

static bool to_shape(const Arguments *args, ImageShape *shape, GError **errp)
{
    uint64_t cluster_size = 65536;

    if (!args->size || g_strv_length(args->paths ? args->paths : (char *[]){NULL}) != 1) {
        g_set_error(errp, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "--size and one file name are needed");
        return false;
    }
    if (args->shared_snapshots < 0 || args->own_snapshots < 0 || args->leaks < 0 || args->run < 0) {
        g_set_error(errp, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "a number of things cannot be negative");
        return false;
    }
    if (!parse_size("--size", args->size, &shape->virtual_size, errp) ||
        !parse_size("--allocated", args->allocated ? args->allocated : args->size, &shape->allocated, errp) ||
        (args->cluster_size && !parse_size("--cluster-size", args->cluster_size, &cluster_size, errp))) {
        return false;
    }
    shape->cluster_bits = log2_exact(cluster_size);
    shape->refcount_order = log2_exact(args->refcount_bits);
    shape->extended_l2 = args->extended_l2;
    shape->random = args->random;
    shape->run = args->run;
    shape->seed = args->seed;
    shape->own_snapshots = args->own_snapshots;
    shape->shared_snapshots = args->shared_snapshots;
    shape->leaks = args->leaks;
    shape->counts_too_high = args->counts_too_high;
    shape->full = args->full;
    return true;
}

static void clear_arguments(Arguments *args)
{
    g_strfreev(args->paths);
    g_free(args->size);
    g_free(args->allocated);
    g_free(args->cluster_size);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, clear_arguments)

int main(int argc, char **argv)
{
    g_auto(Arguments) args = {.refcount_bits = 16, .seed = 1, .run = 1};
    ImageShape shape;
    g_autoptr(GError) err = NULL;

    if (!parse(&args, argc, argv, &err) || !to_shape(&args, &shape, &err)) {
        g_printerr("%s: %s\n", g_get_prgname(), err->message);
        return EXIT_FAILURE;
    }
    image_write(args.paths[0], &shape);
    return EXIT_SUCCESS;
}
