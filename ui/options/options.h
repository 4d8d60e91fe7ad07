/*
 * What the options of `qemu-img check` ask for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_OPTIONS_H
#define UI_OPTIONS_OPTIONS_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2.h"
#include "block/repair-request.h"
#include "ui/map/curve.h"
#include "ui/options/option.h"
#include "util/sandbox.h"

#define MAX_WORKERS 16u
#define MAX_JOBS    256u

/* Strings belong to argv or are static. */
typedef struct CheckOptions {
    const char *filename;            /* as given: a path, a protocol name, json:{...} or, with image_opts, options */
    char *const *filenames;          /* all that were given, NULL at the end */
    const char *files_from;          /* --files-from, or NULL */
    bool many;                       /* several file names, or --files-from: filename is not set */
    bool table;                      /* a table of the results follows, for a person at a terminal */
    bool backing_chain;              /* --backing-chain */
    bool allow_remote_backing;       /* --allow-remote-backing */
    unsigned workers;                /* -m; 0: not given */
    unsigned jobs;                   /* --jobs; 0: not given */
    unsigned timeout;                /* --timeout, seconds; 0: not given */
    bool progress;                   /* -p */
    int progress_fd;                 /* --progress-fd, or -1 */
    SandboxMode sandbox;             /* --sandbox */
    bool all_messages;               /* --all-messages */
    bool debug_stats;                /* --debug-stats */
    FileReaderKind reader;           /* --debug-reader */
    const char *format;              /* -f, or NULL: guess */
    bool image_opts;                 /* --image-opts */
    bool force_share;                /* -U */
    const char *cache;               /* -T, as given; or NULL */
    bool direct;                     /* -T none, -T directsync */
    bool sync;                       /* -T writethrough, -T directsync */
    bool no_flush;                   /* -T unsafe */
    bool repair;                     /* -r */
    const char *rollback;            /* --rollback, or NULL */
    bool repair_all;                 /* -r all, not only leaks */
    bool dry_run;                    /* -n */
    bool free_lost;                  /* --free-lost */
    bool restore;                    /* --restore */
    bool has_min_evidence;           /* --min-evidence was given */
    ImageCheckEvidence min_evidence; /* --min-evidence */
    bool no_undo;                    /* --no-undo */
    Qcow2Request request;            /* --attach, --drop or --zero; QCOW2_REQUEST_NONE: not given */
    uint64_t only;                   /* --only: kinds of findings, a bit each; 0: not given */
    const char *undo_file;           /* --undo-file, or NULL */
    bool strict;                     /* --strict */
    bool quiet;                      /* -q */
    const char *output;              /* --output, as given; or NULL */
    bool json;                       /* --output=json or jsonl */
    bool lines;                      /* --output=jsonl: an object a line, whatever becomes of an image */
    bool all_fields;                 /* --all-fields */
    bool findings;                   /* --findings */
    bool space;                      /* --space */
    bool explain;                    /* --explain */
    Qcow2Question question;          /* --explain, --snapshot */
    bool verbose;                    /* -v */
    bool verify_compressed;          /* --verify-compressed */
    const char *map;                 /* --map, or NULL */
    const char *report;              /* --report: a path, or - for stdout; NULL: none */
    bool has_map_curve;              /* --map-curve was given */
    MapCurve map_curve;              /* --map-curve */
    bool has_map_order;              /* --map-order was given */
    bool map_guest;                  /* --map-order=guest: a picture of the guest's disk */
    bool no_dump_meta;               /* --no-dump-meta */
    unsigned dump_meta;              /* how often -M was given */
    GHashTable *object_ids;          /* the ids of objects given so far, a set of strings */
    const char *foreign_object;      /* an --object that only the stock tool understands */

    const char *own_option;     /* the long name of the last OPTION_OWN that was given, or NULL */
    bool has_extras;            /* options were given that the stock tool may lack, and that it is run without */
    GPtrArray *stock_arguments; /* the options of the stock tool that were given, in the spelling of 7.2 */
    const Option *about_check;  /* the first option that a rollback has no use for, or NULL */
    const Option *last_taken;   /* the last option with an argument, or NULL */
    const char *last_argument;  /* its argument */
} CheckOptions;

/* Returns empty options, which the caller clears. */
CheckOptions check_options_new(void);
void check_options_clear(CheckOptions *options);

/*
 * Returns a command line for the stock tool, called by the name @program: its own options among those given, and
 * options->filename. NULL ends it. The caller frees the array; the strings belong to @options and @program.
 */
char **check_options_stock_argv(const CheckOptions *options, char *program);

#endif
