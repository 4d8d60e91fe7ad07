/*
 * Painting the cells of a picture: see ui/map/paint.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/paint.h"

#include "ui/map/palette.h"

/* Pixels that a marked small cell has at least, and those of the outline around it. */
#define LEAK_LEAST    5
#define DAMAGE_LEAST  7
#define OUTLINE_WIDTH 2

/* Marks are larger than their cells as long as they take less than this part of the picture: a fourth. */
#define MARKS_MOST 4

/* Small cells that follow one another and are marked. */
typedef struct Marked {
    uint32_t first, n;
    MapMark mark;
} Marked;

typedef struct Painter {
    MapCanvas *canvas;
    int x, y; /* of the first cell */
    const MapLayout *layout;
    GArray *marked; /* of Marked; small cells only */
} Painter;

/* Pixels of the lines between cells. */
static int gap_of(const Painter *painter)
{
    return painter->layout->cell >= 32 ? 2 : painter->layout->cell >= MAP_FINE ? 1 : 0;
}

static uint32_t next_block(const Painter *painter, uint32_t first, uint32_t n, MapBlock *block)
{
    return map_curve_block(painter->layout->curve, painter->layout->order, first, n, block);
}

/* What shows the role. */
static void paint_role(MapCanvas *canvas, int x, int y, int width, int height, const MapCell *cell)
{
    map_canvas_fill(canvas, x, y, width, height, map_cell_colour(cell));
    if (role_style(cell->role)->striped) {
        map_canvas_stripes(canvas, x, y, width, height, ROLE_COLOUR_PAPER);
    }
}

void map_paint_square(MapCanvas *canvas, int x, int y, int size, const MapCell *cell)
{
    paint_role(canvas, x, y, size, size, cell);
    if (cell->mark == MAP_MARK_DAMAGE) {
        int thickness = MAX(size / 6, 2);

        map_canvas_frame(canvas, x, y, size, size, thickness, ROLE_COLOUR_DAMAGE);
        map_canvas_frame(canvas, x, y, size, size, MAX(thickness / 3, 1), ROLE_COLOUR_OUTLINE);
    }
}

/* @a and @b are one beside the other. */
static void bridge_gap(const Painter *painter, const MapBlock *a, const MapBlock *b, int gap, const MapCell *cell)
{
    int size = (int)painter->layout->cell;
    int x = painter->x + (int)MAX(a->x, b->x) * size;
    int y = painter->y + (int)MAX(a->y, b->y) * size;

    if (a->y == b->y) {
        paint_role(painter->canvas, x - gap, y, gap, size - gap, cell);
    } else {
        paint_role(painter->canvas, x, y - gap, size - gap, gap, cell);
    }
}

static bool are_neighbours(const MapBlock *a, const MapBlock *b)
{
    return (a->x == b->x) + (a->y == b->y) == 1 && MAX(a->x, b->x) - MIN(a->x, b->x) <= 1;
}

/* A line between the cells @first - 1 and @first, over the gap between them and as much or a pixel of the latter. */
static void paint_seam(const Painter *painter, uint32_t first, const MapCell *cell)
{
    int size = (int)painter->layout->cell;
    int gap = gap_of(painter), inside = MAX(gap, 1);
    MapBlock a, b;
    int x, y;

    next_block(painter, first - 1, 1, &a);
    next_block(painter, first, 1, &b);
    x = painter->x + (int)b.x * size;
    y = painter->y + (int)b.y * size;
    if (size < MAP_SEAM_FROM) {
        map_canvas_fill(painter->canvas, x, y, size, size, map_gap_colour(cell));
    } else if (!are_neighbours(&a, &b)) {
        map_canvas_fill(painter->canvas, x, y, inside, size - gap, ROLE_COLOUR_PAPER); /* a new row begins with it */
    } else if (a.y != b.y) {
        y = b.y > a.y ? y - gap : y + size - inside - gap;
        map_canvas_fill(painter->canvas, x, y, size - gap, gap + inside, ROLE_COLOUR_PAPER);
    } else {
        x = b.x > a.x ? x - gap : x + size - inside - gap;
        map_canvas_fill(painter->canvas, x, y, gap + inside, size - gap, ROLE_COLOUR_PAPER);
    }
}

