/*
 * The values that a word of a small image takes: see layouts.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "layouts.h"

#include <assert.h>

#define COPIED     (UINT64_C(1) << 63)
#define COMPRESSED (UINT64_C(1) << 62)
#define TWO_MORE   (UINT64_C(1) << 61) /* compressed: one sector more */
#define BEYOND     UINT64_C(0x100000)

typedef struct Values {
    uint64_t *values;
    unsigned n;
    uint64_t own;
} Values;

static void add(Values *to, uint64_t value)
{
    for (unsigned i = 0; i < to->n; i++) {
        if (to->values[i] == value) {
            return;
        }
    }
    if (value != to->own) {
        assert(to->n < SMALL_MAX_ALPHABET);
        to->values[to->n++] = value;
    }
}

/* Each cluster, its end, and what is far behind it, each with @flags. */
static void add_clusters(Values *to, const SmallLayout *layout, uint64_t flags)
{
    for (unsigned c = 0; c <= layout->clusters; c++) {
        add(to, (uint64_t)c * SMALL_CLUSTER | flags);
    }
    add(to, BEYOND | flags);
}

static void add_entry(Values *to, const SmallLayout *layout)
{
    add_clusters(to, layout, 0);
    add_clusters(to, layout, COPIED);
    add(to, UINT64_C(1) << 55);
    add(to, to->own | UINT64_C(1) << 56);
    add(to, to->own | 2);
    add(to, 0x100);
    add(to, UINT64_MAX);
}

static void add_l2_entry(Values *to, const SmallLayout *layout)
{
    uint64_t last = (layout->clusters - 1) * (uint64_t)SMALL_CLUSTER;

    add_entry(to, layout);
    add_clusters(to, layout, COMPRESSED);
    add(to, 1);
    add(to, 1 | COPIED);
    add(to, last | 1);
    add(to, last | 1 | COPIED);
    add(to, BEYOND | 1);
    add(to, last | COMPRESSED | COPIED);
    add(to, (last + 300) | COMPRESSED);
    add(to, (last - SMALL_CLUSTER + 300) | COMPRESSED | TWO_MORE);
    add(to, (last + 300) | COMPRESSED | TWO_MORE);
    add(to, (COMPRESSED - 1) | COMPRESSED);
}

static void add_offset(Values *to, const SmallLayout *layout)
{
    add_clusters(to, layout, 0);
    add(to, to->own + 1);
    add(to, to->own + 8);
    add(to, to->own + 256);
    add(to, UINT64_C(1) << 55);
    add(to, UINT64_C(1) << 56);
    add(to, UINT64_C(1) << 62);
    add(to, (UINT64_C(1) << 63) - SMALL_CLUSTER);
    add(to, UINT64_C(1) << 63);
    add(to, UINT64_MAX - 511);
    add(to, UINT64_MAX);
}

static void add_table_entry(Values *to, const SmallLayout *layout)
{
    add_clusters(to, layout, 0);
    add(to, to->own | 1);
    add(to, to->own | 256);
    add(to, UINT64_C(1) << 40);
    add(to, UINT64_C(1) << 62);
    add(to, UINT64_C(1) << 63);
    add(to, UINT64_MAX - 511);
    add(to, UINT64_MAX);
}

static void add_count(Values *to, const SmallLayout *layout, unsigned size)
{
    if (layout->order == 0) {
        for (unsigned bit = 0; bit < 8; bit++) {
            add(to, to->own ^ 1u << bit);
        }
        add(to, 0);
        add(to, 0xff);
        return;
    }
    add(to, 0);
    add(to, 1);
    add(to, 2);
    add(to, 3);
    add(to, UINT64_MAX >> (64 - 8 * size));
    add(to, UINT64_C(1) << (8 * size - 1));
}

static void add_bitmap_entry(Values *to, const SmallLayout *layout)
{
    add_clusters(to, layout, 0);
    add(to, 1);
    add(to, to->own | 2);
    add(to, to->own | 256);
    add(to, ((layout->clusters - 1) * (uint64_t)SMALL_CLUSTER) | 1);
    add(to, UINT64_C(1) << 55);
    add(to, to->own | UINT64_C(1) << 56);
    add(to, UINT64_MAX);
}

static void add_length(Values *to, const SmallLayout *layout)
{
    uint64_t whole = (uint64_t)layout->clusters * SMALL_CLUSTER;

    add(to, whole - 1);
    add(to, whole - 511);
    add(to, whole - SMALL_CLUSTER);
    add(to, whole - SMALL_CLUSTER - 1);
    add(to, whole - 2 * SMALL_CLUSTER);
    add(to, whole - 3 * SMALL_CLUSTER);
    add(to, SMALL_CLUSTER);
    add(to, 112);
    add(to, 0);
    add(to, whole + 1);
    add(to, whole + SMALL_CLUSTER);
    add(to, SMALL_ROOM);
}

static void add_all(Values *to, const SmallLayout *layout, const SmallWord *word)
{
    switch (word->kind) {
    case SMALL_FIELD:
        for (unsigned i = 0; i < word->n_values; i++) {
            add(to, word->values[i]);
        }
        break;
    case SMALL_OFFSET:
        add_offset(to, layout);
        break;
    case SMALL_L1_ENTRY:
        add_entry(to, layout);
        break;
    case SMALL_L2_ENTRY:
        add_l2_entry(to, layout);
        break;
    case SMALL_TABLE_ENTRY:
        add_table_entry(to, layout);
        break;
    case SMALL_COUNT:
        add_count(to, layout, word->size);
        break;
    case SMALL_BITMAP_ENTRY:
        add_bitmap_entry(to, layout);
        break;
    case SMALL_LENGTH:
        add_length(to, layout);
        break;
    }
}

static void add_few(Values *to, const SmallLayout *layout, const SmallWord *word)
{
    uint64_t last = (layout->clusters - 1) * (uint64_t)SMALL_CLUSTER;

    if (word->kind == SMALL_FIELD || word->kind == SMALL_LENGTH || word->kind == SMALL_COUNT) {
        uint64_t values[SMALL_MAX_ALPHABET];
        Values whole = {.values = values, .own = to->own};

        add_all(&whole, layout, word);
        for (unsigned i = 0; i < whole.n && to->n < 3; i++) {
            add(to, whole.values[i]);
        }
        return;
    }
    add(to, 0);
    add(to, last);
    add(to, BEYOND);
    if (word->kind == SMALL_L1_ENTRY || word->kind == SMALL_L2_ENTRY) {
        add(to, 2 * SMALL_CLUSTER | COPIED);
        add(to, last | COPIED);
    }
    if (word->kind == SMALL_L2_ENTRY) {
        add(to, (last + 300) | COMPRESSED);
    }
}

unsigned small_alphabet(const SmallLayout *layout, const SmallWord *word, bool few, uint64_t values[SMALL_MAX_ALPHABET])
{
    Values to = {.values = values};

    to.own = word->kind == SMALL_LENGTH ? (uint64_t)layout->clusters * SMALL_CLUSTER
                                        : small_get(layout->bytes + word->offset, word->size);
    if (few) {
        add_few(&to, layout, word);
    } else {
        add_all(&to, layout, word);
    }
    return to.n;
}
