/*
 * The scanner in front of json-glib, which (1.6) wraps whole numbers above 2^63 to others, cuts strings at NUL,
 * recurses until the stack is used up, and takes comments, octal numbers, assignments and text after the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "json-scan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "qapi/json-input.h"

typedef struct Scan {
    const char *text;
    const char *at;
    GString *copy;
    int depth;
    bool closed; /* the object or list at the root has ended */
} Scan;

static bool refuse(Scan *scan, const char *what, GError **errp)
{
    g_set_error(errp, QAPI_ERROR, QAPI_ERROR_SYNTAX, "JSON parse error, %s at offset %zu", what,
                (size_t)(scan->at - scan->text));
    return false;
}

/* Copies a string with its quotes. One that does not end is left to the parser to complain about. */
static bool scan_string(Scan *scan, GError **errp)
{
    const char *start = scan->at;
    char quote = *scan->at++;

    while (*scan->at && *scan->at != quote) {
        if (scan->at[0] == '\\' && scan->at[1]) {
            if (strncmp(scan->at, "\\u0000", 6) == 0) {
                return refuse(scan, "NUL in a string", errp);
            }
            scan->at++;
        }
        scan->at++;
    }
    if (*scan->at) {
        scan->at++;
    }
    g_string_append_len(scan->copy, start, scan->at - start);
    return true;
}

static const char *skip_digits(const char *s)
{
    while (g_ascii_isdigit(*s)) {
        s++;
    }
    return s;
}

/* The end of the JSON number that begins at @s, NULL if none does. Sets *@whole. */
static const char *number_end(const char *s, bool *whole)
{
    s += *s == '-';
    const char *end = skip_digits(s);

    *whole = true;
    if (end == s || (*s == '0' && end > s + 1)) {
        return NULL;
    }
    if (*end == '.') {
        s = end + 1;
        end = skip_digits(s);
        *whole = false;
        if (end == s) {
            return NULL;
        }
    }
    if (*end == 'e' || *end == 'E') {
        s = end + 1;
        s += *s == '+' || *s == '-';
        end = skip_digits(s);
        *whole = false;
        if (end == s) {
            return NULL;
        }
    }
    return g_ascii_isalnum(*end) || *end == '.' ? NULL : end;
}

static bool fits_int64(const char *number)
{
    errno = 0;
    g_ascii_strtoll(number, NULL, 10);
    return errno == 0;
}

static bool scan_number(Scan *scan, GError **errp)
{
    bool whole;
    const char *end = number_end(scan->at, &whole);

    if (!end) {
        return refuse(scan, "malformed number", errp);
    }

    const char *quote = whole && !fits_int64(scan->at) ? "\"" : "";

    g_string_append(scan->copy, quote);
    g_string_append_len(scan->copy, scan->at, end - scan->at);
    g_string_append(scan->copy, quote);
    scan->at = end;
    return true;
}

static bool scan_word(Scan *scan, GError **errp)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        size_t length = strlen(words[i]);

        if (strncmp(scan->at, words[i], length) == 0 && !g_ascii_isalnum(scan->at[length])) {
            g_string_append(scan->copy, words[i]);
            scan->at += length;
            return true;
        }
    }
    return refuse(scan, "invalid keyword", errp);
}

static bool scan_token(Scan *scan, GError **errp)
{
    char c = *scan->at;

    if (scan->closed && !g_ascii_isspace(c)) {
        return refuse(scan, "text after the end", errp);
    }
    if (c == '"' || c == '\'') {
        return scan_string(scan, errp);
    }
    if (c == '-' || g_ascii_isdigit(c)) {
        return scan_number(scan, errp);
    }
    if (g_ascii_isalpha(c)) {
        return scan_word(scan, errp);
    }
    if (!strchr("{}[]:, \t\r\n", c)) {
        return refuse(scan, "stray character", errp);
    }
    scan->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    scan->closed |= scan->depth == 0 && (c == '}' || c == ']');
    if (scan->depth > QAPI_JSON_MAX_DEPTH) {
        return refuse(scan, "nested too deep", errp);
    }
    g_string_append_c(scan->copy, c);
    scan->at++;
    return true;
}

char *json_scan(const char *text, GError **errp)
{
    Scan scan = {.text = text, .at = text, .copy = g_string_new(NULL)};

    while (*scan.at) {
        if (!scan_token(&scan, errp)) {
            g_string_free(scan.copy, TRUE);
            return NULL;
        }
    }
    return g_string_free(scan.copy, FALSE);
}
