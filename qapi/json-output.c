/*
 * The JSON output visitor.
 *
 * Text is collected in a buffer and written a buffer at a time: lists of millions of numbers are common, and
 * nothing here may cost more than a few instructions a character.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/json-output.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "decimal.h"
#include "qapi/visitor-impl.h"

#define BUFFER_SIZE       ((size_t)256 << 10) /* large writes take the kernel less time a byte */
#define INDENT            4
#define MAX_NUMBER_LENGTH G_ASCII_DTOSTR_BUF_SIZE

#define LEAD       64 /* bytes that are copied at once: a few instructions, whatever their number says */
#define LEAD_DEPTH ((LEAD - 2) / INDENT)

typedef struct JsonOutputVisitor {
    Visitor visitor;
    FILE *file;      /* where full buffers go; NULL: to @string */
    GString *string; /* NULL: to @file */
    bool pretty;
    bool for_html;
    bool first;    /* nothing was written yet in the innermost object or list */
    int error;     /* errno value of the first write that failed, 0 if none */
    size_t depth;  /* objects and lists that are open */
    size_t used;   /* bytes in @buffer */
    char buffer[]; /* of BUFFER_SIZE bytes, of which only the used ones are touched */
} JsonOutputVisitor;

static void flush_buffer(JsonOutputVisitor *j)
{
    if (j->string) {
        g_string_append_len(j->string, j->buffer, (gssize)j->used);
    } else if (j->used && !j->error && fwrite(j->buffer, 1, j->used, j->file) != j->used) {
        j->error = errno ? errno : EIO;
    }
    j->used = 0;
}

/* Room for @size bytes, at most BUFFER_SIZE; the caller writes them there and adds to @used. */
static char *reserve(JsonOutputVisitor *j, size_t size)
{
    if (size > BUFFER_SIZE - j->used) {
        flush_buffer(j);
    }
    return j->buffer + j->used;
}

static void put_bytes(JsonOutputVisitor *j, const char *bytes, size_t size)
{
    memcpy(reserve(j, size), bytes, size);
    j->used += size;
}

static void put_char(JsonOutputVisitor *j, char c)
{
    *reserve(j, 1) = c;
    j->used++;
}

static void put_line_break(JsonOutputVisitor *j)
{
    size_t left = j->depth * INDENT;

    put_char(j, '\n');
    while (left) {
        size_t size = MIN(left, BUFFER_SIZE);

        memset(reserve(j, size), ' ', size);
        j->used += size;
        left -= size;
    }
}

/* JavaScript has no number for each integer above this. */
#define GREATEST_EXACT (UINT64_C(1) << 53)

static void put_code_unit(JsonOutputVisitor *j, uint32_t unit)
{
    static const char hex[] = "0123456789ABCDEF";
    char escape[6] = {'\\', 'u', hex[unit >> 12], hex[unit >> 8 & 15], hex[unit >> 4 & 15], hex[unit & 15]};

    put_bytes(j, escape, sizeof(escape));
}

static void put_code_point(JsonOutputVisitor *j, uint32_t c)
{
    static const char *const short_escapes[128] = {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t",
    };

    if (c < 128 && short_escapes[c]) {
        put_bytes(j, short_escapes[c], 2);
    } else if (j->for_html && (c == '<' || c == '>' || c == '&')) {
        put_code_unit(j, c);
    } else if (c >= 0x20 && c < 0x7f) {
        put_char(j, (char)c);
    } else if (c < 0x10000) {
        put_code_unit(j, c);
    } else {
        put_code_unit(j, 0xd800 + ((c - 0x10000) >> 10));
        put_code_unit(j, 0xdc00 + ((c - 0x10000) & 0x3ff));
    }
}

/* How many bytes a sequence has that begins with @lead, by the original rules of UTF-8; 0 if none does. */
static int sequence_length(unsigned char lead)
{
    static const unsigned char first_above[] = {0x80, 0xc0, 0xe0, 0xf0, 0xf8, 0xfc, 0xfe};

    if (lead < first_above[0]) {
        return 1;
    }
    for (int length = 2; length <= 6; length++) {
        if (lead >= first_above[length - 1] && lead < first_above[length]) {
            return length;
        }
    }
    return 0;
}

static bool is_valid_code_point(uint32_t c, int length)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};
    bool surrogate = c >= 0xd800 && c <= 0xdfff;
    bool noncharacter = (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;

    if (c == 0 && length == 2) {
        return true; /* the usual way to write U+0000 within a C string */
    }
    return c >= smallest[length] && c <= 0x10ffff && !surrogate && !noncharacter;
}

/* Takes one code point off the NUL-terminated string at *@text, U+FFFD for a malformed sequence as a whole. */
static uint32_t next_code_point(const unsigned char **text)
{
    const unsigned char *s = *text;
    int length = sequence_length(*s);
    uint32_t c = length == 1 ? *s : *s & (0x7fu >> length);

    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            *text = s + i;
            return 0xfffd;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    *text = s + MAX(length, 1);
    return length > 0 && is_valid_code_point(c, length) ? c : 0xfffd;
}

