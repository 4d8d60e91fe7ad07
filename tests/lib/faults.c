/*
 * An environment in which one call fails. Preloaded, it counts the program's calls of each class, from when main()
 * looks at its options, and has one of them fail. For tests/proof/faults and tests/attacks/run.
 *
 *     FAULT_CLASS   the class of the call: a name in classes[]
 *     FAULT_AT      which call of that class fails, 1 the first
 *     FAULT_ALL     for memory: all allocations of as many bytes and more that come after it fail, too, and smaller
 *                   ones never do
 *     FAULT_COUNTS  a file that is filled with the number of calls of each class, in the order of classes[], 8 bytes
 *                   each
 *
 * A program with AddressSanitizer has a malloc() of its own, which comes before this one: there the functions of GLib
 * fail that can return NULL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

typedef enum Class { MEMORY, READ, WRITE, FLUSH, LENGTH, LOCK, THREAD, OPEN, STAT, SEEK, MAP, NAME, N_CLASSES } Class;

static const struct {
    const char *name;
    int error;
} classes[N_CLASSES] = {
    [MEMORY] = {"memory", ENOMEM}, [READ] = {"read", EIO},    [WRITE] = {"write", ENOSPC},   [FLUSH] = {"flush", EIO},
    [LENGTH] = {"length", EIO},    [LOCK] = {"lock", ENOLCK}, [THREAD] = {"thread", EAGAIN}, [OPEN] = {"open", EMFILE},
    [STAT] = {"stat", EIO},        [SEEK] = {"seek", EIO},    [MAP] = {"map", ENOMEM},       [NAME] = {"name", EACCES},
};

#define MAX(a, b) ((a) > (b) ? (a) : (b))

static bool begun;
static bool has_own_malloc; /* the program */
static Class failing = N_CLASSES;
static uint64_t at;
static size_t all;
static uint64_t own_counts[N_CLASSES];
static uint64_t *counts = own_counts;

/* GLib ends by a signal where it gets no memory for a key of a thread's data, which is as long as this. */
#define LEAST (sizeof(pthread_key_t) + 1)

/* Count a call. Return true, with errno set, if it is to fail. */
static bool fails(Class class)
{
    uint64_t number = begun ? __atomic_add_fetch(&counts[class], 1, __ATOMIC_RELAXED) : 0;

    if (!begun || class != failing || (all ? number < at : number != at)) {
        return false;
    }
    errno = classes[class].error;
    return true;
}

/* The function of this name that is behind ours. */
#define REAL(name)                                                                                                     \
    static __typeof__(&(name)) real;                                                                                   \
    if (!real) {                                                                                                       \
        void *symbol = dlsym(RTLD_NEXT, #name);                                                                        \
        memcpy(&real, &symbol, sizeof(real));                                                                          \
    }

/* what the C library calls them itself; dlsym() would allocate */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    return size >= MAX(all, LEAST) && fails(MEMORY) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return n * size >= MAX(all, LEAST) && fails(MEMORY) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    return size >= MAX(all, LEAST) && fails(MEMORY) ? NULL : __libc_realloc(memory, size);
}

/* ---- GLib's, where malloc() is not ours ---- */

void *g_try_malloc(size_t size);
void *g_try_malloc0(size_t size);
void *g_try_malloc_n(size_t n, size_t size);
void *g_try_malloc0_n(size_t n, size_t size);
void *g_try_realloc(void *memory, size_t size);
void *g_try_realloc_n(void *memory, size_t n, size_t size);

static bool fails_by_name(void)
{
    return has_own_malloc && fails(MEMORY);
}

void *g_try_malloc(size_t size)
{
    REAL(g_try_malloc)
    return fails_by_name() ? NULL : real(size);
}

void *g_try_malloc0(size_t size)
{
    REAL(g_try_malloc0)
    return fails_by_name() ? NULL : real(size);
}

void *g_try_malloc_n(size_t n, size_t size)
{
    REAL(g_try_malloc_n)
    return fails_by_name() ? NULL : real(n, size);
}

void *g_try_malloc0_n(size_t n, size_t size)
{
    REAL(g_try_malloc0_n)
    return fails_by_name() ? NULL : real(n, size);
}

void *g_try_realloc(void *memory, size_t size)
{
    REAL(g_try_realloc)
    return fails_by_name() ? NULL : real(memory, size);
}

