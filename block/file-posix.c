/*
 * A block source over a regular file or a block device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block/file-reader.h"

/* O_DIRECT wants offset, length and memory aligned; no device in use asks for more than a page. */
#define DIRECT_ALIGNMENT 4096
#define DIRECT_BUFFER    (1u << 20)

/*
 * Programs that share an image agree by locks on single bytes of it: byte 100 + n says "I use permission n",
 * byte 200 + n says "nobody else may".
 */
enum {
    USES_CONSISTENT_READ = 100,
    USES_WRITE = 101,
    USES_RESIZE = 103,
    FORBIDS_CONSISTENT_READ = 200,
    FORBIDS_WRITE = 201,
    FORBIDS_RESIZE = 203,
};

typedef struct LockTest {
    int byte;
    const char *wish; /* what another holder of the byte denies us, in the words of the message */
} LockTest;

typedef struct FileSource {
    BlockSource base;
    int fd;
    bool direct;
    FileReaderKind reader;
    bool rotating;
    pthread_mutex_t stream; /* held while the device is read, if it is a rotating one */
} FileSource;

static ssize_t pread_all_signals(int fd, void *buffer, size_t size, uint64_t offset)
{
    ssize_t n;

    do {
        n = pread(fd, buffer, size, offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Reads through an aligned buffer, at most DIRECT_BUFFER bytes at a time. */
static ssize_t pread_direct(int fd, void *buffer, size_t size, uint64_t offset)
{
    size_t skip = offset % DIRECT_ALIGNMENT;
    size_t wanted = MIN(skip + size, DIRECT_BUFFER);
    size_t aligned = (wanted + DIRECT_ALIGNMENT - 1) / DIRECT_ALIGNMENT * DIRECT_ALIGNMENT;
    void *bounce = NULL;
    ssize_t n;

    if (posix_memalign(&bounce, DIRECT_ALIGNMENT, aligned) != 0) {
        return -ENOMEM;
    }
    n = pread_all_signals(fd, bounce, aligned, offset - skip);
    if (n >= 0) {
        n = MIN((size_t)n, wanted);
        n = (size_t)n > skip ? n - skip : 0;
        memcpy(buffer, (char *)bounce + skip, n);
    }
    free(bounce);
    return n;
}

static ssize_t file_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    FileSource *file = (FileSource *)source;

    return file->direct ? pread_direct(file->fd, buffer, size, offset)
                        : pread_all_signals(file->fd, buffer, size, offset);
}

static BlockReader *file_reader(BlockSource *source)
{
    FileSource *file = (FileSource *)source;

    /* io_uring would need aligned buffers here */
    return file->direct ? thread_reader_new(source)
                        : file_reader_new(source, file->fd, file->reader, file->rotating ? &file->stream : NULL);
}

static uint64_t file_next_data(BlockSource *source, uint64_t offset)
{
    off_t next = lseek(((FileSource *)source)->fd, offset, SEEK_DATA);

    if (next < 0) {
        return errno == ENXIO ? source->length : offset; /* holes are not known here: all is data */
    }
    return next;
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
    .close = file_close,
};

static struct flock lock_of_byte(int byte, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

/* A file system without locks is no obstacle: nobody else can have announced anything there either. */
static bool lock_bytes(int fd, const int *bytes, size_t n, GError **errp)
{
    for (size_t i = 0; i < n; i++) {
        struct flock lock = lock_of_byte(bytes[i], F_RDLCK);

        if (fcntl(fd, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES)) {
            g_set_error(errp, BLOCK_ERROR, EAGAIN, "Failed to lock byte %d", bytes[i]);
            return false;
        }
    }
    return true;
}

static bool test_bytes(int fd, const LockTest *tests, size_t n, const char *path, GError **errp)
{
    for (size_t i = 0; i < n; i++) {
        struct flock lock = lock_of_byte(tests[i].byte, F_WRLCK);

        if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
            g_set_error(errp, BLOCK_ERROR, EAGAIN, "Failed to get %s lock\nIs another process using the image [%s]?",
                        tests[i].wish, path);
            return false;
        }
    }
    return true;
}

/*
 * Own locks come first and the test of others' after: of two programs that start at once, one at least sees
 * the other.
 */
static bool take_locks(int fd, bool force_share, const char *path, GError **errp)
{
    static const int bytes[] = {USES_CONSISTENT_READ, FORBIDS_WRITE, FORBIDS_RESIZE};
    static const LockTest tests[] = {
        {FORBIDS_CONSISTENT_READ, "\"consistent read\""},
        {USES_WRITE, "shared \"write\""},
        {USES_RESIZE, "shared \"resize\""},
    };

    /* Who shares with writers only reads, and forbids nothing. */
    return lock_bytes(fd, bytes, force_share ? 1 : G_N_ELEMENTS(bytes), errp) &&
           test_bytes(fd, tests, force_share ? 1 : G_N_ELEMENTS(tests), path, errp);
}

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

/* True where the file lies on a disk that spins. A virtual disk calls itself rotating whatever is behind it. */
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

BlockSource *block_source_open_file(const char *path, const FileOptions *options, GError **errp)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. It means nothing to files and devices. */
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (options->direct ? O_DIRECT : 0);
    FileSource *file;
    int64_t length;
    int fd;

    if (*path == '\0') {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "The 'file' block driver requires a file name");
        return NULL;
    }
    fd = open(path, flags);
    if (fd < 0) {
        bool refuses_direct = options->direct && errno == EINVAL;

        g_set_error(errp, BLOCK_ERROR, errno, "Could not open '%s': %s", path,
                    refuses_direct ? "filesystem does not support O_DIRECT" : g_strerror(errno));
        return NULL;
    }
    length = file_length(fd, path, errp);
    if (length < 0 || (!options->no_locking && !take_locks(fd, options->force_share, path, errp))) {
        close(fd);
        return NULL;
    }
    file = g_new(FileSource, 1);
    *file = (FileSource){
        .base = {.ops = &file_ops, .length = length},
        .fd = fd,
        .direct = options->direct,
        .reader = options->reader,
        .rotating = is_rotating(fd),
    };
    pthread_mutex_init(&file->stream, NULL);
    return &file->base;
}
