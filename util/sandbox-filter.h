/*
 * The seccomp filters, which util/make-sandbox-filter.c generates when the program is built.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SANDBOX_FILTER_H
#define UTIL_SANDBOX_FILTER_H

#include <linux/filter.h>

/* What a filter allows in addition to reading and writing open files; the sum of these is the index of the filter. */
enum {
    SANDBOX_PASS_FILES = 1, /* opening, renaming and removing files */
    SANDBOX_PASS_RING = 2,  /* io_uring */
    SANDBOX_PASS_NETWORK = 4,
    SANDBOX_FILTERS = 8
};

extern const struct sock_fprog sandbox_filters[SANDBOX_FILTERS];

#endif
