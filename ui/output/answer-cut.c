/*
 * The rows of the answer on a file that is too short.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>

#include "ui/output/answer.h"
#include "util/size.h"

/* Offsets of words in the header that lead to structures. */
#define HEADER_L1_TABLE       40u
#define HEADER_REFCOUNT_TABLE 48u
#define HEADER_SNAPSHOT_TABLE 64u

/* Kinds of findings that name a place beyond the end of the file. */
#define CUT_OFF                                                                                                        \
    (KIND_BIT(REGION_BEYOND_END) | KIND_BIT(TABLE_CUT_OFF) | KIND_BIT(COMPRESSED_CUT_OFF) |                            \
     KIND_BIT(REFCOUNT_BLOCK_OUTSIDE))
/* Kinds that are found in what reads as zeros beyond the end. */
#define READ_BEYOND_END                                                                                                \
    (KIND_BIT(SNAPSHOT_INCOMPLETE) | KIND_BIT(SNAPSHOT_TABLE_UNREADABLE) | KIND_BIT(BITMAP_DIRECTORY_DAMAGED) |        \
     KIND_BIT(BITMAP_DIRECTORY_UNREADABLE) | KIND_BIT(BITMAP_DAMAGED))

/* What the file lacks. */
typedef struct Missing {
    uint64_t n[IMAGE_CHECK_STRUCTURE__MAX]; /* clusters of data, otherwise tables */
    bool part[IMAGE_CHECK_STRUCTURE__MAX];  /* the beginning is there */
} Missing;

static bool ends_beyond(const ImageCheck *c, const ImageCheckFinding *f)
{
    return (f->cluster && f->cluster->offset + f->cluster->size > c->file_length) ||
           (f->has_entry_offset && f->entry_offset >= c->file_length);
}

static bool is_about_cut(const ImageCheck *c, const ImageCheckFinding *f)
{
    return !f->fixed && ((CUT_OFF >> f->kind & 1) || ((READ_BEYOND_END >> f->kind & 1) && ends_beyond(c, f)));
}

static bool counts_go_on(const ImageCheck *c)
{
    return c->has_file_length_least && c->file_length_least >= c->file_length;
}

uint64_t answer_missing_end(const Answer *a)
{
    const ImageCheck *c = a->check;
    g_auto(QapiIterator) each = qapi_iterate(&c->findings);
    bool counted = counts_go_on(c), cut = false;
    uint64_t end = counted ? c->file_length_least + c->cluster_size : 0;

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if (f->kind == QCOW2_FINDING_TABLE_CUT_OFF && !f->fixed && f->cluster) {
            end = MAX(end, f->cluster->offset + f->cluster->size);
            cut = true;
        }
        cut |= counted && is_about_cut(c, f);
    }
    return cut ? end : 0;
}

bool answer_is_cut(const Answer *a)
{
    return answer_missing_end(a) > a->check->file_length;
}

static bool is_bitmap_directory(const ImageCheck *c, uint64_t offset)
{
    g_auto(QapiIterator) each = qapi_iterate(&c->findings);

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if (f->structure == IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY &&
            ((f->cluster && f->cluster->offset == offset) || (f->has_entry_offset && f->entry_offset == offset))) {
            return true;
        }
    }
    return false;
}

static ImageCheckStructure target_of_header(const ImageCheck *c, const ImageCheckFinding *f)
{
    switch (f->has_entry_offset ? f->entry_offset : 0) {
    case HEADER_L1_TABLE:
        return IMAGE_CHECK_STRUCTURE_L1;
    case HEADER_REFCOUNT_TABLE:
        return IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE;
    case HEADER_SNAPSHOT_TABLE:
        return IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE;
    default:
        return f->cluster && is_bitmap_directory(c, f->cluster->offset) ? IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY
                                                                        : IMAGE_CHECK_STRUCTURE_CRYPT_HEADER;
    }
}

