/*
 * The two forms of a metadata image: a sparse file of the image's length, and a stream for pipes, which can be made
 * into such a file (docs/interop/metadata-stream.rst).
 *
 * Each function that can fail returns false and sets @errp. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_IMAGE_METADATA_FILE_H
#define UI_IMAGE_METADATA_FILE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct MetadataFile MetadataFile;

/*
 * Begins the file @path, or the stream where that is "-", on stdout; @length is that of the image, bytes. A file that
 * is there already is not overwritten, unless it is empty.
 */
MetadataFile *metadata_file_new(const char *path, uint64_t length, GError **errp);

/* Puts @size bytes (1 .. 2^21) at @offset. Later ones replace earlier ones. */
bool metadata_file_write(MetadataFile *file, uint64_t offset, const void *bytes, size_t size, GError **errp);

/* Ends it: only now the file has its name. */
bool metadata_file_commit(MetadataFile *file, GError **errp);

void metadata_file_free(MetadataFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MetadataFile, metadata_file_free)

/* A stream that is being made a file again. */
typedef struct MetadataStream MetadataStream;

/* Reads the beginning of a stream from @in, which is borrowed, and opens the file at @path. Nothing else is opened. */
MetadataStream *metadata_stream_new(FILE *in, const char *path, GError **errp);

/* Reads the rest, and gives the file its name; *@written gets the bytes in it. */
bool metadata_stream_restore(MetadataStream *stream, uint64_t *written, GError **errp);

void metadata_stream_free(MetadataStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MetadataStream, metadata_stream_free)

#endif
