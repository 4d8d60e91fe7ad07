/*
 * All images near a layout: see enumerate.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "enumerate.h"

#include <string.h>

typedef struct Alphabet {
    uint64_t values[SMALL_MAX_ALPHABET];
    unsigned n;
} Alphabet;

typedef struct Walk {
    const SmallLayout *layout;
    const SmallRange *range;
    SmallVisitor *visit;
    void *opaque;
    Alphabet alphabets[SMALL_MAX_WORDS];
    uint8_t bytes[SMALL_ROOM];
    SmallImage image;
    uint64_t number, visited;
    bool ended;
} Walk;

static void put(Walk *walk, const SmallWord *word, uint64_t value)
{
    if (word->kind == SMALL_LENGTH) {
        walk->image.length = value;
    } else {
        small_put(walk->bytes + word->offset, word->size, value);
    }
}

static void visit(Walk *walk)
{
    if (walk->number++ % walk->range->parts != walk->range->part) {
        return;
    }
    walk->visited++;
    walk->ended = !walk->visit(&walk->image, walk->opaque);
}

/* Changes @left more words, from that of the index @first on. */
static void change(Walk *walk, unsigned first, unsigned left)
{
    if (left == 0) {
        visit(walk);
        return;
    }
    for (unsigned w = first; w < walk->layout->n_words && !walk->ended; w++) {
        const SmallWord *word = &walk->layout->words[w];
        uint64_t own =
            word->kind == SMALL_LENGTH ? walk->image.length : small_get(walk->bytes + word->offset, word->size);

        if (word->alike && walk->range->words > 1) {
            continue;
        }
        for (unsigned v = 0; v < walk->alphabets[w].n && !walk->ended; v++) {
            put(walk, word, walk->alphabets[w].values[v]);
            walk->image.changes[walk->image.n_changes++] = (SmallChange){word, walk->alphabets[w].values[v]};
            change(walk, w + 1, left - 1);
            walk->image.n_changes--;
        }
        put(walk, word, own);
    }
}

uint64_t small_enumerate(const SmallLayout *layout, const SmallRange *range, SmallVisitor *visitor, void *opaque)
{
    static Walk walk;

    memset(&walk, 0, sizeof(walk));
    walk.layout = layout;
    walk.range = range;
    walk.visit = visitor;
    walk.opaque = opaque;
    walk.image =
        (SmallImage){.layout = layout, .bytes = walk.bytes, .length = (uint64_t)layout->clusters * SMALL_CLUSTER};
    memcpy(walk.bytes, layout->bytes, SMALL_ROOM);
    for (unsigned w = 0; w < layout->n_words; w++) {
        walk.alphabets[w].n = small_alphabet(layout, &layout->words[w], range->few, walk.alphabets[w].values);
    }
    change(&walk, 0, range->words);
    return walk.visited;
}
