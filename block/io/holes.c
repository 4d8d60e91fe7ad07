/*
 * The holes of a file in order: see block/io/holes.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/holes.h"

typedef struct Hole {
    uint64_t from, to;
} Hole;

#define HOLES_AHEAD 65536u              /* a MiB of them; what is behind is looked for when it is needed */
#define LONG_FILE   (UINT64_C(1) << 30) /* bytes; a short one has too few holes for a thread */

/* The first hole that ends behind @at; at the end of the file where there is none. */
static Hole find_hole(BlockSource *source, uint64_t at)
{
    Hole hole = {.from = at < source->length ? source->ops->next_hole(source, at) : source->length};

    hole.to = hole.from < source->length ? source->ops->next_data(source, hole.from) : source->length;
    /* a file that is being written may have data there by now */
    hole.to = CLAMP(hole.to, MIN(hole.from + 1, source->length), source->length);
    return hole;
}

static gpointer look_ahead(gpointer opaque)
{
    Holes *h = opaque;
    Hole hole = {0};

    while (h->ahead->len < HOLES_AHEAD && hole.to < h->source->length && !g_atomic_int_get(&h->stop)) {
        hole = find_hole(h->source, hole.to);
        g_array_append_val(h->ahead, hole);
    }
    return NULL;
}

void holes_init(Holes *h, BlockSource *source, bool threads)
{
    h->ahead = g_array_new(FALSE, FALSE, sizeof(Hole));
    h->source = source->ops->next_hole ? source : NULL;
    if (h->source && threads && source->length >= LONG_FILE) {
        h->thread = g_thread_try_new("holes", look_ahead, h, NULL);
    }
}

static void wait_for_thread(Holes *h)
{
    if (h->thread) {
        g_thread_join(g_steal_pointer(&h->thread));
    }
}

void holes_clear(Holes *h)
{
    g_atomic_int_set(&h->stop, 1);
    wait_for_thread(h);
    g_clear_pointer(&h->ahead, g_array_unref);
}

static void next_hole(Holes *h)
{
    bool known = h->passed < h->ahead->len;
    Hole hole = known ? g_array_index(h->ahead, Hole, h->passed++) : find_hole(h->source, h->to);

    h->from = hole.from;
    h->to = hole.to;
}

uint64_t holes_in(Holes *h, uint64_t from, uint64_t to)
{
    uint64_t sum = 0;

    wait_for_thread(h);
    while (h->source && h->from < to) {
        uint64_t end = MIN(h->to, to);

        sum += end > MAX(h->from, from) ? end - MAX(h->from, from) : 0;
        if (h->to > to) {
            break;
        }
        next_hole(h);
    }
    return sum;
}
