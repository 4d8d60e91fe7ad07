/*
 * The legend below a picture: see ui/map/legend.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/legend.h"

#include <inttypes.h>
#include <string.h>

#include "ui/map/font.h"
#include "ui/map/paint.h"
#include "ui/map/palette.h"
#include "util/size.h"

/* Pixels. */
#define LINE_HEIGHT  26
#define ENTRY_HEIGHT 34
#define ENTRY_WIDTH  340
#define SWATCH       22
#define SPACING      10

#define LINES_MOST   7
#define ENTRIES_MOST (CLUSTER_ROLE__MAX + 2) /* damage and what is kept are no roles */

typedef struct Legend {
    MapCanvas *canvas;
    int x, y; /* of what comes next */
    int width;
    int entries; /* so far */
} Legend;

/* Most sizes are powers of two, and "64 KiB" says no less than "64.0 KiB". */
static char *format_size(uint64_t bytes)
{
    char *text = size_format(bytes);
    char *unit = strchr(text, ' ');
    char *end = unit;

    if (memchr(text, '.', (size_t)(unit - text))) {
        while (end[-1] == '0') {
            end--;
        }
        end -= end[-1] == '.';
    }
    memmove(end, unit, strlen(unit) + 1);
    return text;
}

/* "1 cluster", "1,234,567 clusters" */
static char *format_clusters(uint64_t clusters)
{
    g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, clusters);
    GString *text = g_string_new(NULL);

    for (size_t left = strlen(digits); left > 0; left--) {
        g_string_append_c(text, digits[strlen(digits) - left]);
        if (left % 3 == 1 && left > 1) {
            g_string_append_c(text, ',');
        }
    }
    g_string_append(text, clusters == 1 ? " cluster" : " clusters");
    return g_string_free(text, FALSE);
}

static void draw_line(Legend *legend, const char *text, MapColour colour)
{
    map_canvas_text(legend->canvas, legend->x, legend->y, text, colour);
    legend->y += LINE_HEIGHT;
}

/* What the picture is of, as it may go into a ticket: lines without control characters, cut to the width. */
static void draw_caption(Legend *legend, const MapImage *image)
{
    for (size_t i = 0; i < G_N_ELEMENTS(image->caption) && image->caption[i]; i++) {
        g_autoptr(GString) line = g_string_new(image->caption[i]);
        bool cut = false;

        while (map_font_width(line->str) + (cut ? map_font_width("...") : 0) > legend->width && line->len) {
            g_string_truncate(line, line->len - 1);
            cut = true;
        }
        if (cut) {
            g_string_append(line, "...");
        }
        draw_line(legend, line->str, MAP_COLOUR_TEXT);
    }
}

static void draw_image_line(Legend *legend, const MapImage *image, const MapLayout *layout)
{
    g_autofree char *length = format_size(image->length);
    g_autofree char *clusters = format_clusters(layout->clusters);
    g_autofree char *size = format_size(image->cluster_size);
    g_autofree char *text =
        g_strdup_printf("%s%s, %s of %s", length, image->guest ? " disk of the guest" : " file", clusters, size);

    draw_line(legend, text, image->caption[0] ? MAP_COLOUR_FAINT : MAP_COLOUR_TEXT);
}

static void draw_cell_line(Legend *legend, const MapImage *image, const MapLayout *layout)
{
    g_autofree char *clusters = format_clusters(layout->clusters_per_cell);
    g_autofree char *size = format_size(layout->clusters_per_cell * image->cluster_size);
    g_autofree char *text =
        g_strdup_printf("Each %s: %s, %s. %s from the top left.", layout->cell > 1 ? "square" : "point", clusters, size,
                        layout->curve == MAP_CURVE_HILBERT ? "Hilbert curve" : "Row by row");

    draw_line(legend, text, MAP_COLOUR_FAINT);
}

/* What stands for the others, where not all could be looked at. */
static void draw_step_line(Legend *legend, const MapImage *image)
{
    g_autofree char *text = g_strdup_printf("So many pieces: one cluster in %" PRIu64 " was looked at.", image->step);

    draw_line(legend, text, MAP_COLOUR_TEXT);
}

static void draw_seam_line(Legend *legend, const MapImage *image, const MapLayout *layout)
{
    g_autofree char *text = g_strdup_printf("%s: the order of %s breaks there.",
                                            layout->cell >= MAP_SEAM_FROM ? "Black seams" : "Darker points",
                                            image->guest ? "the file" : "the disk");

    draw_line(legend, text, MAP_COLOUR_FAINT);
}

