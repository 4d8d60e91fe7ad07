/*
 * A stream for the messages of a check: buffered, but written to stderr in whole lines.
 *
 * So neither the bar nor the answer to a signal breaks a line. On a terminal each line is written at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_PROGRESS_MESSAGE_STREAM_H
#define UI_PROGRESS_MESSAGE_STREAM_H

#include <stdbool.h>
#include <stdio.h>

#include "ui/progress/view.h"

/*
 * Returns the stream, which the caller closes with fclose(); that also writes a last line without a line end. @view,
 * which may be NULL, has to outlive it. With @fold runs of one kind of message are one line (ui/progress/fold.h). With
 * @conditional "Would repair" stands for "Repairing", for a repair that is planned only. Never fails.
 */
FILE *message_stream_new(ProgressView *view, bool fold, bool conditional);

#endif
