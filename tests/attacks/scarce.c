/*
 * Memory that is short for a moment. Preloaded, it has one allocation of the program fail, counted from when main()
 * looks at its options. For tests/attacks/run.
 *
 *     SCARCE_AT    which allocation fails, 1 the first
 *     SCARCE_ALL   if set, all of as many bytes and more fail that come after it, too, and smaller ones never do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* what the C library calls them itself; dlsym() would allocate */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);

static long left; /* allocations until it fails; 0 = not yet begun, or over */
static size_t all;

static bool is_short(size_t size)
{
    long before = size < all ? 0 : __atomic_load_n(&left, __ATOMIC_RELAXED);

    if (before == 0 || (before > 1 && __atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) > 0)) {
        return false;
    }
    __atomic_store_n(&left, all != 0, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return is_short(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return is_short(n * size) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    return is_short(size) ? NULL : __libc_realloc(memory, size);
}

int getopt_long(int argc, char *const *argv, const char *shorts, const struct option *longs, int *index)
{
    static int (*real)(int, char *const *, const char *, const struct option *, int *);

    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "getopt_long");
        const char *at = getenv("SCARCE_AT"), *least = getenv("SCARCE_ALL");

        memcpy(&real, &symbol, sizeof(real));
        all = least ? strtoul(least, NULL, 10) : 0;
        left = at ? atol(at) + 1 : 0;
    }
    return real(argc, argv, shorts, longs, index);
}
