/*
 * The image that a rescue makes: see ui/rescue/new-image.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/rescue/new-image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/output-file.h"
#include "util/zeros.h"

#define COPY_SIZE ((size_t)1 << 20)
#define HOLE_SIZE 4096u /* the usual unit of holes in files */

struct NewImage {
    OutputFile *file;
    BlockSource *source;
    bool shared; /* its blocks are those of the source */
};

/* ---- the file ---- */

static bool may_replace(const char *path, const char *source_path, bool overwrite, GError **errp)
{
    struct stat st, source;

    if (stat(path, &st) < 0) {
        return true; /* other failures show when the file is opened */
    }
    if (!S_ISREG(st.st_mode)) {
        g_set_error(errp, BLOCK_ERROR, EEXIST, "Will not write to '%s': it is no regular file", path);
        return false;
    }
    if (source_path && stat(source_path, &source) == 0 && source.st_dev == st.st_dev && source.st_ino == st.st_ino) {
        g_set_error(errp, BLOCK_ERROR, EEXIST, "'%s' is the source, which is only read: give another name", path);
        return false;
    }
    if (!overwrite) {
        g_set_error(errp, BLOCK_ERROR, EEXIST,
                    "Will not overwrite '%s': remove it, give another name, or use --overwrite", path);
    }
    return overwrite;
}

/* True if the new file has the blocks of the file at @path now. It has its own as soon as one of the two changes. */
static bool share_blocks(const NewImage *image, const char *path)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    bool shared = fd >= 0 && ioctl(output_file_descriptor(image->file), FICLONE, fd) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return shared;
}

NewImage *new_image_begin(const char *path, const char *source_path, bool overwrite, GError **errp)
{
    g_autoptr(NewImage) image = g_new0(NewImage, 1);
    FileOptions how = {.writable = true, .no_locking = true};
    g_autofree char *name = NULL;

    if (!may_replace(path, source_path, overwrite, errp)) {
        return NULL;
    }
    image->file = output_file_new(path, NULL, errp);
    if (!image->file) {
        return NULL;
    }
    image->shared = share_blocks(image, source_path);
    name = output_file_open_path(image->file);
    image->source = block_source_open_file(name, &how, errp);
    return image->source ? g_steal_pointer(&image) : NULL;
}

/* ---- the copy ---- */

/* Writes what is no zeros of the @size bytes at @bytes. Returns 0 or a negative errno value. */
static int write_data(NewImage *image, const char *bytes, size_t size, uint64_t offset)
{
    size_t from = 0;
    int error = 0;

    for (size_t at = 0; !error && at <= size; at += HOLE_SIZE) {
        bool data = at < size && !is_zeros(bytes + at, MIN(HOLE_SIZE, size - at));

        if (!data) {
            error =
                at > from ? block_source_write(image->source, bytes + from, MIN(at, size) - from, offset + from) : 0;
            from = at + HOLE_SIZE;
        }
    }
    if (!error && from < size) {
        error = block_source_write(image->source, bytes + from, size - from, offset + from);
    }
    return error;
}

static uint64_t next_data(BlockSource *source, uint64_t at)
{
    uint64_t data = source->ops->next_data ? source->ops->next_data(source, at) : at;

    return MAX(at, data / HOLE_SIZE * HOLE_SIZE);
}

/* What cannot be read stays a hole; the plan has a note of it. */
static int copy_part(NewImage *image, BlockSource *source, uint64_t at, size_t size, char *buffer)
{
    if (block_source_read(source, buffer, size, at) == 0) {
        return write_data(image, buffer, size, at);
    }
    for (size_t done = 0; done < size; done += HOLE_SIZE) {
        size_t part = MIN(HOLE_SIZE, size - done);
        int error =
            block_source_read(source, buffer, part, at + done) == 0 ? write_data(image, buffer, part, at + done) : 0;

        if (error) {
            return error;
        }
    }
    return 0;
}

bool new_image_copy(NewImage *image, BlockSource *source, GError **errp)
{
    g_autofree char *buffer = g_malloc(COPY_SIZE);
    int error = 0;

    if (image->shared && image->source->length == source->length) {
        return true;
    }
    error = block_source_truncate(image->source, source->length);
    for (uint64_t at = next_data(source, 0); !error && at < source->length; at = next_data(source, at)) {
        size_t size = MIN(COPY_SIZE, source->length - at);

        error = copy_part(image, source, at, size, buffer);
        at += size;
    }
    if (error) {
        g_set_error(errp, BLOCK_ERROR, -error, "Could not copy the source: %s", g_strerror(-error));
        return false;
    }
    return true;
}

/* ---- the end ---- */

BlockSource *new_image_source(NewImage *image)
{
    return image->source;
}

bool new_image_commit(NewImage *image, GError **errp)
{
    int error = block_source_flush(image->source);

    if (error) {
        g_set_error(errp, BLOCK_ERROR, -error, "Could not flush the new image: %s", g_strerror(-error));
        return false;
    }
    return output_file_commit(image->file, errp);
}

void new_image_free(NewImage *image)
{
    g_clear_pointer(&image->source, block_source_close);
    g_clear_pointer(&image->file, output_file_free);
    g_free(image);
}