static void paint_squares(const Painter *painter, uint32_t first, uint32_t n, const MapCell *cell)
{
    int size = (int)painter->layout->cell;
    int gap = gap_of(painter);
    MapBlock block, last;

    for (uint32_t i = 0; i < n; i++) {
        next_block(painter, first + i, 1, &block);
        map_canvas_fill(painter->canvas, painter->x + (int)block.x * size, painter->y + (int)block.y * size, size, size,
                        map_gap_colour(cell));
        map_paint_square(painter->canvas, painter->x + (int)block.x * size, painter->y + (int)block.y * size,
                         size - gap, cell);
        if (i > 0 && cell->mark != MAP_MARK_DAMAGE && are_neighbours(&block, &last)) {
            bridge_gap(painter, &block, &last, gap, cell);
        }
        last = block;
    }
}

/* Each block is painted larger than it is, by @larger pixels on all sides. */
static void paint_blocks(const Painter *painter, uint32_t first, uint32_t n, int larger, MapColour colour)
{
    int size = (int)painter->layout->cell;

    while (n > 0) {
        MapBlock block;
        uint32_t part = next_block(painter, first, n, &block);

        map_canvas_fill(painter->canvas, painter->x + (int)block.x * size - larger,
                        painter->y + (int)block.y * size - larger, (int)block.width * size + 2 * larger,
                        (int)block.height * size + 2 * larger, colour);
        first += part;
        n -= part;
    }
}

static void paint_cells(void *opaque, uint32_t first, uint32_t n, const MapCell *cell)
{
    const Painter *painter = opaque;

    if (painter->layout->cell >= MAP_FINE) {
        paint_squares(painter, first, n, cell);
    } else {
        paint_blocks(painter, first, n, 0, map_cell_colour(cell));
    }
    if (cell->seam && first > 0) {
        paint_seam(painter, first, cell);
    }
    if (painter->layout->cell >= MAP_FINE) {
        return;
    }
    if (cell->mark != MAP_MARK_NONE) {
        Marked marked = {.first = first, .n = n, .mark = cell->mark};

        g_array_append_val(painter->marked, marked);
    }
}

static void paint_marked(const Painter *painter, MapMark mark, int larger, MapColour colour)
{
    for (guint i = 0; i < painter->marked->len; i++) {
        const Marked *marked = &g_array_index(painter->marked, Marked, i);

        if (marked->mark == mark) {
            paint_blocks(painter, marked->first, marked->n, larger, colour);
        }
    }
}

/* Returns true if marks, each with its outline, would take so much room that nothing else is to be seen. */
static bool are_many(const Painter *painter, MapMark mark, int least)
{
    const MapLayout *layout = painter->layout;
    uint64_t room = (uint64_t)layout->columns * layout->rows * layout->cell * layout->cell;
    uint64_t each = (uint64_t)least + UINT64_C(2) * OUTLINE_WIDTH;
    uint64_t n = 0;

    for (guint i = 0; i < painter->marked->len; i++) {
        n += g_array_index(painter->marked, Marked, i).mark == mark;
    }
    return n * each * each > room / MARKS_MOST;
}

/* All outlines come first: neighbours make one shape, with one outline. Where there are many, each is its cell. */
static void paint_mark(const Painter *painter, MapMark mark, int least, MapColour outline, MapColour colour)
{
    int larger = MAX(least - (int)painter->layout->cell + 1, 0) / 2;

    if (are_many(painter, mark, least)) {
        paint_marked(painter, mark, 0, colour);
        return;
    }
    paint_marked(painter, mark, larger + OUTLINE_WIDTH, outline);
    paint_marked(painter, mark, larger, colour);
}

void map_paint(MapCanvas *canvas, int x, int y, const MapLayout *layout, const MapImage *image, MapTotals *totals)
{
    g_autoptr(GArray) marked = g_array_new(FALSE, FALSE, sizeof(Marked));
    Painter painter = {.canvas = canvas, .x = x, .y = y, .layout = layout, .marked = marked};

    map_cells(layout, image, paint_cells, &painter, totals);
    paint_mark(&painter, MAP_MARK_LEAK, LEAK_LEAST, ROLE_COLOUR_PAPER, ROLE_COLOUR_LEAK);
    paint_mark(&painter, MAP_MARK_KEPT, LEAK_LEAST, ROLE_COLOUR_PAPER, ROLE_COLOUR_KEPT);
    paint_mark(&painter, MAP_MARK_DAMAGE, DAMAGE_LEAST, ROLE_COLOUR_OUTLINE, ROLE_COLOUR_DAMAGE);
}
