/*
 * The rows of the answer on what is no error, or none that counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "ui/output/answer.h"
#include "util/text.h"

#define NAMES_SHOWN 4u

/* What makes the bits of a bitmap useless. */
#define DOUBTFUL_BITMAP                                                                                                \
    (KIND_BIT(BITMAP_IN_USE) | KIND_BIT(BITMAP_DATA_SHARED) | KIND_BIT(BITMAP_DAMAGED) |                               \
     KIND_BIT(BITMAP_TABLE_UNREADABLE) | KIND_BIT(BITMAP_TABLE_ENTRY))

void answer_append_names(GString *text, const GPtrArray *names)
{
    for (guint i = 0; i < names->len && i < NAMES_SHOWN; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *shown = text_escape(name, strlen(name));

        g_string_append_printf(text, "%s%s", i ? ", " : "", shown);
    }
    g_string_append(text, names->len > NAMES_SHOWN ? " and more" : "");
}

/* What the end of the file cuts off within a cluster of data. */
static void add_cut_data(Answer *a)
{
    const ImageCheck *c = a->check;
    g_autoptr(GString) text = g_string_new(NULL);

    if (c->guest_cut_off) {
        answer_append_range(text, c->guest_cut_off);
        rows_add(&a->rows, "guest", "%s is cut off, and reads as zeros. Was a copy broken off?", text->str);
    }
}

/* Counts of clusters behind the end of a file that lacks nothing. */
static void add_counts(Answer *a)
{
    const ImageCheck *c = a->check;

    if (c->has_file_length_least && c->file_length_least >= c->file_length && !answer_is_cut(a)) {
        rows_add(&a->rows, "counts",
                 "go on to cluster 0x%" PRIx64 ", behind the end of the file at 0x%" PRIx64 ", where nothing is in use",
                 c->file_length_least, c->file_length);
    }
}

/* Data that nobody knows; it may have been lost long ago. */
static void add_unmapped(Answer *a)
{
    g_auto(QapiIterator) each = qapi_iterate(&a->check->findings);
    const ImageCheckFinding *f;
    unsigned shown = 0;

    while (shown < PLACES_SHOWN && (f = qapi_next(&each))) {
        g_autoptr(GString) text = g_string_new(NULL);

        if (f->kind == QCOW2_FINDING_UNMAPPED_DATA && f->cluster) {
            answer_append_range(text, f->cluster);
            rows_add(&a->rows, "unused", "%s of the file has data that nothing uses and no count covers", text->str);
            shown++;
        }
    }
}

/* Ranges of guest disks that are stored in one cluster. */
static void add_shared(Answer *a)
{
    g_auto(QapiIterator) each = qapi_iterate(&a->check->findings);
    unsigned shown = 0, more = 0;

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        g_autoptr(GString) text = g_string_new(NULL);

        if (f->kind != QCOW2_FINDING_DATA_SHARED || f->fixed || !f->guest) {
            continue;
        }
        if (shown == PLACES_SHOWN) {
            more++;
            continue;
        }
        shown++;
        answer_append_range(text, f->guest);
        for (size_t k = 0; k < f->other_users.len && k < PLACES_SHOWN; k++) {
            if (f->other_users.items[k].guest) {
                g_string_append(text, " and ");
                answer_append_range(text, f->other_users.items[k].guest);
            }
        }
        rows_add(&a->rows, "guest", "%s are stored in the same cluster: at most one reads what was written to it",
                 text->str);
    }
    if (more) {
        rows_add(&a->rows, NULL, "%u more of this kind: -v lists them", more);
    }
}

/* Bitmaps by which no backup can be made. */
static void add_bitmaps(Answer *a)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(QapiIterator) each = qapi_iterate(&a->check->findings);

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if ((DOUBTFUL_BITMAP >> f->kind & 1) && !f->fixed && f->bitmap && names->len <= NAMES_SHOWN &&
            !g_ptr_array_find_with_equal_func(names, f->bitmap, g_str_equal, NULL)) {
            g_ptr_array_add(names, f->bitmap);
        }
    }
    if (names->len) {
        answer_append_names(text, names);
        rows_add(&a->rows, names->len == 1 ? "bitmap" : "bitmaps",
                 "%s %s not to be trusted: the next backup has to be a full one", text->str,
                 names->len == 1 ? "is" : "are");
    }
}

void answer_add_notes(Answer *a)
{
    add_cut_data(a);
    add_counts(a);
    add_shared(a);
    add_bitmaps(a);
    add_unmapped(a);
}
