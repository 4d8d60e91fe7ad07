/*
 * The pictures of an image, as `qemu-img check --map` draws them of file and disk, whatever the image is. Its length
 * chooses the curve.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>

#include "block/qcow2.h"
#include "fuzz.h"
#include "output.h"
#include "ui/map/draw.h"
#include "ui/map/faulty-runs.h"
#include "ui/map/guest-runs.h"
#include "ui/map/seams.h"
#include "util/number.h"

static void draw(MapImage *image, const Mappings *mappings, MapCurve curve)
{
    g_autoptr(GError) error = NULL;
    MapSeams seams;
    Output output;
    FILE *out = output_begin(&output);

    limits_begin();
    g_assert_true(map_seams_find(mappings, &seams));
    image->seams = seams.clusters;
    image->n_seams = seams.n;
    map_draw(image, curve, out, &error);
    limits_end("drawing");
    g_assert_no_error(error);
    fclose(out);
    g_assert_cmpuint(output.size, >, 8);
    map_seams_clear(&seams);
}

static void draw_file(const Qcow2CheckResult *result, uint64_t length, MapCurve curve)
{
    g_autoptr(FaultyRuns) runs = faulty_runs_new(result->roles, result->check);
    MapImage image = {.cluster_size = cluster_roles_cluster_size(result->roles),
                      .length = length,
                      .next_run = faulty_runs_next,
                      .opaque = runs};

    draw(&image, &result->layout->mappings, curve);
}

static void draw_disk(const Qcow2CheckResult *result, MapCurve curve)
{
    MapImage image = {.guest = true,
                      .cluster_size = cluster_roles_cluster_size(result->roles),
                      .length = result->layout->summary.virtual_size,
                      .step = result->layout->mappings.step,
                      .next_run = guest_runs_next};
    g_autoptr(GuestRuns) runs = NULL;
    Mappings by_guest;

    g_assert_true(guest_mappings(&result->layout->mappings, &by_guest));
    runs = guest_runs_new(&by_guest, DIV_ROUND_UP(image.length, image.cluster_size), image.cluster_size, result->check);
    image.opaque = runs;
    draw(&image, &by_guest, curve);
    mappings_clear(&by_guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, size);
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, NULL);
    Qcow2CheckOptions options = {
        .roles = true, .layout = true, .findings = true, .judgement = true, .lost_data = true, .workers = 1};
    Qcow2CheckResult result = {0};

    if (image && qcow2_check(image, &options, &result, NULL)) {
        MapCurve curve = size / 512 % 2 ? MAP_CURVE_HILBERT : MAP_CURVE_LINEAR;

        draw_file(&result, size, curve);
        draw_disk(&result, curve);
    }
    qcow2_check_result_clear(&result);
    return 0;
}
