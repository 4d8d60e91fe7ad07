/*
 * How much work a program did: the comparisons that it made, of numbers and in switches, but for those that only end
 * a loop. The same program and input make the same number on an idle machine and on a busy one, which time does not.
 *
 * Counted is what a build for fuzzing has instrumented, which leaves out libraries and modules. A program is linked
 * with work_dep of meson.build. Where the environment variable WORK_FILE names a file, a program writes the number
 * there when it ends by itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_WORK_H
#define TESTS_LIB_WORK_H

#include <stdint.h>

/* Comparisons since the program began, by all threads; up to WORK_BATCH less for each thread. */
uint64_t work_done(void);

#define WORK_BATCH 256

#endif
