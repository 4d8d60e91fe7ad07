/*
 * `qemu-img check --map`: see ui/check-map.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-map.h"

#include "ui/faulty-runs.h"
#include "util/module.h"
#include "util/output-file.h"

bool check_map_write(const CheckOptions *options, const Qcow2CheckResult *result, uint64_t length, GError **errp)
{
    g_autoptr(FaultyRuns) runs = faulty_runs_new(result->roles, &result->check->findings);
    MapImage image = {.cluster_size = cluster_roles_cluster_size(result->roles),
                      .file_length = length,
                      .next_run = faulty_runs_next,
                      .opaque = runs};
    MapDraw *draw = module_function(MAP_MODULE, MAP_FUNCTION, errp);
    g_autoptr(OutputFile) file = draw ? output_file_new(options->map, MAP_SIGNATURE, errp) : NULL;

    return file && draw(&image, options->map_curve, output_file_stream(file), errp) && output_file_commit(file, errp);
}
