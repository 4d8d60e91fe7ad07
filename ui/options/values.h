/*
 * The arguments of options of `qemu-img check`, as numbers, lists and choices.
 *
 * Each function reads @argument into @options, where it keeps no copy of a string. It reports a mistake to the user,
 * and returns false then. The texts of errors in options that the stock tool has are the stock tool's, as of 7.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_VALUES_H
#define UI_OPTIONS_VALUES_H

#include <stdbool.h>

struct CheckOptions;

typedef bool OptionParse(struct CheckOptions *options, const char *argument);

OptionParse option_parse_object;    /* stops at an object that only the stock tool understands */
OptionParse option_parse_dump_meta; /* counts how often the option was given */
OptionParse option_parse_explain;   /* OFFSET or guest:OFFSET */
OptionParse option_parse_map_curve;
OptionParse option_parse_map_order;
OptionParse option_parse_repair;
OptionParse option_parse_min_evidence;
OptionParse option_parse_only;   /* kinds of findings, separated by commas */
OptionParse option_parse_attach; /* of these three, one may be given, once */
OptionParse option_parse_drop;
OptionParse option_parse_zero;
OptionParse option_parse_progress_fd; /* a descriptor that is open */
OptionParse option_parse_files_from;  /* may be given once */
OptionParse option_parse_jobs;
OptionParse option_parse_workers;
OptionParse option_parse_timeout;
OptionParse option_parse_sandbox;
OptionParse option_parse_reader;

/* These two are read after all options were: the stock tool reports a mistake in a file name first. */
OptionParse option_parse_output;
OptionParse option_parse_cache;

#endif
