/*
 * A block source over a regular file or a block device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block/io/file-io.h"
#include "block/io/file-locks.h"
#include "block/io/file-reader.h"

typedef struct FileSource {
    BlockSource base;
    int fd;
    bool direct;
    bool no_flush;
    FileReaderKind reader;
    bool rotating;
    pthread_mutex_t stream; /* held while the device is read, if it is a rotating one */
} FileSource;

static ssize_t file_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    FileSource *file = (FileSource *)source;

    return file->direct ? file_io_read_direct(file->fd, buffer, size, offset)
                        : file_io_read(file->fd, buffer, size, offset);
}

static BlockReader *file_reader(BlockSource *source)
{
    FileSource *file = (FileSource *)source;

    return file_reader_new(source, file->fd, file->reader, file->rotating ? &file->stream : NULL);
}

static uint64_t file_next_data(BlockSource *source, uint64_t offset)
{
    off_t next = lseek(((FileSource *)source)->fd, offset, SEEK_DATA);

    if (next < 0) {
        return errno == ENXIO ? source->length : offset; /* holes are not known here: all is data */
    }
    return next;
}

static uint64_t file_next_hole(BlockSource *source, uint64_t offset)
{
    off_t next = lseek(((FileSource *)source)->fd, offset, SEEK_HOLE);

    return next < 0 ? source->length : (uint64_t)next;
}

/* A device does not tell of writes. */
static BlockSourceState file_state(BlockSource *source)
{
    BlockSourceState state = {.length = source->length};
    struct stat st;

    if (fstat(((FileSource *)source)->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        state.length = st.st_size;
        state.changed_at = st.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + st.st_mtim.tv_nsec;
    }
    return state;
}

static ssize_t file_write_at(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    FileSource *file = (FileSource *)source;

    return file->direct ? file_io_write_direct(file->fd, buffer, size, offset, source->length)
                        : file_io_write(file->fd, buffer, size, offset);
}

static int file_flush(BlockSource *source)
{
    FileSource *file = (FileSource *)source;

    return file->no_flush || fdatasync(file->fd) == 0 ? 0 : -errno;
}

/* A device has the length it has, whatever ftruncate() may say of it. */
static int file_truncate(BlockSource *source, uint64_t length)
{
    FileSource *file = (FileSource *)source;
    struct stat st;

    if (fstat(file->fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return length > source->length ? -ENOSPC : -ENOTSUP;
    }
    return ftruncate(file->fd, length) == 0 ? 0 : -errno;
}

/* What refuses to make a hole says so in several ways, and loses nothing but space. */
static int file_punch(BlockSource *source, uint64_t offset, uint64_t size)
{
    if (fallocate(((FileSource *)source)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size) == 0) {
        return 0;
    }
    return errno == ENOSYS || errno == ENODEV || errno == EINVAL || errno == EPERM ? -EOPNOTSUPP : -errno;
}

static void file_close(BlockSource *source)
{
    FileSource *file = (FileSource *)source;

    close(file->fd);
    pthread_mutex_destroy(&file->stream);
    g_free(file);
}

static const BlockSourceOps file_ops = {
    .read_at = file_read_at,
    .reader_new = file_reader,
    .next_data = file_next_data,
    .next_hole = file_next_hole,
    .write_at = file_write_at,
    .flush = file_flush,
    .truncate = file_truncate,
    .punch = file_punch,
    .state = file_state,
    .close = file_close,
};

/* A device knows no holes: lseek() has none to tell of, whatever lies below the device. */
static const BlockSourceOps device_ops = {
    .read_at = file_read_at,
    .reader_new = file_reader,
    .write_at = file_write_at,
    .flush = file_flush,
    .truncate = file_truncate,
    .punch = file_punch,
    .state = file_state,
    .close = file_close,
};

/* The length of the open file, or -1 and @errp set where the file is nothing that can hold an image. */
static int64_t file_length(int fd, const char *path, GError **errp)
{
    struct stat st;
    int64_t length = -1;

    if (fstat(fd, &st) == 0) {
        if (S_ISCHR(st.st_mode)) {
            return 0; /* taken for empty, as a read could wait for ever */
        }
        if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
            g_set_error(errp, BLOCK_ERROR, EINVAL, "'file' driver requires '%s' to be a regular file", path);
            return -1;
        }
        length = lseek(fd, 0, SEEK_END);
    }
    if (length < 0) {
        g_set_error(errp, BLOCK_ERROR, errno, "Could not get image size: %s", g_strerror(errno));
    }
    return length;
}

/* The device's own word for @device, a whole disk or a partition of one; NULL where there is none. */
static char *queue_attribute(dev_t device, const char *name)
{
    static const char *const places[] = {"queue", "../queue"};
    char *text = NULL;

    for (size_t i = 0; !text && i < G_N_ELEMENTS(places); i++) {
        g_autofree char *path =
            g_strdup_printf("/sys/dev/block/%u:%u/%s/%s", major(device), minor(device), places[i], name);

        g_file_get_contents(path, &text, NULL, NULL);
    }
    return text;
}

/* Returns true if the file lies on a disk that spins. A virtual disk calls itself rotating whatever is behind it. */
static bool is_rotating(int fd)
{
    struct stat st;
    dev_t device;
    g_autofree char *rotational = NULL;
    g_autofree char *link = NULL;
    g_autofree char *where = NULL;

    if (fstat(fd, &st) < 0) {
        return false;
    }
    device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
    rotational = queue_attribute(device, "rotational");
    link = g_strdup_printf("/sys/dev/block/%u:%u", major(device), minor(device));
    where = g_file_read_link(link, NULL);
    return rotational && *rotational == '1' && where && !strstr(where, "/virtio");
}

static bool is_device(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
}

/* The kernel may open a write-protected device for writing, and refuse each write. */
static bool refuses_writes(int fd)
{
    int protected = 0;

    return is_device(fd) && ioctl(fd, BLKROGET, &protected) == 0 && protected;
}

static int open_flags(const FileOptions *options)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. It means nothing to files and devices. */
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (options->writable ? O_RDWR : O_RDONLY);

    flags |= options->create ? O_CREAT | O_EXCL : 0;
    return flags | (options->direct ? O_DIRECT : 0) | (options->sync ? O_DSYNC : 0);
}