void *g_try_realloc_n(void *memory, size_t n, size_t size)
{
    REAL(g_try_realloc_n)
    return fails_by_name() ? NULL : real(memory, n, size);
}

/* ---- of the C library ---- */

/* GLib 2.74 takes less than a page at a time for its pieces of memory, and ends by a signal if it gets none. */
int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = size >= MAX(all, 4096) && fails(MEMORY) ? NULL : __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

ssize_t read(int fd, void *buffer, size_t size)
{
    REAL(read)
    return fails(READ) ? -1 : real(fd, buffer, size);
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t offset)
{
    REAL(pread64)
    return fails(READ) ? -1 : real(fd, buffer, size, offset);
}

/* What asks the page cache: it has nothing, so that all reads come by above. */
ssize_t preadv64v2(int fd, const struct iovec *parts, int n, off_t offset, int flags)
{
    errno = EOPNOTSUPP;
    return -1;
}

ssize_t write(int fd, const void *buffer, size_t size)
{
    REAL(write)
    return fd != STDERR_FILENO && fails(WRITE) ? -1 : real(fd, buffer, size);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev)
    return fails(WRITE) ? -1 : real(fd, parts, n);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off_t offset)
{
    REAL(pwrite64)
    return fails(WRITE) ? -1 : real(fd, buffer, size, offset);
}

int fsync(int fd)
{
    REAL(fsync)
    return fails(FLUSH) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    return fails(FLUSH) ? -1 : real(fd);
}

int ftruncate64(int fd, off_t length)
{
    REAL(ftruncate64)
    return fails(LENGTH) ? -1 : real(fd, length);
}

int fallocate64(int fd, int mode, off_t offset, off_t length)
{
    REAL(fallocate64)
    return fails(LENGTH) ? -1 : real(fd, mode, offset, length);
}

int fcntl64(int fd, int command, ...)
{
    REAL(fcntl64)
    va_list arguments;
    void *argument;

    va_start(arguments, command);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    return fails(LOCK) ? -1 : real(fd, command, argument);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *opaque)
{
    REAL(pthread_create)
    return fails(THREAD) ? EAGAIN : real(thread, attributes, start, opaque);
}

int open64(const char *path, int flags, ...)
{
    REAL(open64)
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails(OPEN) ? -1 : real(path, flags, mode);
}

int memfd_create(const char *name, unsigned flags)
{
    REAL(memfd_create)
    return fails(OPEN) ? -1 : real(name, flags);
}

int fstat64(int fd, struct stat64 *st)
{
    REAL(fstat64)
    return fails(STAT) ? -1 : real(fd, st);
}

int stat64(const char *path, struct stat64 *st)
{
    REAL(stat64)
    return fails(STAT) ? -1 : real(path, st);
}

off_t lseek64(int fd, off_t offset, int whence)
{
    REAL(lseek64)
    return fails(SEEK) ? -1 : real(fd, offset, whence);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap64)
    return fails(MAP) ? MAP_FAILED : real(address, length, protection, flags, fd, offset);
}

int linkat(int old_folder, const char *old, int new_folder, const char *new, int flags)
{
    REAL(linkat)
    return fails(NAME) ? -1 : real(old_folder, old, new_folder, new, flags);
}

int rename(const char *old, const char *new)
{
    REAL(rename)
    return fails(NAME) ? -1 : real(old, new);
}

static void begin(void)
{
    const char *class = getenv("FAULT_CLASS"), *number = getenv("FAULT_AT"), *least = getenv("FAULT_ALL");
    const char *file = getenv("FAULT_COUNTS");
    int fd = file ? open64(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd >= 0 && ftruncate64(fd, sizeof(own_counts)) == 0) {
        void *shared = mmap64(NULL, sizeof(own_counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        counts = shared == MAP_FAILED ? own_counts : shared;
        close(fd);
    }
    has_own_malloc = dlsym(RTLD_DEFAULT, "__asan_init");
    at = number ? strtoull(number, NULL, 10) : 0;
    all = least ? strtoul(least, NULL, 10) : 0;
    for (Class c = 0; class && c < N_CLASSES; c++) {
        failing = strcmp(class, classes[c].name) ? failing : c;
    }
    begun = true;
}

int getopt_long(int argc, char *const *argv, const char *shorts, const struct option *longs, int *index)
{
    REAL(getopt_long)
    if (!begun) {
        begin();
    }
    return real(argc, argv, shorts, longs, index);
}
