/*
 * One ranged GET with libcurl: see block/io/http/transfer.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/http/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io/http/range.h"
#include "config.h"

#define MAX_REDIRECTIONS 10L
#define RECEIVE_BUFFER   (256L << 10)
#define RANGE_TEXT_SIZE  48

enum {
    STATUS_OK = 200,
    STATUS_PARTIAL = 206,
    STATUS_UNAUTHORIZED = 401,
    STATUS_FORBIDDEN = 403,
    STATUS_NOT_FOUND = 404,
    STATUS_GONE = 410,
    STATUS_RANGE_REFUSED = 416,
};

struct CurlTransfer {
    const CurlFile *file;
    CURL *easy;
    BlockRequest *request;
    bool retried;

    /* Of the answer that is coming in. */
    HttpRange range;
    bool has_range;
    size_t received;
    bool unasked; /* it is not what was asked for, and was broken off */
    char error[CURL_ERROR_SIZE];
};

/* ---- callbacks of libcurl ---- */

static size_t take_header(char *line, size_t one, size_t size, void *opaque)
{
    static const char status_line[] = "HTTP/";
    static const char content_range[] = "Content-Range:";
    CurlTransfer *transfer = opaque;

    if (size >= strlen(status_line) && memcmp(line, status_line, strlen(status_line)) == 0) {
        transfer->has_range = false; /* a new answer: the one before was a redirection */
    } else if (size > strlen(content_range) && g_ascii_strncasecmp(line, content_range, strlen(content_range)) == 0) {
        g_autofree char *value = g_strndup(line + strlen(content_range), size - strlen(content_range));

        transfer->has_range = http_range_parse(value, &transfer->range);
    }
    return size;
}

/* As long as the length is not known, the end of the file may come before that of the range. */
static bool is_range_asked_for(const CurlTransfer *transfer)
{
    const BlockRequest *request = transfer->request;
    const HttpRange *range = &transfer->range;
    uint64_t last = request->offset + request->size - 1;

    if (!transfer->has_range || !range->has_range || range->first != request->offset) {
        return false;
    }
    if (transfer->file->length_known) {
        return range->last == last && (!range->has_length || range->length == transfer->file->length);
    }
    return range->last == (range->has_length ? MIN(last, range->length - 1) : MIN(last, range->last));
}

/* The bytes of the range that comes in, at most those that were asked for. */
static size_t range_size(const CurlTransfer *transfer)
{
    return (size_t)(transfer->range.last - transfer->range.first + 1);
}

static long http_status(const CurlTransfer *transfer)
{
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t take_body(char *bytes, size_t one, size_t size, void *opaque)
{
    CurlTransfer *transfer = opaque;
    BlockRequest *request = transfer->request;

    if (http_status(transfer) != STATUS_PARTIAL || !is_range_asked_for(transfer) ||
        size > range_size(transfer) - transfer->received) {
        transfer->unasked = true;
        return size + 1; /* anything but the size breaks the transfer off */
    }
    memcpy((char *)request->buffer + transfer->received, bytes, size);
    transfer->received += size;
    return size;
}

/* ---- asking ---- */

/* libcurl itself looks at no environment for this; the tools that users know do. */
static const char *trusted_authorities(void)
{
    const char *bundle = g_getenv("CURL_CA_BUNDLE");

    return bundle && *bundle ? bundle : g_getenv("SSL_CERT_FILE");
}

static void set_options(CurlTransfer *transfer)
{
    const CurlFile *file = transfer->file;
    const char *authorities = trusted_authorities();
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "qemu-img-check/" CONFIG_VERSION);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, MAX_REDIRECTIONS);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)file->connect_seconds);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)file->silence_seconds);
    if (authorities && *authorities) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, authorities);
    }
}

CurlTransfer *curl_transfer_new(const CurlFile *file, GError **errp)
{
    CurlTransfer *transfer;
    CURL *easy = curl_easy_init();

    if (!easy) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "libcurl could not be initialized");
        return NULL;
    }
    transfer = g_new0(CurlTransfer, 1);
    transfer->file = file;
    transfer->easy = easy;
    set_options(transfer);
    return transfer;
}

void curl_transfer_free(CurlTransfer *transfer)
{
    if (transfer) {
        curl_easy_cleanup(transfer->easy);
        g_free(transfer);
    }
}

