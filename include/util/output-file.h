/*
 * A file that is there as a whole or not at all: written beside its place, and put there at the end.
 *
 * Until output_file_commit() the file has no name where the file system can do that, so that a process that is killed
 * leaves nothing behind; elsewhere it is a hidden file in the same folder, which is removed when SIGHUP, SIGINT or
 * SIGTERM ends the process, and stays when SIGKILL does. A file that was at its place before is replaced in one step,
 * keeps its permissions, and is as it was when anything fails. Nothing is flushed to the disk: a power failure is not
 * what this guards against.
 *
 * Where a pipe or a character device has the name, it is written to directly, and has what was written until then when
 * something fails. A symbolic link is followed.
 *
 * Paths are the caller's. Errors are of G_FILE_ERROR, name the path and say why. Each file is one thread's.
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
 * Begins the file @path. A file that is there already is replaced only if it is empty or begins with the bytes
 * @signature, since it may be the disk image, given by mistake; NULL: whatever it is. NULL and @errp set when @path
 * cannot become the file.
 */
OutputFile *output_file_new(const char *path, const char *signature, GError **errp);

/*
 * Two ways to write, of which a caller takes one. The stream is buffered, and its errors need not be looked at:
 * output_file_commit() tells the first of them. The descriptor is for who wants to seek and minds errors himself.
 */
FILE *output_file_stream(OutputFile *file);
int output_file_descriptor(const OutputFile *file);

/* Where it goes, links followed. Before it is committed the folder of this must be writable. */
const char *output_file_path(const OutputFile *file);

/* Writes what the stream still has, and puts the file at its place. False, and nothing is there, on any error. */
bool output_file_commit(OutputFile *file, GError **errp);

/* Removes what has a name and is not complete, of all files. For who ends the process; may be called by a signal
 * handler. */
void output_files_abandon(void);

/* In any case the last call. A file that was not committed is gone. */
void output_file_free(OutputFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputFile, output_file_free)

#endif
