/*
 * Draws a picture of the runs on its standard input, for the tests of pictures.
 *
 *     draw-map CLUSTER-SIZE LENGTH hilbert|linear host|guest STEP [SEAM...] >PICTURE
 *
 * A line has the first cluster of a run, the number of clusters, the number of the role, and 1 if it is damaged. Before
 * each cluster SEAM there is a seam.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/draw.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool next_run(void *opaque, ClusterRun *run)
{
    unsigned role, corrupt;

    *run = (ClusterRun){0};
    if (scanf("%" SCNu64 " %" SCNu64 " %u %u", &run->first, &run->n, &role, &corrupt) != 4) {
        return false;
    }
    run->role = role;
    run->corrupt = corrupt != 0;
    return true;
}

int main(int argc, char **argv)
{
    MapImage image = {.next_run = next_run};
    g_autofree uint64_t *seams = NULL;
    g_autoptr(GError) error = NULL;

    if (argc < 6) {
        fputs("usage: draw-map CLUSTER-SIZE LENGTH hilbert|linear host|guest STEP [SEAM...]\n", stderr);
        return EXIT_FAILURE;
    }
    image.cluster_size = strtoull(argv[1], NULL, 10);
    image.length = strtoull(argv[2], NULL, 10);
    image.guest = strcmp(argv[4], "guest") == 0;
    image.step = strtoull(argv[5], NULL, 10);
    image.n_seams = (size_t)argc - 6;
    seams = g_new(uint64_t, image.n_seams + 1);
    for (size_t i = 0; i < image.n_seams; i++) {
        seams[i] = strtoull(argv[i + 6], NULL, 10);
    }
    image.seams = seams;
    if (!map_draw(&image, strcmp(argv[3], "linear") == 0 ? MAP_CURVE_LINEAR : MAP_CURVE_HILBERT, stdout, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
