/*
 * Filters of system calls, made when the program is built: util/make-sandbox-filter.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SANDBOX_FILTER_H
#define UTIL_SANDBOX_FILTER_H

#include <linux/filter.h>

/* What a filter lets pass besides reading and writing what is open; a set of these is the number of the filter. */
enum {
    SANDBOX_PASS_FILES = 1, /* opening, renaming and removing files */
    SANDBOX_PASS_RING = 2,  /* io_uring */
    SANDBOX_PASS_NETWORK = 4,
    SANDBOX_FILTERS = 8
};

extern const struct sock_fprog sandbox_filters[SANDBOX_FILTERS];

#endif
