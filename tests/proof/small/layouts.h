/*
 * The small images: a few that are sound, of 512-byte clusters, with their words, and the values that a word takes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_LAYOUTS_H
#define TESTS_PROOF_SMALL_LAYOUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMALL_CLUSTER      512u
#define SMALL_ROOM         ((size_t)16 * SMALL_CLUSTER) /* bytes; zeros behind the end */
#define SMALL_MAX_WORDS    1024u
#define SMALL_MAX_ALPHABET 96u

typedef enum SmallWordKind {
    SMALL_FIELD,  /* of the header, an extension or an entry: values of its own, in the word */
    SMALL_OFFSET, /* of a table or a file name, in the header or an entry */
    SMALL_L1_ENTRY,
    SMALL_L2_ENTRY,
    SMALL_TABLE_ENTRY,  /* of the refcount table */
    SMALL_COUNT,        /* in a refcount block */
    SMALL_BITMAP_ENTRY, /* of a bitmap table */
    SMALL_LENGTH,       /* of the file: not in it */
} SmallWordKind;

typedef struct SmallWord {
    const char *name;      /* of the field or the table */
    unsigned index;        /* in the table */
    unsigned offset, size; /* bytes */
    SmallWordKind kind;
    const uint64_t *values; /* of a field */
    unsigned n_values;
    bool alike; /* others of its table have the same part to play, and stand for it where words change together */
} SmallWord;

typedef struct SmallLayout {
    const char *name;
    uint8_t bytes[SMALL_ROOM];
    unsigned clusters; /* the length of the file */
    unsigned order;    /* of the refcounts */
    SmallWord words[SMALL_MAX_WORDS];
    unsigned n_words;
} SmallLayout;

/* Layouts are numbered from 0; false where there is none of that number. */
bool small_layout(unsigned number, SmallLayout *layout);

/*
 * The values that a word takes, other than its own in the layout; their number. A few only: those of which most
 * differs, for three words at a time.
 */
unsigned small_alphabet(const SmallLayout *layout, const SmallWord *word, bool few,
                        uint64_t values[SMALL_MAX_ALPHABET]);

uint64_t small_get(const uint8_t *bytes, unsigned size);
void small_put(uint8_t *bytes, unsigned size, uint64_t value);

#endif