static FileUse file_use(const FileOptions *options)
{
    if (options->writable) {
        return FILE_USE_REPAIR;
    }
    return options->force_share ? FILE_USE_SHARED : FILE_USE_CHECK;
}

BlockSource *block_source_open_file(const char *path, const FileOptions *options, GError **errp)
{
    FileSource *file;
    int64_t length;
    int fd;

    if (*path == '\0') {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "The 'file' block driver requires a file name");
        return NULL;
    }
    if (options->writable && options->force_share) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "force-share=on can only be used with read-only images");
        return NULL;
    }
    fd = open(path, open_flags(options), S_IRUSR | S_IWUSR);
    if (fd < 0) {
        bool refuses_direct = options->direct && errno == EINVAL;

        g_set_error(errp, BLOCK_ERROR, errno, "Could not open '%s': %s", path,
                    refuses_direct ? "filesystem does not support O_DIRECT" : g_strerror(errno));
        return NULL;
    }
    if (options->writable && refuses_writes(fd)) {
        g_set_error(errp, BLOCK_ERROR, EACCES, "The device is not writable: %s", g_strerror(EACCES));
        close(fd);
        return NULL;
    }
    length = file_length(fd, path, errp);
    if (length < 0 || (!options->no_locking && !file_locks_take(fd, file_use(options), path, errp))) {
        if (options->create) {
            unlink(path);
        }
        close(fd);
        return NULL;
    }
    file = g_new(FileSource, 1);
    *file = (FileSource){
        .base = {.ops = is_device(fd) ? &device_ops : &file_ops,
                 .length = length,
                 .writable = options->writable,
                 .fixed_length = is_device(fd),
                 .alignment = options->direct ? FILE_IO_DIRECT_ALIGNMENT : 0},
        .fd = fd,
        .direct = options->direct,
        .no_flush = options->no_flush,
        .reader = options->reader,
        .rotating = is_rotating(fd),
    };
    pthread_mutex_init(&file->stream, NULL);
    return &file->base;
}
