/*
 * Reading and writing at a place of a file: the system calls, and what O_DIRECT makes of them.
 *
 * All return how many bytes were read or written, or a negative errno value. O_DIRECT wants offset, size and
 * memory aligned, so those functions go through a buffer of their own, and may do less than they were asked for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_FILE_IO_H
#define BLOCK_IO_FILE_IO_H

#include <stdint.h>
#include <sys/types.h>

#define FILE_IO_DIRECT_ALIGNMENT 4096 /* no device in use asks for more than a page */

ssize_t file_io_read(int fd, void *buffer, size_t size, uint64_t offset);
ssize_t file_io_write(int fd, const void *buffer, size_t size, uint64_t offset);

ssize_t file_io_read_direct(int fd, void *buffer, size_t size, uint64_t offset);

/*
 * @length is that of the file, bytes. What is around the range is read and written with it, so nothing else may
 * write meanwhile. At the end of the file it is written through the page cache: an aligned write would make the file
 * longer than it is to be.
 */
ssize_t file_io_write_direct(int fd, const void *buffer, size_t size, uint64_t offset, uint64_t length);

#endif
