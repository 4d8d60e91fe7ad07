/*
 * A repair being planned: what its parts share.
 *
 *     check          all is counted; faults are reported (qcow2/check/check.h)
 *     structures     which clusters are metadata, and by how many references       qcow2/repair/structures.c
 *     contested      guest data that lies on metadata, and gets another place      qcow2/repair/contested.c
 *                    or the L2 table does that it lies on                          qcow2/repair/tables.c
 *     entries        L2 entries that are to be zeroed, or get other flags          qcow2/repair/entries.c, -flags.c
 *     counts         which counts the image is to have; where they are written     qcow2/repair/counts.c
 *     rebuild        new refcount blocks, and a new table                          qcow2/repair/rebuild.c
 *     snapshots      a new snapshot table                                          qcow2/repair/snapshots.c
 *     lost           what may be in leaked clusters                                qcow2/repair/lost.c
 *     header         to which tables it refers                                     qcow2/repair/header.c
 *     edits          all of it, in phases (edits.h)
 *     rounds         what is still wrong after them, or only now can be repaired   qcow2/repair/rounds.c
 *
 * `wanted` has the counts that the image is to have: at first those computed by the check, then as the plan changes
 * them. The final count of a cluster may still be another, where counts of a kind may not be changed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_REPAIR_H
#define BLOCK_QCOW2_REPAIR_REPAIR_H

#include "block/clusters/ranges.h"
#include "block/io/edits.h"
#include "block/qcow2/check/check.h"
#include "block/repair.h"

/* An L2 entry that is to be overwritten. */
typedef struct Qcow2EntryEdit {
    uint64_t table; /* offset of the L2 table */
    uint64_t weight;
    uint64_t active;
    uint64_t entry;  /* its first word, as it is */
    uint64_t bitmap; /* its second, with extended L2 entries */
    uint64_t offset; /* host offset of what it refers to */
    uint32_t length; /* bytes */
    uint32_t index;
    bool compressed;

    bool writable; /* of one that is to be zeroed */

    /* of one whose data lies on metadata: */
    bool read;    /* a guest reads that */
    bool counted; /* and it is among the references that are counted */
    bool movable; /* and can read it elsewhere */
    bool ready;   /* now */
    uint64_t to;  /* host offset of the copy; 0 = none */
} Qcow2EntryEdit;

typedef struct Qcow2Repair {
    Qcow2Image *image;
    const Qcow2HeaderFields *header; /* of the image */
    const Qcow2RepairOptions *options;
    Qcow2CheckOptions how;
    Qcow2Check check;
    FILE *messages; /* NULL: nobody reads them */

    RefMap *wanted;         /* that of the check */
    RefMap *dropped;        /* references that the plan takes away: they are there until the edit is on disk */
    Qcow2Counting metadata; /* references to metadata only */
    GArray *structures;     /* Qcow2ClusterRange: where structures are, or are said to be; sorted */
    GArray *uncounted;      /* those of them that the counts lack; likewise */
    uint64_t next_free;     /* no cluster below is free for new structures */
    uint64_t next_reused;   /* nor one whose count is not known, and that is not empty */
    uint64_t append_end;    /* nor can those from here on be appended: something refers to them */
    uint64_t in_use_end;    /* where leaks are kept: cluster behind the last one that anything refers to */
    uint64_t file_clusters; /* of the file as it is, a last one that is not whole included */

    GArray *contested;    /* Qcow2EntryEdit, sorted by table and index: data that lies on metadata; NULL = none */
    RefMap *guest_reads;  /* how often a guest reads a cluster of metadata by them, while that is where they are */
    GArray *moved;        /* those of them that get another place now; likewise sorted */
    GArray *moved_tables; /* L2 tables that do */
    bool moves;           /* any of them */

    GArray *zeroed;      /* Qcow2EntryEdit, sorted by table and index */
    GArray *flagged;     /* L2 tables with COPIED flags that are to be changed; sorted by offset */
    GHashTable *cleared; /* indexes of refcount table entries that are taken away; NULL = none */

    bool allocated;       /* something gets a new place, which needs a count */
    bool may_raise;       /* counts that are too low */
    bool may_lower;       /* and too high */
    bool keep_leaks;      /* clusters stay leaked, for a fault that remains, or: */
    const char *lost;     /* for something that was lost; NULL: nothing */
    bool snapshot_hidden; /* that is a snapshot, of which a new table would have no trace */
    bool rebuild;         /* refcount table and blocks are made anew */
    uint64_t leaks_kept;  /* clusters */
    bool no_place;        /* for what must be written anew */
    bool given_up;        /* nothing is repaired: what was reported was what would be left by the repair */
    GArray *new_blocks;   /* uint64_t: offset of the new block by index; 0 = none. Only for a rebuild */
    uint64_t new_table;   /* offset */
    uint64_t new_table_clusters;
    bool switch_snapshots;  /* there is a new snapshot table: */
    uint64_t new_snapshots; /* its offset; 0 where there are no snapshots left */

    Edits *edits;

    /* of a round after the first, its own: */
    bool continues;       /* guest data that had to wait is to move */
    BlockSource *whole;   /* the file, where the plan is for one without its end; borrowed */
    BlockSource *overlay; /* what the rounds before make of the image */
    Qcow2Image *overlay_image;
    Qcow2RepairOptions overlay_options;
    Qcow2CheckOptions overlay_check;
} Qcow2Repair;

