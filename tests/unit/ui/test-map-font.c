/*
 * The font of the legend.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/font.h"

#include <glib.h>
#include <string.h>

#include "ui/map/palette.h"

typedef uint8_t Coverage[MAP_GLYPH_HEIGHT][MAP_GLYPH_STRIDE];

static bool is_box(char c)
{
    Coverage glyph, box;

    map_font_glyph(c, glyph);
    map_font_glyph('\1', box);
    return memcmp(glyph, box, sizeof(Coverage)) == 0;
}

static void expect_known(const char *text)
{
    for (; *text; text++) {
        g_assert_false(is_box(*text));
    }
}

/* Each character that a legend is made of has a shape. */
static void test_known(void)
{
    for (ClusterRole role = 0; role < CLUSTER_ROLE__MAX; role++) {
        expect_known(role_style(role)->name);
    }
    expect_known("0123456789,. B KiB MiB GiB TiB PiB EiB file, clusters of: none damaged");
    expect_known("Each square: Each point: Hilbert curve from the top left. Row by row");
    expect_known("The brighter, the more of it is in use");
}

/* Those that are known differ from one another, but for the space. */
static void test_different(void)
{
    for (char a = ' '; a < '~'; a++) {
        for (char b = a + 1; b <= '~'; b++) {
            Coverage left, right;

            map_font_glyph(a, left);
            map_font_glyph(b, right);
            g_assert_true((is_box(a) && is_box(b)) || memcmp(left, right, sizeof(Coverage)) != 0);
        }
    }
}

/* An L by hand: a stem of 2 pixels, a foot of 10, nothing below the line, and 2 pixels of space. */
static void test_by_hand(void)
{
    Coverage glyph;

    g_assert_cmpint(map_font_glyph('L', glyph), ==, 12);
    for (int y = 0; y < MAP_GLYPH_HEIGHT; y++) {
        for (int x = 0; x < MAP_GLYPH_STRIDE; x++) {
            bool covered = y < MAP_LETTER_HEIGHT && (x < 2 || (x < 10 && y >= MAP_LETTER_HEIGHT - 2));

            g_assert_cmpuint(glyph[y][x], ==, covered ? 0xff : 0);
        }
    }
}

/* The corner of a diagonal is filled in part: of the slash of a percent sign, or the arms of a k. */
static void test_smoothed(void)
{
    Coverage glyph;
    unsigned partly = 0;

    map_font_glyph('k', glyph);
    for (size_t i = 0; i < sizeof(Coverage); i++) {
        uint8_t coverage = glyph[i / MAP_GLYPH_STRIDE][i % MAP_GLYPH_STRIDE];

        partly += coverage > 0 && coverage < 0xff;
    }
    g_assert_cmpuint(partly, >, 0);
}

/* A text is as wide as its characters, each of its own width. */
static void test_width(void)
{
    Coverage glyph;

    g_assert_cmpint(map_font_width(""), ==, 0);
    g_assert_cmpint(map_font_width("Lil"), ==,
                    map_font_glyph('L', glyph) + map_font_glyph('i', glyph) + map_font_glyph('l', glyph));
    g_assert_cmpint(map_font_width("i"), <, map_font_width("L"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-font/known", test_known);
    g_test_add_func("/map-font/different", test_different);
    g_test_add_func("/map-font/by-hand", test_by_hand);
    g_test_add_func("/map-font/smoothed", test_smoothed);
    g_test_add_func("/map-font/width", test_width);
    return g_test_run();
}
