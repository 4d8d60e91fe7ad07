/*
 * The two forms of a metadata image: a sparse file of the image's length, and a stream for pipes, from which such a
 * file can be restored (docs/interop/metadata-stream.rst).
 *
 * Functions return false or NULL and set @errp on failure. Not thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_IMAGE_METADATA_FILE_H
#define UI_IMAGE_METADATA_FILE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ui/image/compressor.h"

typedef struct MetadataFile MetadataFile;

/*
 * Creates the file @path, for an image of @length bytes; "-" begins a stream on stdout. With @compress it is a stream
 * that is compressed, also in a file. Fails if the file exists and is not empty.
 */
MetadataFile *metadata_file_new(const char *path, uint64_t length, const CompressorOps *compress, GError **errp);

/* Writes @size bytes, 1 to 2^21, at @offset. They replace bytes written there before. */
bool metadata_file_write(MetadataFile *file, uint64_t offset, const void *bytes, size_t size, GError **errp);

/* Completes the file, and gives it its name. */
bool metadata_file_commit(MetadataFile *file, GError **errp);

/* Frees @file, and removes it unless it was completed. */
void metadata_file_free(MetadataFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MetadataFile, metadata_file_free)

/* A stream from which a file is restored. */
typedef struct MetadataStream MetadataStream;

/* Reads the beginning of a stream from @in, which it borrows, and creates the file @path. Opens nothing later. */
MetadataStream *metadata_stream_new(FILE *in, const char *path, GError **errp);

/* Reads the rest, and gives the file its name. Sets *@written to the bytes of metadata in it. */
bool metadata_stream_restore(MetadataStream *stream, uint64_t *written, GError **errp);

void metadata_stream_free(MetadataStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MetadataStream, metadata_stream_free)

#endif
