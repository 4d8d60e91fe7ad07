/*
 * The locks by which programs that use an image agree: see block/io/file-locks.h.
 *
 * Byte 100 + n of the file says "I use permission n", byte 200 + n says "nobody else may".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/file-locks.h"

#include <errno.h>
#include <fcntl.h>

#include "block/source.h"

#define MAX_LOCKS 5

enum {
    USES_CONSISTENT_READ = 100,
    USES_WRITE = 101,
    USES_RESIZE = 103,
    FORBIDS_CONSISTENT_READ = 200,
    FORBIDS_WRITE = 201,
    FORBIDS_RESIZE = 203,
};

/* In the order in which they are taken, and tested; 0: no more. */
static const struct {
    int taken[MAX_LOCKS];
    int tested[MAX_LOCKS]; /* must not be held by others */
} uses[] = {
    [FILE_USE_CHECK] = {{USES_CONSISTENT_READ, FORBIDS_WRITE, FORBIDS_RESIZE},
                        {FORBIDS_CONSISTENT_READ, USES_WRITE, USES_RESIZE}},
    /* who shares with writers only reads, and forbids nothing */
    [FILE_USE_SHARED] = {{USES_CONSISTENT_READ}, {FORBIDS_CONSISTENT_READ}},
    [FILE_USE_REPAIR] = {{USES_CONSISTENT_READ, USES_WRITE, USES_RESIZE, FORBIDS_WRITE, FORBIDS_RESIZE},
                         {FORBIDS_CONSISTENT_READ, FORBIDS_WRITE, FORBIDS_RESIZE, USES_WRITE, USES_RESIZE}},
};

/* What another holder of @byte denies us, in the words of the message. */
static const char *denied_wish(int byte)
{
    switch (byte) {
    case USES_WRITE:
        return "shared \"write\"";
    case USES_RESIZE:
        return "shared \"resize\"";
    case FORBIDS_WRITE:
        return "\"write\"";
    case FORBIDS_RESIZE:
        return "\"resize\"";
    default:
        return "\"consistent read\"";
    }
}

static struct flock lock_of_byte(int byte, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

/* A file system without locks is no obstacle: nobody else can have announced anything there either. */
static bool lock_byte(int fd, int byte, GError **errp)
{
    struct flock lock = lock_of_byte(byte, F_RDLCK);

    if (fcntl(fd, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES)) {
        g_set_error(errp, BLOCK_ERROR, EAGAIN, "Failed to lock byte %d", byte);
        return false;
    }
    return true;
}

static bool test_byte(int fd, int byte, const char *path, GError **errp)
{
    struct flock lock = lock_of_byte(byte, F_WRLCK);

    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
        g_set_error(errp, BLOCK_ERROR, EAGAIN, "Failed to get %s lock\nIs another process using the image [%s]?",
                    denied_wish(byte), path);
        return false;
    }
    return true;
}

/*
 * Own locks come first and the test of others' after: of two programs that start at once, one at least sees
 * the other.
 */
bool file_locks_take(int fd, FileUse use, const char *path, GError **errp)
{
    for (size_t i = 0; i < MAX_LOCKS && uses[use].taken[i]; i++) {
        if (!lock_byte(fd, uses[use].taken[i], errp)) {
            return false;
        }
    }
    for (size_t i = 0; i < MAX_LOCKS && uses[use].tested[i]; i++) {
        if (!test_byte(fd, uses[use].tested[i], path, errp)) {
            return false;
        }
    }
    return true;
}
