/*
 * The qcow2 header and its extensions, with the stock tool's message where they are refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_PARSE_HEADER_H
#define BLOCK_QCOW2_LOAD_PARSE_HEADER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"

/*
 * Reads the header from the first @size bytes of an image (at least 112; zeros where the file is shorter).
 * False and @errp set when it is refused.
 *
 * Names of unknown features come from an extension, which may lie anywhere in cluster 0: where @size is less
 * than that, they may be missing from the message.
 */
bool qcow2_parse_header(const uint8_t *bytes, size_t size, Qcow2HeaderFields *header, GError **errp);

/*
 * Reads the extensions from the first @size bytes of an image. False and @errp set when they are refused.
 *
 * *more is set, and nothing else, when they go on behind @size: call again with the whole of cluster 0.
 */
bool qcow2_parse_extensions(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *header,
                            Qcow2Extensions *extensions, bool *more, GError **errp);

#endif
