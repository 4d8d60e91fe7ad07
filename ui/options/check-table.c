/*
 * The options of `qemu-img check`: see ui/options/check-table.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/check-table.h"

#include <glib.h>

#include "ui/options/options.h"
#include "ui/options/values.h"

#define FLAG(member) OPTION_FLAG(CheckOptions, member)
#define TEXT(member) OPTION_TEXT(CheckOptions, member)

#define IMAGE  OPTION_GROUP_IMAGE
#define LOOK   OPTION_GROUP_LOOK
#define REPAIR OPTION_GROUP_REPAIR
#define OUTPUT OPTION_GROUP_OUTPUT
#define MANY   OPTION_GROUP_MANY
#define LIMITS OPTION_GROUP_LIMITS
#define DEBUG  OPTION_GROUP_DEBUG

#define STOCK     OPTION_STOCK
#define OWN       OPTION_OWN
#define DROPPABLE OPTION_DROPPABLE

G_STATIC_ASSERT(offsetof(CheckOptions, filename) == 0); /* so that no row has an offset of 0 */

static const char *const groups[] = {
    [IMAGE] = "The image",  [LOOK] = "Look",     [REPAIR] = "Repair",        [OUTPUT] = "Output",
    [MANY] = "Many images", [LIMITS] = "Limits", [DEBUG] = "For developers",
};

