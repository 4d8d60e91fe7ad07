/*
 * Somebody who meddles with an image while it is read. Preloaded, it waits for the first read that touches a byte of
 * the image, and then changes the file, or has the read fail. For tests/attacks/run.
 *
 *     MEDDLE_FILE   the image
 *     MEDDLE_AT     the byte
 *     MEDDLE_COUNT  at which of the reads that touch it something happens; the first if not set
 *     MEDDLE_DO     "length N": the file gets this length; "length-each N": this length and a byte more in each read;
 *                   "write OFFSET HEX": these bytes; "fail": this read and all later ones of the byte give EIO; "kill",
 *                   "stop", "end": the process gets SIGKILL, SIGSTOP or SIGTERM
 *     MEDDLE_NAMED  if set, there are no files without a name, as on NFS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    int fd; /* of the image, for writing; opened before the program locks itself in */
    struct stat image;
    long long at;
    long count;
    long more;
    const char *what;
} meddle = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("MEDDLE_FILE"), *at = getenv("MEDDLE_AT"), *count = getenv("MEDDLE_COUNT");

    meddle.what = getenv("MEDDLE_DO");
    if (!file || !at || !meddle.what) {
        return;
    }
    meddle.at = atoll(at);
    meddle.count = count ? atol(count) : 1;
    meddle.fd = open(file, O_RDWR | O_CLOEXEC);
    if (meddle.fd < 0 || fstat(meddle.fd, &meddle.image) < 0) {
        perror(file);
        _exit(99);
    }
}

static bool is_image(int fd)
{
    struct stat st;

    return meddle.fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == meddle.image.st_dev &&
           st.st_ino == meddle.image.st_ino;
}

static void write_bytes(const char *arguments)
{
    char *hex;
    long long offset = strtoll(arguments, &hex, 10);
    unsigned byte;

    for (hex++; sscanf(hex, "%2x", &byte) == 1; hex += 2, offset++) {
        if (pwrite(meddle.fd, &(char){(char)byte}, 1, offset) != 1) {
            _exit(99);
        }
    }
}

/* False where the read is to fail. */
static bool before_read(int fd, size_t size, off_t offset)
{
    bool ok = true;

    if (!is_image(fd) || meddle.at < offset || meddle.at >= offset + (long long)size) {
        return true;
    }
    pthread_mutex_lock(&meddle.lock);
    meddle.count--;
    if (meddle.count <= 0 && !strcmp(meddle.what, "fail")) {
        ok = false;
    } else if (meddle.count == 0 && !strcmp(meddle.what, "kill")) {
        raise(SIGKILL);
    } else if (meddle.count == 0 && !strcmp(meddle.what, "end")) {
        raise(SIGTERM);
    } else if (meddle.count == 0 && !strcmp(meddle.what, "stop")) {
        raise(SIGSTOP);
    } else if (!strncmp(meddle.what, "length-each ", 12)) {
        ok = ftruncate(meddle.fd, atoll(meddle.what + 12) + ++meddle.more) == 0;
    } else if (meddle.count == 0 && !strncmp(meddle.what, "length ", 7)) {
        ok = ftruncate(meddle.fd, atoll(meddle.what + 7)) == 0;
    } else if (meddle.count == 0 && !strncmp(meddle.what, "write ", 6)) {
        write_bytes(meddle.what + 6);
    }
    pthread_mutex_unlock(&meddle.lock);
    return ok;
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t offset)
{
    static ssize_t (*real)(int, void *, size_t, off_t);

    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "pread64");

        memcpy(&real, &symbol, sizeof(real));
    }
    if (!before_read(fd, size, offset)) {
        errno = EIO;
        return -1;
    }
    return real(fd, buffer, size, offset);
}

/* What asks the page cache: it has nothing, so that all reads come by above. */
ssize_t preadv64v2(int fd, const struct iovec *parts, int n, off_t offset, int flags)
{
    errno = EOPNOTSUPP;
    return -1;
}

int open64(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list arguments;
    mode_t mode;

    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "open64");

        memcpy(&real, &symbol, sizeof(real));
    }
    va_start(arguments, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if ((flags & O_TMPFILE) == O_TMPFILE && getenv("MEDDLE_NAMED")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return real(path, flags, mode);
}
