/*
 * A repair as a list of edits: what will be written where, in phases with a flush behind each.
 *
 * Edits are only listed when they are added; nothing is written before edits_apply(). What an edit writes is known
 * beforehand, copied from elsewhere in the file, or made when it is applied, from what the file has there then: so
 * the list stays small, however much is written. Within a phase the edits may reach the disk in any order; after a
 * crash any part of them may be there. The phases are in the order in which that is harmless.
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
#include "block/undo/file.h"
#include "qapi/qapi-types.h"

typedef enum EditPhase {
    EDIT_PHASE_FREE_SPACE, /* where nothing lies: copies, new tables and blocks */
    EDIT_PHASE_OFF_HEADER, /* L2 entries whose data lies on the header, to the copies, before that changes */
    EDIT_PHASE_AUTOCLEAR,  /* features unknown here must be switched off before anything that is in use changes */
    EDIT_PHASE_RAISE,      /* reference counts that are too low, those of the copies too */
    EDIT_PHASE_SWITCH,     /* the header, to new tables */
    EDIT_PHASE_MOVE,       /* L2 entries, to the copies */
    EDIT_PHASE_ENTRIES,    /* other entries; COPIED flags that are to be cleared */
    EDIT_PHASE_LOWER,      /* reference counts that are too high, when nothing needs them any more */
    EDIT_PHASE_COPIED,     /* COPIED flags that are to be set: the counts are on disk now */
    EDIT_PHASE_PUNCH,      /* space that is free now */
    EDIT_PHASE_MARKS,      /* "dirty" and "corrupt" in the header, when all is right */
    EDIT_PHASE__MAX
} EditPhase;

typedef struct Edit {
    uint64_t offset;
    uint64_t size; /* 0: nothing is written, only @run is called */
    ImageCheckStructure structure;
    ImageCheckFindingKind why;
    uint64_t count;   /* entries or clusters that it sets right; 0: it makes room for others to do so */
    const char *what; /* a phrase for people; static */

    uint8_t *bytes; /* what is written, owned by the list; or NULL: */
    bool copies;    /* the bytes at @from */
    uint64_t from;

    /* or: changes the @size bytes at @bytes, which are those of the file at this moment. False and @errp set on
     * failure. */
    bool (*change)(const struct Edit *edit, uint8_t *bytes, GError **errp);

    /* or: does what has no bytes, such as giving back space. */
    bool (*run)(const struct Edit *edit, BlockSource *source, GError **errp);

    void *opaque; /* for the functions */
    uint64_t key; /* likewise */
} Edit;

typedef struct Edits Edits;

Edits *edits_new(void);
void edits_free(Edits *edits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Edits, edits_free)

/* Adds a copy of @edit, whose bytes, if it has any, now belong to the list. */
void edits_add(Edits *edits, EditPhase phase, const Edit *edit);

/* Adds @edit, which sets the 8 bytes at its offset to @value, big-endian; its size and bytes are not looked at. */
void edits_add_word(Edits *edits, EditPhase phase, const Edit *edit, uint64_t value);

/* The edits of @phase, in the order in which they were added. */
const Edit *edits_of(const Edits *edits, EditPhase phase, size_t *n);

/* True where @phase or a later one up to @last has any. */
bool edits_any(const Edits *edits, EditPhase first, EditPhase last);

/* Takes away the edits of @phase. */
void edits_drop(Edits *edits, EditPhase phase);

/* Saves what all edits will overwrite, and what they write; @source is as they will find it. */
bool edits_save(const Edits *edits, BlockSource *source, UndoFile *undo, GError **errp);

/* Makes the changes of the phases @first to @last. After an error the later edits have not been touched. */
bool edits_apply(const Edits *edits, EditPhase first, EditPhase last, BlockSource *source, GError **errp);

#endif
