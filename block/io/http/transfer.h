/*
 * One ranged GET with libcurl: asking, and judging what comes back.
 *
 * Only an answer that is exactly the range that was asked for, of a file of the length that was found at first, is
 * taken. A transfer serves one request after the other, and keeps its connection. It belongs to one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_HTTP_TRANSFER_H
#define BLOCK_IO_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "block/remote.h"

#define CURL_POLL_MS 1000 /* libcurl wakes earlier if there is something to do */

/* What all transfers of one file have in common; outlives them. Constant once the file is open. */
typedef struct CurlFile {
    char *name;      /* the URL as the user gave it */
    char *moved_to;  /* where that one redirects to, or NULL */
    uint64_t length; /* bytes */
    bool length_known;
    bool multiplexed; /* many requests go over one connection: HTTP/2 and later */
    unsigned connect_seconds;
    unsigned silence_seconds;
} CurlFile;

typedef struct CurlTransfer CurlTransfer;

/* NULL and @errp set when libcurl does not work. */
CurlTransfer *curl_transfer_new(const CurlFile *file, GError **errp);
void curl_transfer_free(CurlTransfer *transfer);

/* For the multi interface; its private data is the transfer. */
CURL *curl_transfer_easy(CurlTransfer *transfer);

/* Makes the transfer ask for @request, which the caller keeps; perform it then. */
void curl_transfer_start(CurlTransfer *transfer, BlockRequest *request);
BlockRequest *curl_transfer_request(const CurlTransfer *transfer);

typedef enum CurlVerdict {
    CURL_VERDICT_READ,   /* the request is complete */
    CURL_VERDICT_AGAIN,  /* the transfer is made ready to be performed once more */
    CURL_VERDICT_FAILED, /* @errp says why; its code is an errno value */
} CurlVerdict;

/* Judges a transfer that was performed, with @result. */
CurlVerdict curl_transfer_judge(CurlTransfer *transfer, CURLcode result, GError **errp);

/* Performs a request to its end, blocking, on @multi, which has no other. False and @errp set on failure. */
bool curl_transfer_perform(CurlTransfer *transfer, CURLM *multi, BlockRequest *request, GError **errp);

/*
 * Finds out the length of the file, and what else @file, which is that of the transfer, tells of it, by reading the
 * first @size bytes of it, or all, to @bytes. @latency: microseconds to the first byte.
 */
bool curl_transfer_examine(CurlTransfer *transfer, CURLM *multi, CurlFile *file, void *bytes, size_t size,
                           int64_t *latency, GError **errp);

#endif