/* The first of the @n @kinds that was found; the last where none was. */
static inline ImageCheckFindingKind qcow2_repair_first_seen(const Qcow2Repair *r, const ImageCheckFindingKind *kinds,
                                                            size_t n)
{
    while (n > 1 && !r->check.report.count_by_kind[*kinds]) {
        kinds++;
        n--;
    }
    return *kinds;
}

/*
 * What an edit is for that repairs @kind, or goes with others: @kind if that was found, else what the first edit is
 * for. When all edits are there but those that ask.
 */
ImageCheckFindingKind qcow2_repair_reason(const Qcow2Repair *r, ImageCheckFindingKind kind);

/* True where findings of @kind are to be repaired. */
static inline bool qcow2_repair_wants(const Qcow2Repair *r, ImageCheckFindingKind kind)
{
    return !r->options->only || (r->options->only & QCOW2_FINDING_BIT(kind));
}

/* A repair of @image, which is borrowed as @options are. Nothing is planned yet. */
Qcow2Repair *qcow2_repair_new(Qcow2Image *image, const Qcow2RepairOptions *options);
void qcow2_repair_free(Qcow2Repair *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Repair, qcow2_repair_free)

/* Checks the image, and makes the edits. */
bool qcow2_repair_plan(Qcow2Repair *r, GError **errp);

/*
 * True where there is a fault that may be what made clusters look leaked. That it is going to be repaired does not
 * matter: then they are freed in the next round.
 */
bool qcow2_repair_may_hide_clusters(const Qcow2Repair *r);

/* What may be in leaked clusters although there is no fault that tells so, as a phrase; NULL: nothing. */
const char *qcow2_repair_lost(const Qcow2Repair *r);

/* True where there is such a trace in the snapshot table that a new table would not have. */
bool qcow2_repair_snapshot_hidden(const Qcow2Repair *r);

/*
 * Plans the repair of @image, then that of what it makes of the image, and so on until nothing is left to do:
 * Qcow2Repair, at least one, each on the image as those before leave it. NULL and @errp set if not even the first could
 * be planned.
 */
GPtrArray *qcow2_repair_plan_rounds(Qcow2Image *image, const Qcow2RepairOptions *options, GError **errp);

/* True where nothing is wrong any more, but for leaks, after @last; false where that cannot be known. */
bool qcow2_repair_leaves_right(const Qcow2Repair *last);

/* The error of all functions below: memory is short. Returns false. */
bool qcow2_repair_no_memory(GError **errp);

/* ---- structures ---- */

/* Finds out where structures are. After qcow2_check_count(). */
bool qcow2_repair_find_structures(Qcow2Repair *r, GError **errp);

/* Notes that something is said to be there, whether it can be or not. They are to be sorted again. */
void qcow2_repair_claim(Qcow2Repair *r, uint64_t offset, uint64_t size);

/* True where a structure is, or is said to be, in cluster @cluster; *end is set to the cluster behind it. */
bool qcow2_repair_in_structure(const Qcow2Repair *r, uint64_t cluster, uint64_t *end);

/* How often there is an L2 table that begins where @cluster does. */
uint64_t qcow2_repair_l2_tables_in(const Qcow2Repair *r, uint64_t cluster);

/* A question about @cluster, which has @metadata references to structures, at least 1. */
typedef bool Qcow2MetadataTest(const Qcow2Repair *r, uint64_t cluster, uint64_t metadata);

