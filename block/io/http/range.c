/*
 * Words of HTTP: see block/io/http/range.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/http/range.h"

#include <glib.h>
#include <string.h>

/* A decimal number, or a star where there is no number to be told. @has says which. */
static bool parse_part(const char *text, bool *has, uint64_t *number)
{
    *has = !g_str_equal(text, "*");
    return !*has || g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, number, NULL);
}

bool http_range_parse(const char *value, HttpRange *range)
{
    g_autofree char *text = g_strstrip(g_strdup(value));
    g_auto(GStrv) words = g_strsplit(text, " ", 2);
    g_auto(GStrv) parts = g_strv_length(words) == 2 ? g_strsplit(words[1], "/", 2) : NULL;
    char *dash;

    *range = (HttpRange){0};
    if (!parts || g_strv_length(parts) != 2 || g_ascii_strcasecmp(words[0], "bytes") != 0 ||
        !parse_part(parts[1], &range->has_length, &range->length)) {
        return false;
    }
    if (g_str_equal(parts[0], "*")) {
        return range->has_length;
    }
    dash = strchr(parts[0], '-');
    if (!dash) {
        return false;
    }
    *dash = '\0';
    range->has_range = true;
    return g_ascii_string_to_unsigned(parts[0], 10, 0, G_MAXINT64, &range->first, NULL) &&
           g_ascii_string_to_unsigned(dash + 1, 10, range->first, G_MAXINT64, &range->last, NULL) &&
           (!range->has_length || range->last < range->length);
}

const char *http_status_text(long status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 407:
        return "Proxy Authentication Required";
    case 410:
        return "Gone";
    case 416:
        return "Range Not Satisfiable";
    case 429:
        return "Too Many Requests";
    case 500:
        return "Internal Server Error";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "";
    }
}
