/*
 * What the files of a restore share: putting back what is lost, by the evidence.
 *
 * Nothing that is mapped is overwritten or loses its place, and what goes where is decided before anything is added to
 * the list of edits. Then counts rise, where they were lost too, and flags of tables that nothing refers to yet are set
 * right; the next step are the references to them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_RESTORE_H
#define BLOCK_QCOW2_REPAIR_RESTORE_H

#include "block/qcow2/repair/restore-references.h"

typedef struct Restore {
    const RepairInput *in;
    const MetadataLayout *layout;
    Allocator *alloc;
    Edits *edits;
    NewReferences references;
    ImageCheckEvidence weakest; /* the class of what was put back so far: what follows is no surer */
    GArray *entries;            /* RestoredEntry */
    GError **errp;
} Restore;

/* An L1 entry that is to refer to a lost table. */
typedef struct RestoredEntry {
    uint64_t slot;  /* offset of the entry in the file */
    uint64_t table; /* offset of the L2 table */
    bool active;    /* in the L1 table of the disk, whose entries have COPIED flags */
    Edit like;      /* what the edits have in common */
} RestoredEntry;

/* The class of @e in this restore, which may rest on what was put back before. */
ImageCheckEvidence restore_class(const Restore *r, const Qcow2Evidence *e);

/* Returns true if @e is sure enough to be put back, and its kind is to be repaired. */
bool restore_wanted(const Restore *r, const Qcow2Evidence *e, ImageCheckFindingKind kind);

/* What all edits for @e have in common. */
Edit restore_edit(const Restore *r, const Qcow2Evidence *e, ImageCheckFindingKind kind);

/* Says that the @what at the offset of @e is put back as @place; its class is that of the counts that rise for it. */
void restore_accept(Restore *r, const Qcow2Evidence *e, const char *what, const char *place);

/* Says that the @what at @offset is not. */
void restore_say_refused(const Restore *r, const char *what, uint64_t offset, const Refusal *refusal);

/* Returns true if the L1 entry @word refers to no table that a guest could be shown. */
bool restore_is_missing(const RepairInput *in, uint64_t word);

/* Returns true if the L1 entry at @slot of the file maps nothing, and can be written to. */
bool restore_slot_is_free(const Restore *r, uint64_t slot);

/* Returns true if no entry of the disk's L1 table refers to a table. */
bool restore_disk_is_empty(const Restore *r);

/*
 * Runs @put_back on @r, whose references and entries are made before and freed afterwards. Returns what @put_back does;
 * false and *r->errp set when memory is short.
 */
bool restore_run(Restore *r, bool (*put_back)(Restore *r));

/* Adds the edits for all references and entries that were collected, for @why. */
bool restore_finish(Restore *r, ImageCheckFindingKind why);

/* The parts. False and *r->errp set when memory is short. */
bool restore_l1_tables(Restore *r);
bool restore_emptied(Restore *r);

#endif