CURL *curl_transfer_easy(CurlTransfer *transfer)
{
    return transfer->easy;
}

static void ask(CurlTransfer *transfer, const char *url)
{
    const BlockRequest *request = transfer->request;
    char range[RANGE_TEXT_SIZE];

    snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, request->offset, request->offset + request->size - 1);
    curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
    curl_easy_setopt(transfer->easy, CURLOPT_RANGE, range);
    /* Waiting for a connection to be shared is of use only where it can be. */
    curl_easy_setopt(transfer->easy, CURLOPT_PIPEWAIT, transfer->file->multiplexed ? 1L : 0L);
    transfer->has_range = false;
    transfer->received = 0;
    transfer->unasked = false;
    transfer->error[0] = '\0';
}

void curl_transfer_start(CurlTransfer *transfer, BlockRequest *request)
{
    transfer->request = request;
    transfer->retried = false;
    ask(transfer, transfer->file->moved_to ? transfer->file->moved_to : transfer->file->name);
}

BlockRequest *curl_transfer_request(const CurlTransfer *transfer)
{
    return transfer->request;
}

/* ---- judging ---- */

static bool is_lost_connection(CURLcode result)
{
    switch (result) {
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return true;
    default:
        return false;
    }
}

static void set_connect_error(const CurlTransfer *transfer, GError **errp)
{
    g_autoptr(GUri) uri = g_uri_parse(transfer->file->name, G_URI_FLAGS_SCHEME_NORMALIZE, NULL);
    long error = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
    if (!uri || !g_uri_get_host(uri) || error == 0) {
        g_set_error_literal(errp, BLOCK_ERROR, EIO, transfer->error);
        return;
    }
    g_set_error(errp, BLOCK_ERROR, (int)error, "Failed to connect to '%s:%d': %s", g_uri_get_host(uri),
                g_uri_get_port(uri), g_strerror((int)error));
}

static void set_curl_error(const CurlTransfer *transfer, CURLcode result, GError **errp)
{
    const char *text = transfer->error[0] ? transfer->error : curl_easy_strerror(result);

    switch (result) {
    case CURLE_COULDNT_CONNECT:
        set_connect_error(transfer, errp);
        break;
    case CURLE_OPERATION_TIMEDOUT:
        g_set_error(errp, BLOCK_ERROR, ETIMEDOUT,
                    "No answer from the server (waited %u seconds for a connection, %u for data); --timeout sets how "
                    "long to wait",
                    transfer->file->connect_seconds, transfer->file->silence_seconds);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
        g_set_error(errp, BLOCK_ERROR, EIO, "%s (CURL_CA_BUNDLE or SSL_CERT_FILE names a file of authorities to trust)",
                    text);
        break;
    default:
        g_set_error_literal(errp, BLOCK_ERROR, EIO, text);
    }
}

static int status_error(long status)
{
    switch (status) {
    case STATUS_UNAUTHORIZED:
    case STATUS_FORBIDDEN:
        return EACCES;
    case STATUS_NOT_FOUND:
    case STATUS_GONE:
        return ENOENT;
    default:
        return EIO;
    }
}

static void set_status_error(const CurlTransfer *transfer, GError **errp)
{
    long status = http_status(transfer);

    switch (status) {
    case STATUS_OK:
        g_set_error_literal(errp, BLOCK_ERROR, ENOTSUP,
                            "The server does not support byte ranges; copy the image here, and check the copy");
        break;
    case STATUS_PARTIAL:
        g_set_error_literal(errp, BLOCK_ERROR, EIO,
                            transfer->has_range && transfer->file->length_known && transfer->range.has_length &&
                                    transfer->range.length != transfer->file->length
                                ? "The file on the server changed its size while it was read"
                                : "The server sent another range than it was asked for");
        break;
    default:
        g_set_error(errp, BLOCK_ERROR, status_error(status), "The server answered with HTTP status %ld%s%s", status,
                    *http_status_text(status) ? ", " : "", http_status_text(status));
    }
}

/* A connection may break, and the place that a redirection led to may be good for some time only. */
static bool is_worth_another_try(const CurlTransfer *transfer, CURLcode result)
{
    if (transfer->retried) {
        return false;
    }
    return is_lost_connection(result) ||
           ((result == CURLE_OK || transfer->unasked) && transfer->file->moved_to && http_status(transfer) >= 400);
}

