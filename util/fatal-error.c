/*
 * What becomes of the process when GLib cannot go on: see util/fatal-error.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/fatal-error.h"

#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/output-file.h"

static struct iovec part(const char *text)
{
    return (struct iovec){.iov_base = (char *)text, .iov_len = strlen(text)};
}

/* Asks for no memory. @message is NULL where there was none for it. */
static void end_process(const char *message)
{
    bool no_memory = !message || strstr(message, "allocat") || strstr(message, "memory");
    struct iovec parts[] = {part(g_get_prgname()), part(": "), part(no_memory ? "No memory" : message), part("\n")};

    if (writev(STDERR_FILENO, parts, G_N_ELEMENTS(parts)) < 0) {
        /* the exit status is left to say it */
    }
    output_files_abandon();
    _exit(EXIT_FAILURE);
}

static void take_message(const char *domain, GLogLevelFlags level, const char *message, gpointer opaque)
{
    if (level & G_LOG_LEVEL_ERROR) {
        end_process(message);
    }
    g_log_default_handler(domain, level, message, opaque);
}

void fatal_error_exits(void)
{
    g_log_set_default_handler(take_message, NULL);
    /* GLib makes a lock with the first error, and ends by a signal if it gets no memory for it then */
    g_error_free(g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_FAILED, ""));
}
