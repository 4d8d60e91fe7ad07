/*
 * A stream for the messages of a check, which are many at times: buffered, but written to stderr in whole lines.
 *
 * So nothing that is written to stderr in between, be it the bar or the answer to a signal, tears a line. On a
 * terminal each line is written at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_PROGRESS_MESSAGE_STREAM_H
#define UI_PROGRESS_MESSAGE_STREAM_H

#include <stdio.h>

#include "ui/progress/view.h"

/*
 * Opens the stream, to be closed with fclose(), which also writes what has no line end. @view, which may be NULL,
 * must outlive it. Never fails.
 */
FILE *message_stream_new(ProgressView *view);

#endif
