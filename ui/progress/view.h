/*
 * Showing how far a check has come: a bar on the terminal, JSON lines on a file descriptor, a line at SIGUSR1.
 *
 * What is shown comes from a ProgressState, which the caller keeps. The checks write to its slots while they run,
 * in this process or, where the slots lie in shared memory, in others. Nothing here starts a thread, or costs
 * anything while the check runs, unless the bar or the lines were asked for.
 *
 * The bar takes one line of the terminal. Whoever writes to the terminal while a view exists does it through
 * progress_view_print(), or calls progress_view_hide() first; the next update draws the bar again.
 *
 * Thread safe: progress_view_print(), progress_view_hide() and progress_view_update(). Nothing fails: a bar or a
 * line that cannot be written is left out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_PROGRESS_VIEW_H
#define UI_PROGRESS_VIEW_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "block/progress.h"
#include "qapi/qapi-types.h"

/* All members but images and slots change while somebody looks: by __atomic operations, relaxed. */
typedef struct ProgressState {
    unsigned images;         /* to be checked, at least 1 */
    unsigned finished;       /* of them */
    uint64_t finished_bytes; /* metadata of the finished images */
    unsigned slots;          /* elements of slot */
    CheckProgress *slot;     /* an image under way each; all zero while unused */
} ProgressState;

/* The part of all work that is done, 0 .. 1. May be called in a signal handler. */
double progress_fraction(const ProgressState *state);

/* What there is to tell @elapsed seconds after the beginning. */
ImageCheckProgress progress_read(const ProgressState *state, double elapsed);

/* The bar: at most @columns - 1 columns of ASCII, to be freed. */
char *progress_bar(const ImageCheckProgress *progress, unsigned columns);

/*
 * From now on SIGUSR1 prints a line on stderr, as the stock tool does while it copies. @state stays until this is
 * called again; NULL: there is nothing to tell now.
 */
void progress_answer_signal(const ProgressState *state);

typedef struct ProgressView ProgressView;

#define PROGRESS_INTERVAL_MS 200

/*
 * A view of @state. @bar: draw a bar on stderr, if that is a terminal; @fd: write JSON lines there, -1: nowhere.
 * NULL where there is nothing to do; all functions below take that and do nothing. With @thread a thread updates
 * the view; otherwise the caller is to. An update less than PROGRESS_INTERVAL_MS after the last one does nothing.
 */
ProgressView *progress_view_new(const ProgressState *state, bool bar, int fd, bool thread);
void progress_view_update(ProgressView *view);
void progress_view_hide(ProgressView *view);

/* Writes @text, complete lines, to stderr, where the bar makes room for it. Works without a view, too. */
void progress_view_print(ProgressView *view, const char *text, size_t size);

/* Writes the last line, takes the bar away and ends the thread. */
void progress_view_free(ProgressView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProgressView, progress_view_free)

#endif
