/*
 * Folding messages for a terminal: see ui/progress/fold.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/progress/fold.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Messages of so many kinds may take turns, such as a fault and its repair. */
#define RUNS 4u

/* Lines that are the same, or differ in one number. */
typedef struct Run {
    GString *first; /* the first line */
    GString *last;  /* the last */
    size_t at;      /* of the number that differs in the first line; where count > 1 and not same */
    uint64_t count; /* lines */
    uint64_t step;  /* from each line to the next; 0: not the same everywhere */
    uint64_t value; /* of the last line */
    bool hex;
    bool same; /* all lines are the same */
} Run;

/* The runs that a line may join, a ring. */
struct MessageFold {
    Run runs[RUNS];
    unsigned oldest;
    unsigned n; /* of them */
};

/* A number in a line. */
typedef struct Number {
    size_t at;
    size_t length; /* 0: there is none */
    uint64_t value;
    bool hex;
} Number;

MessageFold *message_fold_new(void)
{
    MessageFold *f = g_new0(MessageFold, 1);

    for (unsigned i = 0; i < RUNS; i++) {
        f->runs[i].first = g_string_new(NULL);
        f->runs[i].last = g_string_new(NULL);
    }
    return f;
}

void message_fold_free(MessageFold *f)
{
    for (unsigned i = 0; f && i < RUNS; i++) {
        g_string_free(f->runs[i].first, TRUE);
        g_string_free(f->runs[i].last, TRUE);
    }
    g_free(f);
}

/* The number around byte @at of @line: hexadecimal where it has a letter or 16 digits, or stands behind "0x". */
static Number number_at(const char *line, size_t length, size_t at)
{
    size_t start = at, end = at;
    Number n = {0};

    while (start > 0 && g_ascii_isxdigit(line[start - 1])) {
        start--;
    }
    while (end < length && g_ascii_isxdigit(line[end])) {
        end++;
    }
    if ((start > 0 && g_ascii_isalnum(line[start - 1]) && line[start - 1] != 'x') ||
        (end < length && g_ascii_isalnum(line[end])) || end - start > 16) {
        return n;
    }
    n.at = start;
    n.hex = (start > 0 && line[start - 1] == 'x') || end - start == 16; /* a table entry */
    for (size_t i = start; i < end; i++) {
        n.hex |= !g_ascii_isdigit(line[i]);
    }
    n.length = end - start;
    for (size_t i = start; i < end; i++) {
        n.value = n.value * (n.hex ? 16 : 10) + (uint64_t)g_ascii_xdigit_value(line[i]);
    }
    return n;
}

/* Finds the one number in which @line and the last line of @f differ. */
static bool find_difference(const Run *f, const char *line, size_t length, Number *before, Number *after)
{
    const char *last = f->last->str;
    size_t at = 0, rest;

    while (at < length && at < f->last->len && line[at] == last[at]) {
        at++;
    }
    *before = number_at(last, f->last->len, at);
    *after = number_at(line, length, at);
    if (!before->length || !after->length || before->at != after->at || after->value <= before->value) {
        return false;
    }
    /* a number without letters may be hexadecimal among others */
    if (before->hex != after->hex) {
        return false;
    }
    rest = length - after->at - after->length;
    return f->last->len - before->at - before->length == rest &&
           memcmp(line + after->at + after->length, last + before->at + before->length, rest) == 0;
}

static bool is_last(const Run *f, const char *line, size_t length)
{
    return length == f->last->len && memcmp(line, f->last->str, length) == 0;
}

static void begin(Run *f, const char *line, size_t length)
{
    g_string_truncate(f->first, 0);
    g_string_append_len(f->first, line, (gssize)length);
    g_string_assign(f->last, f->first->str);
    f->count = 1;
    f->same = false;
}

/* Makes the line a part of the run. */
static bool join(Run *f, const char *line, size_t length)
{
    Number before, after;
    uint64_t step;

    if (is_last(f, line, length) && (f->count == 1 || f->same)) {
        f->same = true;
        f->count++;
        return true;
    }
    if (f->same || !find_difference(f, line, length, &before, &after) || (f->count > 1 && before.at != f->at)) {
        return false;
    }
    step = after.value - before.value;
    f->step = f->count == 1 || f->step == step ? step : 0;
    f->at = before.at;
    f->hex = after.hex;
    f->value = after.value;
    f->count++;
    g_string_truncate(f->last, 0);
    g_string_append_len(f->last, line, (gssize)length);
    return true;
}

/* "cluster 5" becomes "clusters 5". */
static void append_plural(GString *out, const char *before, size_t length)
{
    static const char word[] = "cluster ";
    size_t size = sizeof(word) - 1;

    if (length >= size && memcmp(before + length - size, word, size) == 0) {
        g_string_append_len(out, before, (gssize)length - 1);
        g_string_append(out, "s ");
    } else {
        g_string_append_len(out, before, (gssize)length);
    }
}

static void print_run(const Run *f, GString *out)
{
    if (f->count == 1) {
        g_string_append_printf(out, "%s\n", f->first->str);
    } else if (f->same) {
        g_string_append_printf(out, "%s (%" PRIu64 ")\n", f->first->str, f->count);
    } else {
        Number first = number_at(f->first->str, f->first->len, f->at);
        const char *prefix = first.at > 0 && f->first->str[first.at - 1] == 'x' ? "0x" : "";
        bool all = f->step == 1 || (f->hex && f->step); /* offsets are clusters apart */

        append_plural(out, f->first->str, first.at);
        g_string_append_printf(out, "%.*s%s%s", (int)first.length, f->first->str + first.at, all ? "-" : "...", prefix);
        g_string_append_printf(out, f->hex ? "%" PRIx64 : "%" PRIu64, f->value);
        g_string_append_printf(out, "%s (%" PRIu64 ")\n", f->first->str + first.at + first.length, f->count);
    }
}

/* Appends the oldest run to @out. */
static void finish_run(MessageFold *f, GString *out)
{
    assert(f->n > 0);
    print_run(&f->runs[f->oldest], out);
    f->oldest = (f->oldest + 1) % RUNS;
    f->n--;
}

void message_fold_finish(MessageFold *f, GString *out)
{
    while (f->n > 0) {
        finish_run(f, out);
    }
}

void message_fold_add(MessageFold *f, const char *line, size_t length, GString *out)
{
    if (length == 0) {
        message_fold_finish(f, out);
        g_string_append_c(out, '\n');
        return;
    }
    for (unsigned i = f->n; i-- > 0;) {
        if (join(&f->runs[(f->oldest + i) % RUNS], line, length)) {
            return;
        }
    }
    if (f->n == RUNS) {
        finish_run(f, out);
    }
    begin(&f->runs[(f->oldest + f->n) % RUNS], line, length);
    f->n++;
}
