/*
 * The scanner in front of json-glib, which (1.6) wraps whole numbers above 2^63 to others, cuts strings at NUL,
 * recurses until the stack is used up, takes comments, octal numbers, assignments and text after the end, and leaks
 * what it has read of a text that turns out not to be JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "json-scan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "qapi/json-input.h"

/* What may come next. */
typedef enum Want {
    WANT_VALUE,
    WANT_VALUE_OR_END, /* of the list that has just begun */
    WANT_KEY,
    WANT_KEY_OR_END, /* of the object that has just begun */
    WANT_COLON,
    WANT_COMMA_OR_END,
    WANT_NOTHING, /* the value at the root has ended */
} Want;

typedef struct Scan {
    const char *text;
    const char *at;
    GString *copy;
    Want want;
    unsigned depth;
    char ends[QAPI_JSON_MAX_DEPTH]; /* '}' or ']' for each object and list that is open, the innermost last */
} Scan;

static bool refuse(Scan *scan, const char *what, GError **errp)
{
    g_set_error(errp, QAPI_ERROR, QAPI_ERROR_SYNTAX, "JSON parse error, %s at offset %zu", what,
                (size_t)(scan->at - scan->text));
    return false;
}

/* What is read is complete as far as the value that has just ended. */
static void end_value(Scan *scan)
{
    scan->want = scan->depth > 0 ? WANT_COMMA_OR_END : WANT_NOTHING;
}

static bool wants_value(const Scan *scan)
{
    return scan->want == WANT_VALUE || scan->want == WANT_VALUE_OR_END;
}

/* The four digits of \uXXXX at @s, -1 if they are none. */
static int code_unit(const char *s)
{
    int value = 0;

    if (s[0] != '\\' || s[1] != 'u') {
        return -1;
    }
    for (unsigned i = 2; i < 6; i++) {
        if (!g_ascii_isxdigit(s[i])) {
            return -1;
        }
        value = value * 16 + g_ascii_xdigit_value(s[i]);
    }
    return value;
}

static bool is_surrogate(int unit, int first)
{
    return unit >= first && unit < first + 0x400;
}

/* Passes over an escape sequence. */
static bool scan_escape(Scan *scan, GError **errp)
{
    int unit;

    if (scan->at[1] != 'u') {
        if (!scan->at[1] || !strchr("\"'\\/bfnrt", scan->at[1])) {
            return refuse(scan, "invalid escape sequence", errp);
        }
        scan->at += 2;
        return true;
    }
    unit = code_unit(scan->at);
    if (unit == 0) {
        return refuse(scan, "NUL in a string", errp);
    }
    if (unit < 0 || is_surrogate(unit, 0xdc00) ||
        (is_surrogate(unit, 0xd800) && !is_surrogate(code_unit(scan->at + 6), 0xdc00))) {
        return refuse(scan, "invalid escape sequence", errp);
    }
    scan->at += is_surrogate(unit, 0xd800) ? 12 : 6;
    return true;
}

/* Copies a string with its quotes. */
static bool scan_string(Scan *scan, GError **errp)
{
    const char *start = scan->at;
    char quote = *scan->at++;

    while (*scan->at && *scan->at != quote) {
        if (*scan->at != '\\') {
            scan->at++;
        } else if (!scan_escape(scan, errp)) {
            return false;
        }
    }
    if (!*scan->at) {
        return refuse(scan, "string without an end", errp);
    }
    scan->at++;
    g_string_append_len(scan->copy, start, scan->at - start);
    return true;
}

/* A string is a value or a key. */
static bool scan_string_or_key(Scan *scan, GError **errp)
{
    bool is_key = scan->want == WANT_KEY || scan->want == WANT_KEY_OR_END;

    if (!is_key && !wants_value(scan)) {
        return refuse(scan, "stray string", errp);
    }
    if (!scan_string(scan, errp)) {
        return false;
    }
    if (is_key) {
        scan->want = WANT_COLON;
    } else {
        end_value(scan);
    }
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

static bool scan_begin(Scan *scan, GError **errp)
{
    if (!wants_value(scan)) {
        return refuse(scan, "stray character", errp);
    }
    if (scan->depth == QAPI_JSON_MAX_DEPTH) {
        return refuse(scan, "nested too deep", errp);
    }
    scan->ends[scan->depth++] = *scan->at == '{' ? '}' : ']';
    scan->want = *scan->at == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return true;
}

static bool scan_end(Scan *scan, GError **errp)
{
    bool may_end = scan->want == WANT_COMMA_OR_END || scan->want == WANT_KEY_OR_END || scan->want == WANT_VALUE_OR_END;

    if (!may_end || scan->ends[scan->depth - 1] != *scan->at) {
        return refuse(scan, "stray character", errp);
    }
    scan->depth--;
    end_value(scan);
    return true;
}

static bool scan_mark(Scan *scan, GError **errp)
{
    char c = *scan->at;

    if (c == '{' || c == '[') {
        return scan_begin(scan, errp);
    }
    if (c == '}' || c == ']') {
        return scan_end(scan, errp);
    }
    if (c == ':' && scan->want == WANT_COLON) {
        scan->want = WANT_VALUE;
        return true;
    }
    if (c == ',' && scan->want == WANT_COMMA_OR_END) {
        scan->want = scan->ends[scan->depth - 1] == '}' ? WANT_KEY : WANT_VALUE;
        return true;
    }
    return refuse(scan, "stray character", errp);
}

static bool scan_scalar(Scan *scan, GError **errp)
{
    bool is_number = !g_ascii_isalpha(*scan->at);

    if (is_number ? !scan_number(scan, errp) : !scan_word(scan, errp)) {
        return false;
    }
    if (!wants_value(scan)) {
        return refuse(scan, is_number ? "stray number" : "stray keyword", errp);
    }
    end_value(scan);
    return true;
}

static bool scan_token(Scan *scan, GError **errp)
{
    char c = *scan->at;

    if (!strchr(" \t\r\n", c)) {
        if (scan->want == WANT_NOTHING) {
            return refuse(scan, "text after the end", errp);
        }
        if (c == '"' || c == '\'') {
            return scan_string_or_key(scan, errp);
        }
        if (c == '-' || g_ascii_isalnum(c)) {
            return scan_scalar(scan, errp);
        }
        if (!scan_mark(scan, errp)) {
            return false;
        }
    }
    g_string_append_c(scan->copy, c);
    scan->at++;
    return true;
}

static bool scan_text(Scan *scan, GError **errp)
{
    const char *invalid;

    if (!g_utf8_validate(scan->text, -1, &invalid)) {
        scan->at = invalid;
        return refuse(scan, "invalid UTF-8", errp);
    }
    while (*scan->at) {
        if (!scan_token(scan, errp)) {
            return false;
        }
    }
    /* without any value there is nothing to be read: an error that the parser's user words */
    return scan->want == WANT_NOTHING || scan->copy->str[strspn(scan->copy->str, " \t\r\n")] == '\0' ||
           refuse(scan, "the text ends too early", errp);
}

char *json_scan(const char *text, GError **errp)
{
    Scan scan = {.text = text, .at = text, .copy = g_string_new(NULL), .want = WANT_VALUE};
    bool refused = !scan_text(&scan, errp);

    return g_string_free(scan.copy, refused);
}