/* Five shades, where a cell can be partly in use. */
static void draw_fill_line(Legend *legend)
{
    static const char text[] = "The brighter, the more of it is in use: ";
    int x = legend->x + map_font_width(text);

    for (unsigned i = 0; i <= 4; i++) {
        MapCell cell = {.role = CLUSTER_ROLE_DATA, .fill = (uint8_t)MAX(i * MAP_FILL_ALL / 4, 1)};

        map_canvas_fill(legend->canvas, x, legend->y, SWATCH, MAP_LETTER_HEIGHT, map_cell_colour(&cell));
        x += SWATCH;
    }
    draw_line(legend, text, MAP_COLOUR_FAINT);
}

/* Entries follow one another in rows. */
static void draw_entry(Legend *legend, const char *name, const MapCell *cell, uint64_t bytes)
{
    int columns = legend->width / ENTRY_WIDTH;
    int x = legend->x + legend->entries % columns * ENTRY_WIDTH;
    int y = legend->y + legend->entries / columns * ENTRY_HEIGHT;
    g_autofree char *amount = bytes ? format_size(bytes) : g_strdup("none");

    map_paint_square(legend->canvas, x, y, SWATCH, cell);
    x += SWATCH + SPACING;
    y += (SWATCH - MAP_LETTER_HEIGHT) / 2;
    map_canvas_text(legend->canvas, x, y, name, MAP_COLOUR_TEXT);
    x += map_font_width(name) + SPACING;
    map_canvas_text(legend->canvas, x, y, amount, MAP_COLOUR_FAINT);
    legend->entries++;
}

static void draw_role(Legend *legend, ClusterRole role, const MapImage *image, const MapTotals *totals)
{
    MapCell cell = {.role = role, .fill = role == CLUSTER_ROLE_FREE ? 0 : MAP_FILL_ALL};

    draw_entry(legend, image->guest && role == CLUSTER_ROLE_FREE ? "nothing stored" : role_style(role)->name, &cell,
               totals->clusters[role] * image->cluster_size);
}

/* What the image has, and what it is good to know that it has not. */
static void draw_entries(Legend *legend, const MapImage *image, const MapTotals *totals)
{
    static const MapCell leaked = {.role = CLUSTER_ROLE_LEAKED, .fill = MAP_FILL_ALL};
    static const MapCell kept = {.role = CLUSTER_ROLE_LEAKED, .fill = MAP_FILL_ALL, .mark = MAP_MARK_KEPT};
    static const MapCell damaged = {.role = CLUSTER_ROLE_DATA, .fill = MAP_FILL_ALL, .mark = MAP_MARK_DAMAGE};

    for (ClusterRole role = CLUSTER_ROLE_FREE + 1; role < CLUSTER_ROLE__MAX; role++) {
        if (totals->clusters[role] && role != CLUSTER_ROLE_LEAKED) {
            draw_role(legend, role, image, totals);
        }
    }
    draw_role(legend, CLUSTER_ROLE_FREE, image, totals);
    if (!image->guest) {
        draw_entry(legend, role_style(CLUSTER_ROLE_LEAKED)->name, &leaked,
                   (totals->clusters[CLUSTER_ROLE_LEAKED] - totals->kept) * image->cluster_size);
    }
    if (totals->kept) {
        draw_entry(legend, "leaked, kept", &kept, totals->kept * image->cluster_size);
    }
    draw_entry(legend, "damaged", &damaged, totals->damaged * image->cluster_size);
}

static int entry_rows(int entries, int width)
{
    int columns = width / ENTRY_WIDTH;

    return (entries + columns - 1) / columns;
}

int map_legend_height(int width)
{
    return LINES_MOST * LINE_HEIGHT + SPACING + entry_rows(ENTRIES_MOST, width) * ENTRY_HEIGHT;
}

int map_legend_draw(MapCanvas *canvas, int x, int y, int width, const MapLayout *layout, const MapImage *image,
                    const MapTotals *totals)
{
    Legend legend = {.canvas = canvas, .x = x, .y = y, .width = width};

    draw_caption(&legend, image);
    draw_image_line(&legend, image, layout);
    draw_cell_line(&legend, image, layout);
    if (layout->clusters_per_cell > 1) {
        draw_fill_line(&legend);
    } else if (image->n_seams) {
        draw_seam_line(&legend, image, layout);
    }
    if (image->step > 1) {
        draw_step_line(&legend, image);
    }
    legend.y += SPACING;
    draw_entries(&legend, image, totals);
    return legend.y - y + entry_rows(legend.entries, width) * ENTRY_HEIGHT;
}
