/*
 * A report whose messages are kept, to be compared with what they should be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_MESSAGES_H
#define TESTS_UNIT_BLOCK_MESSAGES_H

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "block/qcow2/findings/report.h"

typedef struct Messages {
    Qcow2Report report;
    char *text; /* whole after messages_end() */
    size_t size;
} Messages;

static inline void messages_begin(Messages *m)
{
    *m = (Messages){0};
    m->report.messages = open_memstream(&m->text, &m->size);
    g_assert_nonnull(m->report.messages);
}

/* Ends the collecting, and returns the text of all messages. */
static inline const char *messages_end(Messages *m)
{
    fclose(m->report.messages);
    m->report.messages = NULL;
    return m->text;
}

static inline void messages_clear(Messages *m)
{
    free(m->text);
}

#endif
