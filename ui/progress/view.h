/*
 * A view of running checks: a bar on the terminal, JSON lines on a file descriptor, or both.
 *
 * A view draws on one line of the terminal. While a view exists, write to the terminal with progress_view_print(), or
 * call progress_view_hide() first; the next update draws the bar again.
 *
 * progress_view_print(), progress_view_hide() and progress_view_update() are thread-safe. Nothing fails: a bar or a
 * line that cannot be written is left out. All functions accept a view of NULL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_PROGRESS_VIEW_H
#define UI_PROGRESS_VIEW_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "ui/progress/state.h"

#define PROGRESS_INTERVAL_MS 200

typedef struct ProgressView ProgressView;

/*
 * Returns a view of @state, which has to outlive it; NULL if there is nothing to show. @bar: draw a bar if stderr is a
 * terminal. @fd: write JSON lines there; -1: write none. With @thread a thread updates the view; otherwise the caller
 * calls progress_view_update().
 */
ProgressView *progress_view_new(const ProgressState *state, bool bar, int fd, bool thread);

/* Shows the current state, unless the last update was less than PROGRESS_INTERVAL_MS ago. */
void progress_view_update(ProgressView *view);

/* Clears the bar. */
void progress_view_hide(ProgressView *view);

/* Writes @size bytes at @text, complete lines, to stderr, and clears the bar for them. */
void progress_view_print(ProgressView *view, const char *text, size_t size);

/* Writes the last JSON line, clears the bar and ends the thread. */
void progress_view_free(ProgressView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProgressView, progress_view_free)

#endif
