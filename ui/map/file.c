/*
 * `qemu-img check --map`: see ui/map/file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/file.h"

#include <inttypes.h>
#include <string.h>

#include "ui/map/faulty-runs.h"
#include "util/module.h"
#include "util/output-file.h"
#include "util/text.h"

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

/* What a picture can be written in: the font has no other letters. */
static char *printable(const char *text)
{
    char *line = text_escape(text, strlen(text));

    for (char *at = line; *at; at++) {
        *at = g_ascii_isprint(*at) ? *at : '?';
    }
    return line;
}

static char *verdict_line(const ImageCheck *check)
{
    GString *line = g_string_new(check->has_judgement ? ImageCheckJudgement_str(check->judgement) : "checked");

    g_string_append_printf(line, ": %" PRId64 " errors, %" PRId64 " leaked clusters", check->corruptions, check->leaks);
    if (check->check_errors) {
        g_string_append_printf(line, ", %" PRId64 " could not be checked", check->check_errors);
    }
    return g_string_free(line, FALSE);
}

static char *date_line(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();

    return g_date_time_format(now, "Checked %Y-%m-%d %H:%M UTC");
}

bool map_file_write(MapFile *map, const Qcow2CheckResult *result, uint64_t length, GError **errp)
{
    g_autoptr(FaultyRuns) runs = faulty_runs_new(result->roles, &result->check->findings);
    g_autofree char *name = printable(result->check->filename);
    g_autofree char *verdict = verdict_line(result->check);
    g_autofree char *date = date_line();
    MapImage image = {.cluster_size = cluster_roles_cluster_size(result->roles),
                      .file_length = length,
                      .caption = {name, verdict, date},
                      .next_run = next_run,
                      .opaque = runs};

    return map->draw(&image, map->curve, output_file_stream(map->file), errp) && output_file_commit(map->file, errp);
}

void map_file_free(MapFile *map)
{
    output_file_free(map->file);
    g_free(map);
}
