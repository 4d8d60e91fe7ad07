/*
 * `qemu-img check --map`: see ui/map/file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/file.h"

#include "ui/map/faulty-runs.h"
#include "util/module.h"
#include "util/output-file.h"

struct CheckMap {
    MapDraw *draw;
    MapCurve curve;
    OutputFile *file;
};

CheckMap *check_map_new(const CheckOptions *options, GError **errp)
{
    MapDraw *draw = module_function(MAP_MODULE, MAP_FUNCTION, errp);
    OutputFile *file = draw ? output_file_new(options->map, MAP_SIGNATURE, errp) : NULL;
    CheckMap *map = NULL;

    if (file) {
        map = g_new(CheckMap, 1);
        *map = (CheckMap){.draw = draw, .curve = options->map_curve, .file = file};
    }
    return map;
}

const char *check_map_path(const CheckMap *map)
{
    return output_file_path(map->file);
}

/* A cluster that is in use, but less than its count says, is a leak here as it is one in the verdict. */
static bool next_run(void *opaque, ClusterRun *run)
{
    bool more = faulty_runs_next(opaque, run);

    if (more && run->leaked) {
        run->role = CLUSTER_ROLE_LEAKED;
    }
    return more;
}

bool check_map_write(CheckMap *map, const Qcow2CheckResult *result, uint64_t length, GError **errp)
{
    g_autoptr(FaultyRuns) runs = faulty_runs_new(result->roles, &result->check->findings);
    MapImage image = {.cluster_size = cluster_roles_cluster_size(result->roles),
                      .file_length = length,
                      .next_run = next_run,
                      .opaque = runs};

    return map->draw(&image, map->curve, output_file_stream(map->file), errp) && output_file_commit(map->file, errp);
}

void check_map_free(CheckMap *map)
{
    output_file_free(map->file);
    g_free(map);
}