enum { PLAIN_IN_HTML = 1, PLAIN_ELSEWHERE = 2, PLAIN = PLAIN_IN_HTML | PLAIN_ELSEWHERE };

/* Where characters stand for themselves. */
static const uint8_t plain_characters[256] = {
    [' ' ... '!'] = PLAIN,   ['#' ... '%'] = PLAIN,   ['&'] = PLAIN_ELSEWHERE,
    ['\'' ... ';'] = PLAIN,  ['<'] = PLAIN_ELSEWHERE, ['='] = PLAIN,
    ['>'] = PLAIN_ELSEWHERE, ['?' ... '['] = PLAIN,   [']' ... '~'] = PLAIN,
};

#define PART (BUFFER_SIZE / 2) /* of a string, that is written at once */

/* The part of a string that needs no escape, from its begin on. */
static size_t plain_length(const JsonOutputVisitor *j, const unsigned char *text)
{
    uint8_t here = j->for_html ? PLAIN_IN_HTML : PLAIN_ELSEWHERE;
    size_t n = 0;

    while (n < PART && plain_characters[text[n]] & here) {
        n++;
    }
    return n;
}

static const char pretty_lead[LEAD + 1] = ",\n                                                              ";

/* What comes before a value: a comma behind the one before it, a line of its own. */
static void put_lead(JsonOutputVisitor *j)
{
    if (!j->first) {
        put_char(j, ',');
    }
    if (j->pretty) {
        put_line_break(j);
    } else if (!j->first) {
        put_char(j, ' ');
    }
}

/* The same of usual depth, at once. There is room. Returns what is behind it. */
static char *write_lead(const JsonOutputVisitor *j, char *to)
{
    size_t skip = j->first ? 1 : 0;

    if (!j->depth || (!j->pretty && j->first)) {
        return to;
    }
    if (!j->pretty) {
        memcpy(to, ", ", 2);
        return to + 2;
    }
    memcpy(to, pretty_lead + skip, LEAD);
    return to + 2 + j->depth * INDENT - skip;
}

/* Begins a value called @name, for which @room bytes are wanted. It is to be written where this says. */
static char *begin_value(JsonOutputVisitor *j, const char *name, size_t room)
{
    size_t length = name ? strlen(name) + 4 : 0; /* a name of the schema: short, and nothing in it to escape */
    char *to;

    if (j->depth > LEAD_DEPTH) {
        put_lead(j);
        to = reserve(j, length + room);
    } else {
        to = write_lead(j, reserve(j, LEAD + length + room));
    }
    j->first = false;
    if (name) {
        *to = '"';
        memcpy(to + 1, name, length - 4);
        memcpy(to + length - 3, "\": ", 3);
    }
    return to + length;
}

static void end_value(JsonOutputVisitor *j, const char *end)
{
    j->used = (size_t)(end - j->buffer);
}

static void put_value(JsonOutputVisitor *j, const char *name, const char *bytes, size_t size)
{
    char *to = begin_value(j, name, size);

    memcpy(to, bytes, size);
    end_value(j, to + size);
}

/* Quotation marks, and @size bytes in between. */
static void put_quoted(JsonOutputVisitor *j, const char *name, const char *bytes, size_t size)
{
    char *to = begin_value(j, name, size + 2);

    *to = '"';
    memcpy(to + 1, bytes, size);
    to[size + 1] = '"';
    end_value(j, to + size + 2);
}

static void put_string(JsonOutputVisitor *j, const char *name, const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    size_t plain = plain_length(j, text);

    if (!text[plain]) {
        put_quoted(j, name, string, plain);
        return;
    }
    put_value(j, name, "\"", 1);
    while (*text) {
        put_bytes(j, (const char *)text, plain);
        text += plain;
        if (*text && !plain) {
            put_code_point(j, next_code_point(&text));
        }
        plain = plain_length(j, text);
    }
    put_char(j, '"');
}

static void put_integer(Visitor *v, const char *name, bool negative, uint64_t magnitude)
{
    JsonOutputVisitor *j = (JsonOutputVisitor *)v;
    bool quoted = j->for_html && magnitude > GREATEST_EXACT;
    char *to = begin_value(j, name, DECIMAL_MAX_DIGITS + 3);

    if (quoted) {
        *to++ = '"';
    }
    if (negative) {
        *to++ = '-';
    }
    to = decimal_write(to, magnitude);
    if (quoted) {
        *to++ = '"';
    }
    end_value(j, to);
}

static bool open_bracket(Visitor *v, const char *name, char bracket)
{
    JsonOutputVisitor *j = (JsonOutputVisitor *)v;
    char *to = begin_value(j, name, 1);

    *to = bracket;
    end_value(j, to + 1);
    j->depth++;
    j->first = true;
    return true;
}

