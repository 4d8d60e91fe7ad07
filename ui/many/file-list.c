/*
 * Lists of file names: see ui/many/file-list.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/many/file-list.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 4096u

/* False and errno set when it cannot be read. */
static bool read_all(int fd, GByteArray *bytes)
{
    ssize_t n;

    do {
        guint size = bytes->len;

        g_byte_array_set_size(bytes, size + CHUNK);
        n = read(fd, bytes->data + size, CHUNK);
        g_byte_array_set_size(bytes, size + (guint)MAX(n, 0));
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0;
}

static bool read_list(const char *path, GByteArray *bytes)
{
    bool standard_input = g_str_equal(path, "-");
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    bool complete = fd >= 0 && read_all(fd, bytes);
    int error = errno;

    if (fd >= 0 && !standard_input) {
        close(fd);
    }
    errno = error;
    return complete;
}

bool file_list_read(const char *path, GPtrArray *names, GError **errp)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    const char *name;
    const char *end;
    char separator;

    if (!read_list(path, bytes)) {
        g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno), "Could not read the list of files '%s': %s",
                    path, g_strerror(errno));
        return false;
    }
    name = (const char *)bytes->data;
    end = name + bytes->len;
    separator = bytes->len && memchr(name, '\0', bytes->len) ? '\0' : '\n';
    while (name < end) {
        const char *behind = memchr(name, separator, (size_t)(end - name));
        size_t length = (size_t)((behind ? behind : end) - name);

        if (length) {
            g_ptr_array_add(names, g_strndup(name, length));
        }
        name += length + 1;
    }
    return true;
}