/* clang-format off */
static const Option rows[] = {
    {"format", 'f', IMAGE, STOCK, .for_rollback = true, .argument = "FMT", .values = "qcow2 raw", TEXT(format),
     .help = "format of the image; guessed from its first bytes if not given"},
    {"image-opts", 0, IMAGE, STOCK, .for_rollback = true, FLAG(image_opts),
     .help = "FILENAME is a list of options: driver=qcow2,file.filename=..."},
    {"object", 0, IMAGE, STOCK, .for_rollback = true, .argument = "OBJECTDEF", .parse = option_parse_object,
     .help = "accepted and not used, as a check reads no guest data"},
    {"cache", 'T', IMAGE, STOCK, .newer_name = true, .for_rollback = true, .argument = "MODE",
     .values = "none directsync writeback writethrough unsafe", TEXT(cache),
     .help = "how to read: none and directsync bypass the page cache (O_DIRECT); writeback (default), writethrough and "
             "unsafe do not"},
    {"force-share", 'U', IMAGE, STOCK, .for_rollback = true, FLAG(force_share),
     .help = "check although another program may write to the image; findings may be transient"},

    {"backing-chain", 0, IMAGE, OWN, FLAG(backing_chain),
     .help = "check also the images that it stands on, and tell whether each can be committed into the next"},
    {"allow-remote-backing", 0, IMAGE, OWN, FLAG(allow_remote_backing),
     .help = "with --backing-chain: open also what an image names by a protocol (nbd:, json: and so on)"},

    {"verbose", 'v', LOOK, OWN, FLAG(verbose), .help = "list the findings behind the verdict"},
    {"dump-meta", 'M', LOOK, OWN, .parse = option_parse_dump_meta,
     .help = "show where the metadata lies; twice: with every table entry"},
    {"space", 0, LOOK, OWN, FLAG(space),
     .help = "show what fills the file, and what deleting snapshots would free"},
    {"verify-compressed", 0, LOOK, OWN, FLAG(verify_compressed),
     .help = "read the data of compressed clusters, and tell whether it can be decompressed"},
    {"explain", 0, LOOK, OWN, .argument = "OFFSET", .parse = option_parse_explain,
     .help = "explain what lies at an offset of the file, such as 0x50000 or 64k; guest:OFFSET shows the way there "
             "from an offset of the guest's disk"},
    {"snapshot", 0, LOOK, OWN, .argument = "NAME", TEXT(question.snapshot),
     .help = "with --explain=guest:OFFSET: the disk of this snapshot, by name or ID"},
    {"map", 0, LOOK, OWN, .argument = "FILE", .file = "png", .purpose = "the file to write", TEXT(map),
     .help = "draw a picture of what the clusters of the file are used for: a PNG"},
    {"map-curve", 0, LOOK, DROPPABLE, .argument = "CURVE", .values = "hilbert linear", .parse = option_parse_map_curve,
     .help = "how clusters lie in the picture: hilbert (default) or linear"},
    {"map-order", 0, LOOK, DROPPABLE, .argument = "ORDER", .values = "host guest", .parse = option_parse_map_order,
     .help = "whose clusters: host (default), those of the file, or guest, those of the disk as it is now"},
    {"report", 0, LOOK, OWN, .argument = "FILE", .file = "html", .purpose = "the file to write", TEXT(report),
     .help = "write a page for a browser that shows all of this: HTML"},

    {"repair", 'r', REPAIR, STOCK, .argument = "WHAT", .values = "leaks all", .parse = option_parse_repair,
     .help = "repair leaks or all; this writes to the image"},
    {"dry-run", 'n', REPAIR, OWN, .for_rollback = true, FLAG(dry_run),
     .help = "with -r or --rollback: list what would be changed, and write nothing"},
    {"undo-file", 0, REPAIR, OWN, .argument = "FILE", .file = "*", .purpose = "the file to write", TEXT(undo_file),
     .help = "with -r: first save in FILE all that will be overwritten"},
    {"rollback", 0, REPAIR, OWN, .for_rollback = true, .argument = "FILE", .file = "*", .purpose = "the undo file",
     TEXT(rollback),
     .help = "take a repair back, with the undo file that it wrote"},
    {"only", 0, REPAIR, OWN, .argument = "KIND,...", .parse = option_parse_only,
     .help = "with -r: repair findings of these kinds only"},
    {"free-lost", 0, REPAIR, OWN, FLAG(free_lost),
     .help = "with -r: free leaked clusters also while a fault remains that may be what makes them look leaked"},

    {"restore", 0, REPAIR, OWN, FLAG(restore),
     .help = "with -r all: put back what is lost where it is proved, with --undo-file or --no-undo"},
    {"min-evidence", 0, REPAIR, OWN, .argument = "CLASS", .values = "proved inferred guessed",
     .parse = option_parse_min_evidence,
     .help = "with --restore: how sure that has to be: proved (default), inferred or guessed"},
    {"attach", 0, REPAIR, OWN, .argument = "OFFSET=PLACE", .parse = option_parse_attach,
     .help = "refer to the table at OFFSET from l1:INDEX, snapshot:ID:l1:INDEX, header:l1 or reftable:INDEX, and do "
             "nothing else"},
    {"drop", 0, REPAIR, OWN, .argument = "WHAT", .values = "bitmaps bitmap: snapshots snapshot: backing-name encryption-header",
     .parse = option_parse_drop,
     .help = "give up bitmaps, snapshots, snapshot:ID, backing-name or encryption-header, and do nothing else"},
    {"zero", 0, REPAIR, OWN, .argument = "guest:OFFSET+LENGTH", .parse = option_parse_zero,
     .help = "let a range of the guest's disk read as zeros, and do nothing else"},
    {"no-undo", 0, REPAIR, OWN, FLAG(no_undo),
     .help = "with --restore, --attach, --drop or --zero: save nothing of what will be overwritten"},

    {"output", 0, OUTPUT, STOCK, .for_rollback = true, .argument = "FORMAT", .values = "human json jsonl", TEXT(output),
     .help = "human (default), json, or jsonl: an object a line, whatever becomes of an image"},
    {"strict", 0, OUTPUT, OWN, FLAG(strict),
     .help = "exit status 2 also where only the judgement says that data is lost or at risk, and 1 where it is unknown"},
    {"findings", 0, OUTPUT, OWN, FLAG(findings), .help = "JSON with a list of the findings"},
    {"all-fields", 0, OUTPUT, OWN, FLAG(all_fields), .help = "JSON with every count, 0 included"},
    {"no-dump-meta", 0, OUTPUT, DROPPABLE, FLAG(no_dump_meta), .help = "JSON without the metadata"},
    {"quiet", 'q', OUTPUT, STOCK, .newer_name = true, .for_rollback = true, FLAG(quiet),
     .help = "print nothing on stdout"},
    {"progress", 'p', OUTPUT, DROPPABLE, FLAG(progress), .help = "show progress on stderr, if that is a terminal"},
    {"progress-fd", 0, OUTPUT, DROPPABLE, .argument = "N", .parse = option_parse_progress_fd,
     .help = "write progress to file descriptor N, as JSON Lines"},
    {"all-messages", 0, OUTPUT, DROPPABLE, FLAG(all_messages), .help = "print more than a million messages, too"},
    {"help", 'h', OUTPUT, STOCK, .help = "print this help"},

    {"files-from", 0, MANY, DROPPABLE, .argument = "FILE", .file = "*", .purpose = "the list of files",
     .parse = option_parse_files_from,
     .help = "check also the images named in FILE, one name a line, or each ended by a zero byte; - is stdin"},
    {"jobs", 0, MANY, DROPPABLE, .argument = "N", .parse = option_parse_jobs,
     .help = "check N images at a time, 1 to 256; as many as CPUs if not given"},

    {NULL, 'm', LIMITS, DROPPABLE, .argument = "N", .parse = option_parse_workers,
     .help = "check each image with N threads, 1 to 16; as many as CPUs if not given"},
    {"timeout", 0, LIMITS, DROPPABLE, .for_rollback = true, .argument = "SECONDS", .parse = option_parse_timeout,
     .help = "wait so long for a server, 1 to 86400; 30 for a connection and 60 for data if not given"},
    {"sandbox", 0, LIMITS, DROPPABLE, .for_rollback = true, .argument = "MODE", .values = "on off auto",
     .parse = option_parse_sandbox,
     .help = "give up rights that the check does not need: on (or fail), off, or auto, as far as the system can"},

    {"debug-stats", 0, DEBUG, DROPPABLE, FLAG(debug_stats), .help = "print on stderr what was read, and how"},
    {"debug-reader", 0, DEBUG, DROPPABLE, .argument = "HOW", .values = "auto io_uring threads inline",
     .parse = option_parse_reader, .help = "read a file by io_uring, threads or inline; auto if not given"},
};
/* clang-format on */

const OptionTable check_option_table = {
    .synopsis = "check [OPTIONS] FILENAME...",
    .stock_synopsis = "check [--object OBJECTDEF] [--image-opts] [-q] [-f FMT] [--output=OFMT] [-r [leaks | all]] "
                      "[-T SRC_CACHE] [-U] FILENAME",
    .about = "Check the consistency of a disk image, show where its metadata lies, and repair it if asked to.",
    .groups = groups,
    .epilogue = "Examples:\n"
                "  qemu-img check disk.qcow2\n"
                "  qemu-img check -v --map=disk.png disk.qcow2\n"
                "  qemu-img check -r all --undo-file=disk.undo disk.qcow2\n"
                "  qemu-img check --output=json --findings *.qcow2\n"
                "\n"
                "With several images JSON output is one object a line, and the exit status that\n"
                "of the worst.\n"
                "\n"
                "Exit status: 0 clean, 1 could not check, 2 corruptions, 3 leaks only,\n"
                "63 the format has no check.\n",
    .rows = rows,
    .n = G_N_ELEMENTS(rows),
};
