/*
 * Folding messages for a terminal: lines that are the same, or differ in one number only, are one line.
 *
 *     Leaked cluster 5 refcount=1 reference=0
 *     Leaked cluster 6 refcount=1 reference=0      Leaked clusters 5-7 refcount=1 reference=0 (3)
 *     Leaked cluster 7 refcount=1 reference=0
 *
 * The number is the same one in all lines of a run, and grows. Where not all between the first and the last occur, the
 * line has "..." instead of "-". Lines of up to four kinds may take turns, such as a fault and its repair; an empty
 * line ends all runs. Runs come in the order of their first lines. Pure; memory for eight lines. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_PROGRESS_FOLD_H
#define UI_PROGRESS_FOLD_H

#include <glib.h>

typedef struct MessageFold MessageFold;

MessageFold *message_fold_new(void);
void message_fold_free(MessageFold *fold);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MessageFold, message_fold_free)

/* Takes a line of @length bytes, without its end, and appends to @out what is complete with it. */
void message_fold_add(MessageFold *fold, const char *line, size_t length, GString *out);

/* Appends the rest. */
void message_fold_finish(MessageFold *fold, GString *out);

#endif
