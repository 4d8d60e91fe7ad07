/*
 * The stock tool's check of a file, as oracle for the reader and so for the program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_STOCK_H
#define TESTS_PROOF_SMALL_STOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "reader.h"

/*
 * Runs @program check on the file at @path, which has the image that @reader has read. How the tool differs from the
 * reader; to be freed, or NULL. *@crashed: it was ended by a signal, which is no difference.
 */
char *stock_differs(const char *program, const char *path, const ReaderResult *reader, bool *crashed);

#endif
