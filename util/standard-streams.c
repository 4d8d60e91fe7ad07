/*
 * Standard input, output and error that were closed: see util/standard-streams.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/standard-streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PLACEHOLDER "/dev/null"

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

bool standard_streams_reserve(GError **errp)
{
    /* Not open for reading or writing: a result that arrives nowhere is a failure, a list from nowhere is not empty. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* the lowest free number is given, and those below are taken */
        /* cppcheck-suppress leakReturnValNotUsed ; it stays open for as long as the process lives */
        if (!is_open(fd) && open(PLACEHOLDER, O_PATH) != fd) {
            g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno),
                        "File descriptor %d is closed, and " PLACEHOLDER " cannot be opened in its place: %s", fd,
                        g_strerror(errno));
            return false;
        }
    }
    return true;
}
