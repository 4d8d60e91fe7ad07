/*
 * Files that are there as a whole or not at all: see util/output-file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/output-file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_FILE_MODE 0666 /* less what the user's umask takes away */
#define BUFFER_SIZE   (64u << 10)
#define NAME_ATTEMPTS 100

struct OutputFile {
    char *shown_path; /* as the caller named it, for messages */
    char *path;       /* where it goes: links followed */
    char *temporary;  /* its name until then; NULL: it has none yet, or needs none */
    int fd;
    bool direct; /* written to @path itself */
    FILE *stream;
    int failure; /* errno of the first write of @stream that failed, or 0 */
};

/* ---- temporary names ---- */

/* Names to be removed when the process is ended by a signal; as many files as that are never written at once. */
static char *pending[8];

void output_files_abandon(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pending); i++) {
        const char *name = __atomic_exchange_n(&pending[i], NULL, __ATOMIC_SEQ_CST);

        if (name) {
            unlink(name);
        }
    }
}

static void abandon_and_end(int number)
{
    output_files_abandon();
    signal(number, SIG_DFL);
    raise(number);
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
    static bool caught;

    for (size_t i = 0; !caught && i < G_N_ELEMENTS(numbers); i++) {
        struct sigaction old;

        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
            signal(numbers[i], abandon_and_end);
        }
    }
    caught = true;
}

/* Has the temporary name of @file, which it has until forget() is called, removed when a signal ends the process. */
static void remember(OutputFile *file, char *name)
{
    file->temporary = name;
    catch_signals();
    for (size_t i = 0; i < G_N_ELEMENTS(pending); i++) {
        char *none = NULL;

        if (__atomic_compare_exchange_n(&pending[i], &none, name, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            return;
        }
    }
}

static void forget(OutputFile *file)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pending); i++) {
        char *name = file->temporary;

        __atomic_compare_exchange_n(&pending[i], &name, NULL, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    g_clear_pointer(&file->temporary, g_free);
}

/* ---- files ---- */

static void set_error(GError **errp, const OutputFile *file, int failure)
{
    g_set_error(errp, G_FILE_ERROR, (int)g_file_error_from_errno(failure), "Could not write '%s': %s", file->shown_path,
                g_strerror(failure));
}

/* Makes something of a random name beside the file by @create, which is called until the name is not taken. -1 and
 * errno set on failure. */
static int create_temporary(OutputFile *file, int (*create)(const OutputFile *file, const char *name))
{
    g_autofree char *folder = g_path_get_dirname(file->path);
    int result = -1;

    errno = EEXIST;
    for (int i = 0; result < 0 && errno == EEXIST && i < NAME_ATTEMPTS; i++) {
        g_autofree char *name = g_strdup_printf("%s/.qemu-img.%08x", folder, g_random_int());

        result = create(file, name);
        if (result >= 0) {
            remember(file, g_steal_pointer(&name));
        }
    }
    return result;
}

static int create_by_name(const OutputFile *file, const char *name)
{
    return open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, NEW_FILE_MODE);
}

static int create_by_link(const OutputFile *file, const char *name)
{
    g_autofree char *nameless = g_strdup_printf("/proc/self/fd/%d", file->fd);

    return linkat(AT_FDCWD, nameless, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* False and errno set on failure. */
static bool open_beside(OutputFile *file)
{
    g_autofree char *folder = g_path_get_dirname(file->path);

    if (access("/proc/self/fd", X_OK) < 0) {
        file->fd = create_temporary(file, create_by_name); /* what has no name could not get one */
        return file->fd >= 0;
    }
    file->fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, NEW_FILE_MODE);
    if (file->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        file->fd = create_temporary(file, create_by_name); /* NFS and others */
    }
    return file->fd >= 0;
}

static bool may_replace(const OutputFile *file, const char *signature, GError **errp)
{
    size_t expected = strlen(signature);
    g_autofree char *begin = g_malloc(expected);
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, begin, expected, 0);
    int failure = errno;

    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        set_error(errp, file, failure);
        return false;
    }
    if (n > 0 && ((size_t)n < expected || memcmp(begin, signature, expected) != 0)) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_EXIST,
                    "Will not overwrite '%s': a file is there that is of another kind; remove it, or give another name",
                    file->shown_path);
        return false;
    }
    return true;
}

