/*
 * An option of a command, and the table of all options of a command.
 *
 * The table is the only list of options: the reader, the help, the completions of shells
 * (completion/make-completion.c) and the test of the manual page use it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_OPTION_H
#define UI_OPTIONS_OPTION_H

#include <stdbool.h>
#include <stddef.h>

/* The headings of the help, in their order. */
typedef enum OptionGroup {
    OPTION_GROUP_IMAGE,
    OPTION_GROUP_LOOK,
    OPTION_GROUP_REPAIR,
    OPTION_GROUP_OUTPUT,
    OPTION_GROUP_MANY,
    OPTION_GROUP_LIMITS,
    OPTION_GROUP_DEBUG, /* in the manual page only */
} OptionGroup;

typedef enum OptionClass {
    OPTION_STOCK,     /* the stock tool has it; it is passed on */
    OPTION_OWN,       /* the stock tool lacks it, and cannot give its result */
    OPTION_DROPPABLE, /* the stock tool lacks it; its result is right without it */
} OptionClass;

struct CheckOptions;

typedef struct Option {
    const char *name; /* the long name; NULL: none */
    char letter;      /* the short name; 0: none */
    OptionGroup group;
    OptionClass class;
    bool newer_name;      /* stock tools before 10.1 lack the long name */
    bool for_rollback;    /* --rollback accepts it */
    const char *argument; /* the name of the argument in the help; NULL: the option has none */
    const char *values;   /* the values that completion offers, separated by spaces; NULL: none */
    const char *file;     /* the argument is a file with this suffix, "*": any; NULL: it is no file */
    const char *purpose;  /* what the file is to be, for messages; NULL: it is no file */
    const char *help;     /* one or two clauses, without a full stop */

    /* The effect is one of these. Offsets are those of members of the command's struct of options; 0: none. */
    size_t flag; /* of a bool, which becomes true: OPTION_FLAG() */
    size_t text; /* of a const char *, which gets the argument: OPTION_TEXT() */
    bool (*parse)(struct CheckOptions *options, const char *argument); /* reports a mistake, and returns false then */
} Option;

typedef struct OptionTable {
    const char *synopsis;       /* the usage line behind "qemu-img" */
    const char *stock_synopsis; /* the line of the stock tool's help that programs look for; NULL: none */
    const char *about;          /* the purpose of the command, one paragraph */
    const char *const *groups;  /* headings by OptionGroup; NULL: none */
    const char *epilogue;       /* lines after the options, printed as they are */
    const Option *rows;
    size_t n;
} OptionTable;

/* The offset of a member, which the compiler checks to be of the type that .flag and .text need. */
#define OPTION_MEMBER(type, member, of) (offsetof(type, member) + 0 * sizeof(&((type *)NULL)->member == (of *)NULL))
#define OPTION_FLAG(type, member)       .flag = OPTION_MEMBER(type, member, bool)
#define OPTION_TEXT(type, member)       .text = OPTION_MEMBER(type, member, const char *)

/* Returns the name of @option with its dashes, the long one if there is one; the caller frees it. */
char *option_word(const Option *option);

/* Returns both names of @option with its argument, such as "-f, --format=FMT"; the caller frees it. */
char *option_signature(const Option *option);

/* Sets the member of @options that @option has a flag or a text for; there may be none. */
void option_store(const Option *option, void *options, const char *argument);

#endif