CurlVerdict curl_transfer_judge(CurlTransfer *transfer, CURLcode result, GError **errp)
{
    if (result == CURLE_OK && http_status(transfer) == STATUS_PARTIAL && is_range_asked_for(transfer) &&
        transfer->received == range_size(transfer)) {
        return CURL_VERDICT_READ;
    }
    if (is_worth_another_try(transfer, result)) {
        transfer->retried = true;
        ask(transfer, transfer->file->name);
        return CURL_VERDICT_AGAIN;
    }
    if (result != CURLE_OK && !transfer->unasked) {
        set_curl_error(transfer, result, errp);
    } else if (http_status(transfer) == STATUS_PARTIAL && is_range_asked_for(transfer)) {
        g_set_error(errp, BLOCK_ERROR, EIO, "The server sent %s of a range of %zu bytes",
                    transfer->unasked ? "more than the bytes" : "only a part", range_size(transfer));
    } else {
        set_status_error(transfer, errp);
    }
    return CURL_VERDICT_FAILED;
}

static CURLcode perform_once(CurlTransfer *transfer, CURLM *multi)
{
    CURLcode result = CURLE_OUT_OF_MEMORY;
    CURLMsg *message;
    int running = 0;

    if (curl_multi_add_handle(multi, transfer->easy) != CURLM_OK) {
        return result;
    }
    for (curl_multi_perform(multi, &running); running; curl_multi_perform(multi, &running)) {
        curl_multi_poll(multi, NULL, 0, CURL_POLL_MS, NULL);
    }
    while ((message = curl_multi_info_read(multi, &running))) {
        result = message->data.result;
    }
    curl_multi_remove_handle(multi, transfer->easy);
    return result;
}

bool curl_transfer_perform(CurlTransfer *transfer, CURLM *multi, BlockRequest *request, GError **errp)
{
    CurlVerdict verdict;

    curl_transfer_start(transfer, request);
    do {
        verdict = curl_transfer_judge(transfer, perform_once(transfer, multi), errp);
    } while (verdict == CURL_VERDICT_AGAIN);
    return verdict == CURL_VERDICT_READ;
}

/* ---- the first request ---- */

/* An empty file has no first byte: servers refuse the range and tell the length, or send nothing. */
static bool is_empty_file(const CurlTransfer *transfer)
{
    curl_off_t size = -1;

    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    switch (http_status(transfer)) {
    case STATUS_OK:
        return size == 0;
    case STATUS_RANGE_REFUSED:
        return transfer->has_range && transfer->range.has_length && transfer->range.length == 0;
    default:
        return false;
    }
}

static void note_connection(const CurlTransfer *transfer, CurlFile *file)
{
    long redirections = 0;
    long version = 0;
    const char *url = NULL;

    curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_COUNT, &redirections);
    curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
    file->moved_to = redirections > 0 ? g_strdup(url) : NULL;
    file->multiplexed = version >= CURL_HTTP_VERSION_2_0;
}

/* Of the last request, without what it took to make the connection. */
static int64_t time_to_first_byte(const CurlTransfer *transfer)
{
    curl_off_t sent = 0;
    curl_off_t first = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
    curl_easy_getinfo(transfer->easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
    return MAX(first - sent, 0);
}

bool curl_transfer_examine(CurlTransfer *transfer, CURLM *multi, CurlFile *file, void *bytes, size_t size,
                           int64_t *latency, GError **errp)
{
    BlockRequest request = {.offset = 0, .size = size, .buffer = bytes};
    g_autoptr(GError) error = NULL;

    if (curl_transfer_perform(transfer, multi, &request, &error)) {
        if (!transfer->range.has_length) {
            g_set_error_literal(errp, BLOCK_ERROR, ENOTSUP, "The server does not tell the length of the file");
            return false;
        }
        file->length = transfer->range.length;
    } else if (!is_empty_file(transfer)) {
        g_propagate_error(errp, g_steal_pointer(&error));
        return false;
    }
    file->length_known = true;
    *latency = time_to_first_byte(transfer);
    note_connection(transfer, file);
    return true;
}