static bool open_existing(OutputFile *file, const struct stat *existing, const char *signature, GError **errp)
{
    if (S_ISBLK(existing->st_mode)) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_EXIST, "Will not overwrite '%s': it is a block device",
                    file->shown_path);
        return false;
    }
    if (!S_ISREG(existing->st_mode)) {
        file->direct = true;
        file->fd = open(file->path, O_WRONLY | O_CLOEXEC); /* a folder fails here */
    } else if (signature && !may_replace(file, signature, errp)) {
        return false;
    } else if (access(file->path, W_OK) == 0 && open_beside(file) && fchmod(file->fd, existing->st_mode & 0777) < 0) {
        set_error(errp, file, errno);
        return false;
    }
    if (file->fd < 0) {
        set_error(errp, file, errno);
    }
    return file->fd >= 0;
}

static bool open_file(OutputFile *file, const char *signature, GError **errp)
{
    struct stat existing;

    if (stat(file->path, &existing) == 0) {
        return open_existing(file, &existing, signature, errp);
    }
    if (errno != ENOENT || !open_beside(file)) {
        set_error(errp, file, errno);
        return false;
    }
    return true;
}

static ssize_t write_stream(void *opaque, const char *bytes, size_t size)
{
    OutputFile *file = opaque;
    size_t written = 0;

    while (written < size && !file->failure) {
        ssize_t n = write(file->fd, bytes + written, size - written);

        if (n >= 0) {
            written += (size_t)n;
        } else if (errno != EINTR) {
            file->failure = errno;
        }
    }
    return (ssize_t)written; /* less than was asked for is a failure to stdio */
}

OutputFile *output_file_new(const char *path, const char *signature, GError **errp)
{
    g_autoptr(OutputFile) file = g_new(OutputFile, 1);
    char *resolved = realpath(path, NULL); /* NULL also where the file does not exist yet */

    *file = (OutputFile){.shown_path = g_strdup(path), .path = g_strdup(resolved ? resolved : path), .fd = -1};
    free(resolved);
    return open_file(file, signature, errp) ? g_steal_pointer(&file) : NULL;
}

FILE *output_file_stream(OutputFile *file)
{
    static const cookie_io_functions_t functions = {.write = write_stream};

    if (!file->stream) {
        file->stream = fopencookie(file, "w", functions);
        if (!file->stream) {
            g_error("Could not open a stream: no memory"); /* as all of glib does then */
        }
        setvbuf(file->stream, NULL, _IOFBF, BUFFER_SIZE);
    }
    return file->stream;
}

int output_file_descriptor(const OutputFile *file)
{
    return file->fd;
}

char *output_file_open_path(const OutputFile *file)
{
    return file->temporary ? g_strdup(file->temporary) : g_strdup_printf("/proc/self/fd/%d", file->fd);
}

const char *output_file_path(const OutputFile *file)
{
    return file->path;
}

/* 0 or an errno value. */
static int finish_stream(OutputFile *file)
{
    FILE *stream = g_steal_pointer(&file->stream);

    return stream && fclose(stream) != 0 && !file->failure ? errno : file->failure;
}

/* 0 or an errno value, here too. */
static int move_into_place(OutputFile *file)
{
    /* a link cannot replace a file, so a name beside is needed in between */
    if (!file->temporary && create_temporary(file, create_by_link) < 0) {
        return errno;
    }
    /* some file systems tell only now that there was no room */
    if (close(g_steal_fd(&file->fd)) < 0 || rename(file->temporary, file->path) < 0) {
        return errno;
    }
    forget(file);
    return 0;
}

bool output_file_commit(OutputFile *file, GError **errp)
{
    int failure = finish_stream(file);

    if (!failure && !file->direct) {
        failure = move_into_place(file);
    }
    if (failure) {
        set_error(errp, file, failure);
    }
    return !failure;
}

void output_file_free(OutputFile *file)
{
    finish_stream(file);
    if (file->fd >= 0) {
        close(file->fd);
    }
    if (file->temporary) {
        unlink(file->temporary);
        forget(file);
    }
    g_free(file->path);
    g_free(file->shown_path);
    g_free(file);
}
