/*
 * A file that appears at its path complete or not at all.
 *
 * Until output_file_commit() the file has no name if the file system allows that, so that a killed process leaves
 * nothing behind. Elsewhere it is a hidden file in the same folder, which SIGHUP, SIGINT and SIGTERM remove, and
 * SIGKILL leaves. An existing file is replaced in one step, and stays as it was on failure; its permissions are kept.
 * Nothing is flushed to the disk, so a power failure can lose the file.
 *
 * A pipe or a character device at the path is written directly, and keeps what was written before a failure. Symbolic
 * links are followed.
 *
 * The caller keeps the path alive. Errors are of G_FILE_ERROR, and name path and reason. Use a file in one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_OUTPUT_FILE_H
#define UTIL_OUTPUT_FILE_H

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct OutputFile OutputFile;

/*
 * Begins the file @path. An existing file is replaced only if it is empty or begins with the bytes @signature, as it
 * may be the disk image, named by mistake; with NULL it is always replaced. Returns NULL and sets @errp on failure.
 */
OutputFile *output_file_new(const char *path, const char *signature, GError **errp);

/*
 * Two ways to write, of which a caller uses one. The stream is buffered, and output_file_commit() returns its first
 * error. With the descriptor a caller can seek, and has to check errors.
 */
FILE *output_file_stream(OutputFile *file);
int output_file_descriptor(const OutputFile *file);

/* Returns a path by which the file can be opened once more until the commit. The caller frees it. */
char *output_file_open_path(const OutputFile *file);

/* Returns the path with links followed; its folder has to be writable until the commit. It belongs to @file. */
const char *output_file_path(const OutputFile *file);

/* Flushes the stream, and gives the file its path. Returns false, sets @errp and leaves no file on failure. */
bool output_file_commit(OutputFile *file, GError **errp);

/* Removes the hidden files of all that were not committed, for the end of the process. Safe in a signal handler. */
void output_files_abandon(void);

/* Frees @file, and removes it unless it was committed. */
void output_file_free(OutputFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputFile, output_file_free)

#endif
