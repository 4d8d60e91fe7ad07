/*
 * The command line of `qemu-img check`, as read by getopt_long.
 *
 * The texts of errors, and which of several errors is told, are the stock tool's (spec check-behaviour 1).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_OPTIONS_H
#define UI_CHECK_OPTIONS_H

#include <stdbool.h>

/* Strings belong to argv or are static. */
typedef struct CheckOptions {
    const char *filename;       /* as given: a path, a protocol name, json:{...} or, with image_opts, options */
    const char *format;         /* -f, or NULL: guess */
    bool image_opts;            /* --image-opts */
    bool force_share;           /* -U */
    bool direct;                /* -T none, -T directsync */
    bool repair;                /* -r */
    bool quiet;                 /* -q */
    bool json;                  /* --output=json */
    bool all_fields;            /* --all-fields */
    bool no_dump_meta;          /* --no-dump-meta */
    unsigned dump_meta;         /* how often -M was given */
    const char *foreign_object; /* an --object that only the stock tool knows what to do with */
    const char *own_option;     /* one of the options given that the stock tool does not have, or NULL */
} CheckOptions;

typedef enum CheckParsed {
    CHECK_PARSED_RUN,     /* go ahead */
    CHECK_PARSED_HELP,    /* the user asked for help */
    CHECK_PARSED_REFUSED, /* a mistake in the command line, already reported */
} CheckParsed;

/*
 * Reads @argv, whose first element is the word "check". Stops at a foreign object: what follows it is not looked
 * at then, and the filename may be missing.
 */
CheckParsed check_options_parse(int argc, char **argv, CheckOptions *options);

void check_options_print_help(void);

#endif
