/*
 * The picture of an image, as `qemu-img check --map` draws it, whatever the image is. Its length chooses the curve.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>

#include "block/qcow2.h"
#include "fuzz.h"
#include "output.h"
#include "ui/map/faulty-runs.h"
#include "ui/map/draw.h"

static void draw(const Qcow2CheckResult *result, uint64_t length, MapCurve curve)
{
    g_autoptr(FaultyRuns) runs = faulty_runs_new(result->roles, &result->check->findings);
    MapImage image = {.cluster_size = cluster_roles_cluster_size(result->roles),
                      .file_length = length,
                      .next_run = faulty_runs_next,
                      .opaque = runs};
    g_autoptr(GError) error = NULL;
    Output output;
    FILE *out = output_begin(&output);

    limits_begin();
    map_draw(&image, curve, out, &error);
    limits_end("drawing");
    g_assert_no_error(error);
    fclose(out);
    g_assert_cmpuint(output.size, >, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, size);
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, NULL);
    Qcow2CheckOptions options = {.roles = true, .findings = true, .workers = 1};
    Qcow2CheckResult result = {0};

    if (image && qcow2_check(image, &options, &result, NULL)) {
        draw(&result, size, size / 512 % 2 ? MAP_CURVE_HILBERT : MAP_CURVE_LINEAR);
    }
    qcow2_check_result_clear(&result);
    return 0;
}
