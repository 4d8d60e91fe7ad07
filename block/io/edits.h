/*
 * A repair as a list of edits: what will be written where, in steps with a flush behind each.
 *
 * Edits are only listed when they are added; nothing is written before edits_apply(). What an edit writes is known
 * beforehand, copied from elsewhere in the file, or made from what the edits before have left there: so the list stays
 * small, however much is written. block_source_new_edited() shows what the edits so far make of a file.
 *
 * Edits come in passes. Those of a pass are put in the order of their phases, each phase being a step: within it they
 * may reach the disk in any order; after a crash any part of them may be there. New structures, of all passes, are
 * written first of all, as nothing lies where they go: where there is no room for one, nothing else has changed yet.
 *
 * Not thread safe. Offsets and sizes are bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_EDITS_H
#define BLOCK_IO_EDITS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/source.h"
#include "qapi/qapi-types.h"

typedef enum EditPhase {
    EDIT_PHASE_FREE_SPACE, /* copies, new tables and blocks, where nothing lies before the first edit is made */
    EDIT_PHASE_AUTOCLEAR,  /* features unknown here must be switched off before anything that is in use changes */
    EDIT_PHASE_RAISE,      /* counts that rise */
    EDIT_PHASE_SWITCH,     /* what refers to something, when its count is on disk */
    EDIT_PHASE_LOWER,      /* counts that fall, when nothing needs them any more */
    EDIT_PHASE__MAX
} EditPhase;

typedef struct Edit {
    uint64_t offset;
    uint64_t size; /* at least 1 */
    ImageCheckStructure structure;
    ImageCheckFindingKind why;
    uint64_t count;   /* entries or clusters that it sets right; 0: it makes room for others to do so */
    const char *what; /* a phrase for people; static */

    bool has_evidence;           /* it puts something back that was lost: */
    ImageCheckEvidence evidence; /* how sure that is */

    uint8_t *bytes; /* what is written, owned by the list; or NULL: */
    bool copies;    /* the bytes at @from */
    uint64_t from;

    /*
     * or: changes the @size bytes at @bytes, which are what the edits before have made of them. Any thread may ask for
     * it, any number of times. False when memory is short.
     */
    bool (*change)(const struct Edit *edit, uint8_t *bytes);

    void *opaque; /* for @change */
    uint64_t key; /* for @change */
    int mode;     /* for @change */

    EditPhase phase; /* set by the list */
    unsigned step;   /* likewise: from 0 on, the order in which they are made */
} Edit;

typedef struct Edits Edits;

Edits *edits_new(void);
void edits_free(Edits *edits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Edits, edits_free)

/* Adds a copy of @edit, whose bytes, if it has any, now belong to the list. */
void edits_add(Edits *edits, EditPhase phase, const Edit *edit);

/* Adds @edit, which sets the 8 bytes at its offset to @value, big-endian; its size and bytes are not looked at. */
void edits_add_word(Edits *edits, EditPhase phase, const Edit *edit, uint64_t value);

/*
 * Ends a pass: puts the edits that were added since the last one in the order of their phases. Where it makes one
 * change apart from what is new, to bytes beside the one change of the step before, both are made at once.
 */
void edits_end_pass(Edits *edits);

/* The number of edits, and each of them. Those of a pass are in their order once it has ended. */
size_t edits_n(const Edits *edits);
const Edit *edits_at(const Edits *edits, size_t i);

/* The number of the last step, and of all. Edits of step 0 are those of the free space. */
unsigned edits_steps(const Edits *edits);

/* Sets *i, from which it is looked for, to the next edit of @step. Returns false if there is none. */
bool edits_next_of_step(const Edits *edits, unsigned step, size_t *i);

/*
 * Sets *@end behind the next row of sectors in which @now and @then, of @size bytes each, differ, and *@first, from
 * which it is looked for, to its beginning. False where there is none. These rows are what a change writes.
 */
bool edit_next_difference(const uint8_t *now, const uint8_t *then, uint64_t size, uint64_t *first, uint64_t *end);

#endif
