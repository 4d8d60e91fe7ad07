/*
 * Readers for files: many reads in flight from one thread.
 *
 * What the page cache has is read at once; the rest goes through io_uring, or through threads that read where the
 * kernel or a sandbox refuses io_uring. Where the file was opened with O_DIRECT, a request that is not aligned is read
 * when it is submitted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_FILE_READER_H
#define BLOCK_IO_FILE_READER_H

#include <pthread.h>

#include "block/source.h"

/*
 * A reader over @fd, which belongs to @source. Where @stream is not NULL, all readers of the source together have one
 * read of the device at a time, and hold it meanwhile: rotating media are fastest so.
 */
BlockReader *file_reader_new(BlockSource *source, int fd, FileReaderKind how, pthread_mutex_t *stream);

/* A reader over any source whose read_at may be called by several threads at once. */
BlockReader *thread_reader_new(BlockSource *source);

#endif
