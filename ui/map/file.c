/*
 * `qemu-img check --map`: see ui/map/file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/source.h"
#include "qapi/util.h"
#include "ui/map/faulty-runs.h"
#include "ui/map/guest-runs.h"
#include "ui/map/seams.h"
#include "util/module.h"
#include "util/number.h"
#include "util/output-file.h"
#include "util/secrets.h"
#include "util/text.h"

struct MapFile {
    MapDraw *draw;
    MapCurve curve;
    bool guest;
    OutputFile *file;
};

MapFile *map_file_new(const char *path, MapCurve curve, bool guest, GError **errp)
{
    MapDraw *draw = module_function(MAP_MODULE, MAP_FUNCTION, errp);
    OutputFile *file = draw ? output_file_new(path, MAP_SIGNATURE, errp) : NULL;
    MapFile *map = NULL;

    if (file) {
        map = g_new(MapFile, 1);
        *map = (MapFile){.draw = draw, .curve = curve, .guest = guest, .file = file};
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

/* @mappings are NULL where no seams are shown. */
static bool draw(MapFile *map, MapImage *image, const Mappings *mappings, GError **errp)
{
    MapSeams seams = {0};
    bool ok = !mappings || map_seams_find(mappings, &seams);

    image->seams = seams.clusters;
    image->n_seams = seams.n;
    ok = ok ? map->draw(image, map->curve, output_file_stream(map->file), errp) : qapi_set_out_of_memory(errp);
    map_seams_clear(&seams);
    return ok;
}

static bool draw_file(MapFile *map, MapImage *image, const Qcow2CheckResult *result, GError **errp)
{
    g_autoptr(FaultyRuns) runs = faulty_runs_new(result->roles, result->check);

    image->next_run = next_run;
    image->opaque = runs;
    return draw(map, image, result->layout ? &result->layout->mappings : NULL, errp);
}

static bool draw_disk(MapFile *map, MapImage *image, const Qcow2CheckResult *result, GError **errp)
{
    g_autoptr(GuestRuns) runs = NULL;
    Mappings by_guest;
    bool ok;

    if (result->layout->summary.data_file) {
        g_set_error_literal(
            errp, BLOCK_ERROR, ENOTSUP,
            "Could not make the picture: the guest's data is in an external data file, whose places a check "
            "does not collect");
        return false;
    }
    image->guest = true;
    image->length = result->layout->summary.virtual_size;
    image->step = result->layout->mappings.step;
    if (!guest_mappings(&result->layout->mappings, &by_guest)) {
        return qapi_set_out_of_memory(errp);
    }
    runs =
        guest_runs_new(&by_guest, DIV_ROUND_UP(image->length, image->cluster_size), image->cluster_size, result->check);
    image->next_run = guest_runs_next;
    image->opaque = runs;
    ok = draw(map, image, &by_guest, errp);
    mappings_clear(&by_guest);
    return ok;
}

bool map_file_write(MapFile *map, const Qcow2CheckResult *result, uint64_t length, GError **errp)
{
    g_autofree char *shown = secrets_hide(result->check->filename);
    g_autofree char *name = printable(shown);
    g_autofree char *verdict = verdict_line(result->check);
    g_autofree char *date = date_line();
    MapImage image = {
        .cluster_size = cluster_roles_cluster_size(result->roles), .length = length, .caption = {name, verdict, date}};
    bool drawn = map->guest ? draw_disk(map, &image, result, errp) : draw_file(map, &image, result, errp);

    return drawn && output_file_commit(map->file, errp);
}

void map_file_free(MapFile *map)
{
    output_file_free(map->file);
    g_free(map);
}
