/*
 * The answer to SIGUSR1: one line on stderr, as the stock tool prints while it copies.
 *
 * The signal handler makes all of the answer, so a check that is never asked costs nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_PROGRESS_SIGNAL_H
#define UI_PROGRESS_SIGNAL_H

#include "ui/progress/state.h"

/*
 * From now on SIGUSR1 prints the progress in @state, which has to live until the next call. NULL: the signal prints
 * nothing.
 */
void progress_answer_signal(const ProgressState *state);

#endif
