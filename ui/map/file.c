/*
 * `qemu-img check --map`: see ui/map/file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/file.h"

#include "ui/map/faulty-runs.h"
#include "util/module.h"
#include "util/output-file.h"

struct MapFile {
    MapDraw *draw;
    MapCurve curve;
    OutputFile *file;
};

MapFile *map_file_new(const char *path, MapCurve curve, GError **errp)
{
    MapDraw *draw = module_function(MAP_MODULE, MAP_FUNCTION, errp);
    OutputFile *file = draw ? output_file_new(path, MAP_SIGNATURE, errp) : NULL;
    MapFile *map = NULL;

    if (file) {
        map = g_new(MapFile, 1);
        *map = (MapFile){.draw = draw, .curve = curve, .file = file};
    }
    return map;
}

const char *map_file_path(const MapFile *map)
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

bool map_file_write(MapFile *map, const Qcow2CheckResult *result, uint64_t length, GError **errp)
{
    g_autoptr(FaultyRuns) runs = faulty_runs_new(result->roles, &result->check->findings);
    MapImage image = {.cluster_size = cluster_roles_cluster_size(result->roles),
                      .file_length = length,
                      .next_run = next_run,
                      .opaque = runs};

    return map->draw(&image, map->curve, output_file_stream(map->file), errp) && output_file_commit(map->file, errp);
}

void map_file_free(MapFile *map)
{
    output_file_free(map->file);
    g_free(map);
}
