/*
 * Words of HTTP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_HTTP_RANGE_H
#define BLOCK_IO_HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* The value of a Content-Range header: "bytes 0-511/1024", "bytes 0-511" + "/" + "*", or "bytes *" + "/1024". */
typedef struct HttpRange {
    bool has_range;
    uint64_t first; /* first and last byte of the body */
    uint64_t last;
    bool has_length;
    uint64_t length; /* of the whole file, bytes, greater than last */
} HttpRange;

/* False if @value, which may have blanks around it, is no range of bytes. */
bool http_range_parse(const char *value, HttpRange *range);

/* What a status of a failed request means, or "". */
const char *http_status_text(long status);

#endif