static void close_bracket(Visitor *v, char bracket)
{
    JsonOutputVisitor *j = (JsonOutputVisitor *)v;

    j->depth--;
    j->first = false;
    if (j->pretty && j->depth <= LEAD_DEPTH) {
        char *to = reserve(j, LEAD + 1);

        memcpy(to, pretty_lead + 1, LEAD);
        to += 1 + j->depth * INDENT;
        *to = bracket;
        end_value(j, to + 1);
        return;
    }
    if (j->pretty) {
        put_line_break(j);
    }
    put_char(j, bracket);
}

static bool output_start_struct(Visitor *v, const char *name, GError **errp)
{
    return open_bracket(v, name, '{');
}

static void output_end_struct(Visitor *v)
{
    close_bracket(v, '}');
}

static bool output_start_list(Visitor *v, const char *name, size_t *len, GError **errp)
{
    return open_bracket(v, name, '[');
}

static void output_end_list(Visitor *v)
{
    close_bracket(v, ']');
}

static bool output_str(Visitor *v, const char *name, char **obj, GError **errp)
{
    put_string((JsonOutputVisitor *)v, name, *obj ? *obj : "");
    return true;
}

static bool output_bool(Visitor *v, const char *name, bool *obj, GError **errp)
{
    put_value((JsonOutputVisitor *)v, name, *obj ? "true" : "false", *obj ? 4 : 5);
    return true;
}

/* The shortest decimal number that reads back as @value. */
static void shortest_number(char *text, int size, double value)
{
    static const char *const formats[] = {"%.15g", "%.16g", "%.17g"};

    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_ascii_formatd(text, size, formats[i], value);
        if (g_ascii_strtod(text, NULL) == value) {
            break;
        }
    }
}

static bool output_number(Visitor *v, const char *name, double *obj, GError **errp)
{
    char text[MAX_NUMBER_LENGTH];
    JsonOutputVisitor *j = (JsonOutputVisitor *)v;

    if (!isfinite(*obj)) {
        j->error = j->error ? j->error : EDOM; /* JSON has no word for it */
        put_value(j, name, "null", 4);
        return true;
    }
    shortest_number(text, sizeof(text), *obj);
    put_value(j, name, text, strlen(text));
    return true;
}

static bool output_int(Visitor *v, const char *name, int64_t *obj, int64_t min, int64_t max, GError **errp)
{
    put_integer(v, name, *obj < 0, *obj < 0 ? -(uint64_t)*obj : (uint64_t)*obj);
    return true;
}

static bool output_uint(Visitor *v, const char *name, uint64_t *obj, uint64_t max, GError **errp)
{
    put_integer(v, name, false, *obj);
    return true;
}

static bool output_size(Visitor *v, const char *name, uint64_t *obj, GError **errp)
{
    put_integer(v, name, false, *obj);
    return true;
}

static bool output_enum(Visitor *v, const char *name, int *obj, const QapiEnumLookup *lookup, GError **errp)
{
    const char *word = qapi_enum_name(lookup, *obj); /* of the schema: nothing in it to escape */

    put_quoted((JsonOutputVisitor *)v, name, word, strlen(word));
    return true;
}

static bool output_null(Visitor *v, const char *name, GError **errp)
{
    put_value((JsonOutputVisitor *)v, name, "null", 4);
    return true;
}

static bool output_complete(Visitor *v, GError **errp)
{
    JsonOutputVisitor *j = (JsonOutputVisitor *)v;

    g_assert(j->depth == 0);
    flush_buffer(j);
    if (j->file && !j->error && (fflush(j->file) != 0 || ferror(j->file))) {
        j->error = errno ? errno : EIO;
    }
    if (j->error) {
        g_set_error(errp, QAPI_ERROR, QAPI_ERROR_OUTPUT, "Could not write JSON: %s", g_strerror(j->error));
    }
    return !j->error;
}

static void output_free(Visitor *v)
{
    g_free(v);
}

static Visitor *output_new(FILE *file, GString *string, bool pretty)
{
    static const VisitorOps ops = {
        .start_struct = output_start_struct,
        .end_struct = output_end_struct,
        .start_list = output_start_list,
        .end_list = output_end_list,
        .type_str = output_str,
        .type_bool = output_bool,
        .type_number = output_number,
        .type_int = output_int,
        .type_uint = output_uint,
        .type_size = output_size,
        .type_enum = output_enum,
        .type_null = output_null,
        .complete = output_complete,
        .free = output_free,
    };
    JsonOutputVisitor *j = g_malloc(sizeof(*j) + BUFFER_SIZE);

    *j = (JsonOutputVisitor){.visitor = {&ops}, .file = file, .string = string, .pretty = pretty, .first = true};
    return &j->visitor;
}

Visitor *json_output_visitor_new(FILE *file, bool pretty)
{
    return output_new(file, NULL, pretty);
}

Visitor *json_output_visitor_new_html(FILE *file)
{
    Visitor *v = output_new(file, NULL, false);

    ((JsonOutputVisitor *)v)->for_html = true;
    return v;
}

Visitor *json_output_visitor_new_string(GString *string, bool pretty)
{
    return output_new(NULL, string, pretty);
}
