/*
 * The result of a check of one image: exit status, output, and messages about failures.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_RESULT_H
#define UI_CHECK_RESULT_H

#include <stdbool.h>

#include "block/qcow2.h"
#include "ui/options/options.h"

/* The exit status of a check. */
enum {
    EXIT_CLEAN = 0,
    EXIT_FAILED = 1,
    EXIT_CORRUPTIONS = 2,
    EXIT_LEAKS = 3,
    EXIT_NOT_SUPPORTED = 63,
};

/* Returns the exit status; failures count before corruptions, and these before leaks. */
int check_result_status(const Qcow2CheckResult *result);

/* The same, the judgement included if @options ask for that. */
int check_result_exit_status(const CheckOptions *options, const Qcow2CheckResult *result);

/*
 * Returns true if the judgement is shown, or counts. JSON without the metadata, and without anything else that is ours,
 * is that of the stock tool.
 */
bool check_result_shows_judgement(const CheckOptions *options);

/* Returns true if the output ends with the answer, for a person at a terminal: the result is to have findings. */
bool check_result_has_answer(const CheckOptions *options);

/* Prints @result on stdout as @options ask for. Leaves errors to stdout's error flag. */
void check_result_print(const CheckOptions *options, const Qcow2CheckResult *result);

/* Reports the failures of the check or the repair on stderr. */
void check_result_report_failure(const Qcow2CheckResult *result);

/*
 * Flushes stdout. Returns false if the output did not arrive, which it has reported; a reader that closes the pipe is
 * no failure.
 */
bool check_result_finish_stdout(void);

#endif
