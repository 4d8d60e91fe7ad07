/*
 * The command line of `qemu-img check`, as read by getopt_long.
 *
 * The texts of errors, and which of several errors is told, are the stock tool's (spec check-behaviour 1).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_OPTIONS_H
#define UI_OPTIONS_OPTIONS_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2.h"
#include "ui/map/curve.h"
#include "util/sandbox.h"

#define MAX_WORKERS 16u
#define MAX_JOBS    256u

/* Strings belong to argv or are static. */
typedef struct CheckOptions {
    const char *filename;       /* as given: a path, a protocol name, json:{...} or, with image_opts, options */
    char *const *filenames;     /* all that were given, NULL at the end */
    const char *files_from;     /* --files-from, or NULL */
    bool many;                  /* several file names, or --files-from: filename is not set */
    unsigned workers;           /* -m; 0: not given */
    unsigned jobs;              /* --jobs; 0: not given */
    unsigned timeout;           /* --timeout, seconds; 0: not given */
    bool progress;              /* -p */
    int progress_fd;            /* --progress-fd, or -1 */
    uint64_t max_memory;        /* --max-memory, bytes; 0: not given */
    SandboxMode sandbox;        /* --sandbox */
    bool all_messages;          /* --all-messages */
    bool debug_stats;           /* --debug-stats */
    FileReaderKind reader;      /* --debug-reader */
    const char *format;         /* -f, or NULL: guess */
    bool image_opts;            /* --image-opts */
    bool force_share;           /* -U */
    bool direct;                /* -T none, -T directsync */
    bool sync;                  /* -T writethrough, -T directsync */
    bool no_flush;              /* -T unsafe */
    bool repair;                /* -r */
    const char *rollback;       /* --rollback, or NULL */
    bool repair_all;            /* -r all, not only leaks */
    bool dry_run;               /* -n */
    bool free_lost;             /* --free-lost */
    uint64_t only;              /* --only: kinds of findings, bit by bit; 0: not given */
    const char *undo_file;      /* --undo-file, or NULL */
    bool quiet;                 /* -q */
    bool json;                  /* --output=json */
    bool all_fields;            /* --all-fields */
    bool findings;              /* --findings */
    bool space;                 /* --space */
    bool explain;               /* --explain */
    Qcow2Question question;     /* what it asks; --snapshot */
    bool verbose;               /* -v */
    const char *map;            /* --map, or NULL */
    const char *report;         /* --report: a path, or - for stdout; NULL: none */
    bool has_map_curve;         /* --map-curve was given */
    MapCurve map_curve;         /* --map-curve */
    bool no_dump_meta;          /* --no-dump-meta */
    unsigned dump_meta;         /* how often -M was given */
    const char *foreign_object; /* an --object that only the stock tool knows what to do with */
    const char *own_option;     /* an option given that the stock tool lacks and whose result it cannot give, or NULL */
    bool has_extras;            /* options were given that the stock tool lacks and may do without */
    GPtrArray *stock_arguments; /* the options given that the stock tool has */
} CheckOptions;

typedef enum CheckParsed {
    CHECK_PARSED_RUN,     /* go ahead */
    CHECK_PARSED_HELP,    /* the user asked for help */
    CHECK_PARSED_REFUSED, /* a mistake in the command line, already reported */
} CheckParsed;

/*
 * Reads @argv, whose first element is the word "check", into @options, to be cleared in any case. Stops at a foreign
 * object: what follows it is not looked at then, and the filename may be missing.
 */
CheckParsed check_options_parse(int argc, char **argv, CheckOptions *options);
void check_options_clear(CheckOptions *options);

/*
 * A command line for the stock tool, called by the name @program: its own options among those given, and
 * options->filename. NULL at the end; the array is to be freed, the strings are not.
 */
char **check_options_stock_argv(const CheckOptions *options, char *program);

void check_options_print_help(void);

#endif