/* The structure to which a word of @f leads. */
static ImageCheckStructure target_of(const ImageCheck *c, const ImageCheckFinding *f)
{
    switch (f->structure) {
    case IMAGE_CHECK_STRUCTURE_HEADER:
        return target_of_header(c, f);
    case IMAGE_CHECK_STRUCTURE_L1:
        return IMAGE_CHECK_STRUCTURE_L2;
    case IMAGE_CHECK_STRUCTURE_L2:
        return IMAGE_CHECK_STRUCTURE_DATA;
    case IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE:
        return IMAGE_CHECK_STRUCTURE_L1;
    case IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY:
        return IMAGE_CHECK_STRUCTURE_BITMAP_TABLE;
    case IMAGE_CHECK_STRUCTURE_BITMAP_TABLE:
        return IMAGE_CHECK_STRUCTURE_BITMAP_DATA;
    default:
        return IMAGE_CHECK_STRUCTURE_NONE;
    }
}

static void note_missing(Missing *m, const ImageCheck *c, const ImageCheckFinding *f)
{
    bool begins = f->cluster && f->cluster->offset < c->file_length;

    switch (f->kind) {
    case QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE:
        m->n[IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK]++;
        break;
    case QCOW2_FINDING_REGION_BEYOND_END:
        m->n[target_of(c, f)] += (uint64_t)f->count;
        break;
    case QCOW2_FINDING_COMPRESSED_CUT_OFF:
        break; /* the guest's ranges are named */
    case QCOW2_FINDING_TABLE_CUT_OFF:
        m->part[f->structure] = true;
        break;
    default:
        m->part[f->structure] |= begins;
        m->n[f->structure] += !m->n[f->structure] && !begins;
    }
}

/* Appends "3 L2 tables", or "the snapshot table" where there is only one such structure. */
static void append_missing(GString *text, const Missing *m, ImageCheckStructure structure, const char *one,
                           const char *several, const char *separator)
{
    uint64_t n = m->n[structure];

    if (n && several) {
        g_string_append_printf(text, "%s%" PRIu64 " %s", separator, n, n == 1 ? one : several);
    } else if (n && !m->part[structure]) {
        g_string_append_printf(text, "%s%s", separator, one);
    } else {
        g_string_append_printf(text, "%sthe end of %s", separator, several ? "a table" : one);
    }
}

static void append_all_missing(GString *text, const Missing *m)
{
    static const struct {
        ImageCheckStructure structure;
        const char *one, *several; /* several: NULL where there is one in an image */
    } names[] = {
        {IMAGE_CHECK_STRUCTURE_L1, "L1 table", "L1 tables"},
        {IMAGE_CHECK_STRUCTURE_L2, "L2 table", "L2 tables"},
        {IMAGE_CHECK_STRUCTURE_DATA, "cluster of data", "clusters of data"},
        {IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE, "the refcount table", NULL},
        {IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK, "refcount block", "refcount blocks"},
        {IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, "the snapshot table", NULL},
        {IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY, "the bitmap directory", NULL},
        {IMAGE_CHECK_STRUCTURE_BITMAP_TABLE, "bitmap table", "bitmap tables"},
        {IMAGE_CHECK_STRUCTURE_BITMAP_DATA, "cluster of bitmaps", "clusters of bitmaps"},
        {IMAGE_CHECK_STRUCTURE_CRYPT_HEADER, "the encryption header", NULL},
    };
    unsigned n = 0, named = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        n += m->n[names[i].structure] || m->part[names[i].structure];
    }
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        ImageCheckStructure structure = names[i].structure;

        if (m->n[structure] || m->part[structure]) {
            named++;
            append_missing(text, m, structure, names[i].one, names[i].several,
                           named == 1   ? ", among them "
                           : named == n ? " and "
                                        : ", ");
        }
    }
}

void answer_add_missing(Answer *a)
{
    const ImageCheck *c = a->check;
    g_autofree char *missing = size_format(answer_missing_end(a) - c->file_length);
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(QapiIterator) each = qapi_iterate(&c->findings);
    Missing m = {0};

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if (is_about_cut(c, f)) {
            note_missing(&m, c, f);
        }
    }
    append_all_missing(text, &m);
    rows_add(&a->rows, NULL, "at least %s are missing%s", missing, text->str);
    rows_add(&a->rows, NULL, "a repair cannot bring them back. Was a copy broken off, or the file system full?");
}