/* True where @test is true of any cluster that has metadata. */
bool qcow2_repair_any_metadata(const Qcow2Repair *r, Qcow2MetadataTest *test);

/* Whether it has more users besides, that is guest data, or may have. */
bool qcow2_repair_contested(const Qcow2Repair *r, uint64_t cluster, uint64_t metadata);

/* True where structures lie on one another, or data on structures. When all is planned. */
bool qcow2_repair_structures_overlap(const Qcow2Repair *r);

/* True where @cluster is in use by a structure that nothing shares: what is hidden is elsewhere. */
bool qcow2_repair_in_use(const Qcow2Repair *r, uint64_t cluster);

/* True where an L2 table at an odd place reaches into @cluster, whose words are then also its entries. */
bool qcow2_repair_in_odd_table(const Qcow2Repair *r, uint64_t cluster);

/* How many L1 tables are in @cluster. */
uint64_t qcow2_repair_l1_tables_in(const Qcow2Repair *r, uint64_t cluster);

/* True where there is an L2 table and no other metadata. */
bool qcow2_repair_sole_table(const Qcow2Repair *r, uint64_t offset, uint64_t weight);

/* True where it can be overwritten besides: none at an odd place has its words. */
bool qcow2_repair_table_writable(const Qcow2Repair *r, uint64_t offset, uint64_t weight);

/* Finds how far the file can grow before something is inside of it that was said to lie behind its end. */
bool qcow2_repair_find_append_end(Qcow2Repair *r, GError **errp);

/* ---- counts ---- */

/* Neighbouring clusters for which both counts are the same, and are not each other. */
typedef struct Qcow2CountRun {
    uint64_t first;
    uint64_t n;
    uint64_t stored;
    uint64_t wanted;
    bool known; /* the stored count is */
} Qcow2CountRun;

/* The next of them at or behind cluster @at; false where there is none. Runs end where a piece of counters does. */
bool qcow2_repair_next_run(const Qcow2Repair *r, uint64_t at, Qcow2CountRun *run);

/* The count that clusters of @run will have. */
uint64_t qcow2_repair_final_of_run(const Qcow2Repair *r, const Qcow2CountRun *run);

/* The count that @cluster will have; false where it is not known. */
bool qcow2_repair_final(const Qcow2Repair *r, uint64_t cluster, uint64_t *count);

/* The first of the @n clusters from @first on for which (final count == 1) is not @copied, as its distance; or @n. */
uint64_t qcow2_repair_final_mismatch(const Qcow2Repair *r, uint64_t first, uint64_t n, bool copied);

/* Takes references to a region away that end with an edit of the plan. */
bool qcow2_repair_drop(Qcow2Repair *r, uint64_t offset, uint64_t size, uint64_t weight, GError **errp);

/* Lets leaked clusters stay. */
bool qcow2_repair_keep_leaks(Qcow2Repair *r, GError **errp);

/*
 * Finds @n clusters in a row where nothing lies, and wants a count of @weight for them. Sets *offset, to 0 where there
 * is no place for them: nothing fits in the file, and something is said to lie right behind its end.
 */
bool qcow2_repair_allocate(Qcow2Repair *r, uint64_t n, uint64_t weight, uint64_t *offset, GError **errp);

/* One more than the index of the last refcount block that the wanted counts need. */
uint64_t qcow2_repair_blocks_end(const Qcow2Repair *r);

/* True where a cluster of refcount block @index has a count that is not 0. */
bool qcow2_repair_block_needed(const Qcow2Repair *r, uint64_t index);

/* True where counts of block @index are written, if they change: there is one, and it is not taken away. */
bool qcow2_repair_block_written(const Qcow2Repair *r, uint64_t index);

/* Adds the edits of the counts in the blocks that there are. */
void qcow2_repair_add_counts(Qcow2Repair *r);

/* Adds the edit that gives back space. */
void qcow2_repair_add_punch(Qcow2Repair *r);

/* ---- rebuild ---- */

/* Takes entries of the refcount table away that nothing needs and that name no place of their own. */
bool qcow2_repair_clear_entries(Qcow2Repair *r, GError **errp);

/* True for entry @index if it is one of them. What it names may be anything: nothing is written there. */
bool qcow2_repair_entry_cleared(const Qcow2Repair *r, uint64_t index);

/* Adds the edits of that, where the table stays. */
void qcow2_repair_add_cleared(Qcow2Repair *r);

/* True where a block is something else too, be it that counts of this width cannot say so: it must not be written to.
 */
bool qcow2_repair_any_block_shared(const Qcow2Repair *r);

/* What is wrong with the table or the blocks that they are made anew: of several faults the first; or a count. */
ImageCheckFindingKind qcow2_repair_why_rebuilt(const Qcow2Repair *r);

/* True where a count is wanted that has no sound block. */
bool qcow2_repair_must_rebuild(const Qcow2Repair *r);

/* From here on all is rebuilt: the old table and blocks are nothing but free space to be. */
bool qcow2_repair_begin_rebuild(Qcow2Repair *r, GError **errp);

/* Finds places for new blocks and a new table, and adds their edits. When all other clusters are allocated. */
bool qcow2_repair_place_rebuilt(Qcow2Repair *r, GError **errp);

/* What is wrong with the snapshot table that there is a new one: of several faults the first. */
ImageCheckFindingKind qcow2_repair_why_rewritten(const Qcow2Repair *r);

/* Makes a new snapshot table where entries lack something, or have too much. */
bool qcow2_repair_rewrite_snapshots(Qcow2Repair *r, GError **errp);

/* ---- the header ---- */

/* Adds the edit by which the header refers to the new tables. */
void qcow2_repair_add_switch(Qcow2Repair *r);

/* Counts what that changes where the header is an L2 table too. When all new tables have a place. */
bool qcow2_repair_follow_header(Qcow2Repair *r, GError **errp);

/* ---- guest data that lies on metadata ---- */

/* Finds the entries. After qcow2_repair_find_structures(), and when faults of tables are reported. */
bool qcow2_repair_find_contested(Qcow2Repair *r, GError **errp);

/*
 * True where guest data lies on the metadata in @cluster, and stays for now: nothing is written there in this round.
 */
bool qcow2_repair_read_by_guest(const Qcow2Repair *r, uint64_t cluster);

/* True where that is so, and will not be in the next round. */
bool qcow2_repair_postponed(const Qcow2Repair *r, uint64_t cluster);

/* What is found where guest data lies on metadata: of several faults the first. */
ImageCheckFindingKind qcow2_repair_why_moved(const Qcow2Repair *r);

/* Finds places for copies of all that can move now. */
bool qcow2_repair_find_moved(Qcow2Repair *r, GError **errp);

/* True where some of such data waits for that which gets another place now. */
bool qcow2_repair_waits(const Qcow2Repair *r);

/* Tells @messages, NULL for nobody, where such data has found no other place. When all is planned. */
void qcow2_repair_say_stays(const Qcow2Repair *r, FILE *messages);

/* Finds places for copies of the L2 tables that data lies on which is not ready to move. */
bool qcow2_repair_move_tables(Qcow2Repair *r, GError **errp);

/* True where the L2 table at @offset gets another place. */
bool qcow2_repair_table_moved(const Qcow2Repair *r, uint64_t offset);

/* Adds the edits of entries that refer to copies. When those of the header are there. */
void qcow2_repair_add_moved(Qcow2Repair *r);

/* ---- entries ---- */

/* Finds unaligned entries without data, and whether *@all_writable: the tables that they are in. */
bool qcow2_repair_find_zeroed(Qcow2Repair *r, bool *all_writable, GError **errp);

/* Those of them that are to be zeroed now. When contested entries are known. */
bool qcow2_repair_choose_zeroed(Qcow2Repair *r, GError **errp);

/* Adds their edits. */
void qcow2_repair_add_zeroed(Qcow2Repair *r);

/* True where entry @index of the L2 table at @table is to be overwritten. */
bool qcow2_repair_entry_edited(const Qcow2Repair *r, uint64_t table, uint32_t index);

/* Finds COPIED flags that contradict the final counts. */
bool qcow2_repair_find_flags(Qcow2Repair *r, GError **errp);

/* Reports them, and adds the edits if they are to be repaired. */
bool qcow2_repair_report_flags(Qcow2Repair *r, bool repair, Qcow2Report *report, GError **errp);

/* ---- the list ---- */

/*
 * Appends what will be written, in the order of the steps; neighbouring clusters whose counts are in the same block and
 * change in the same way are one.
 */
bool qcow2_repair_list(const Qcow2Repair *r, ImageCheckEditList *list, GError **errp);

#endif
