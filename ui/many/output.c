/*
 * The output of one check among several: see ui/many/output.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/many/output.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qapi/json-output.h"
#include "qapi/qapi-visit.h"
#include "ui/output/escape.h"
#include "ui/progress/fold.h"
#include "util/error-report.h"
#include "util/text.h"

#define LONGEST_ERROR 4096u /* bytes of messages that a failure repeats */

/* The line that starts at @line, its end excluded; *@size is what is left of the text, and is reduced. */
static size_t take_line(const char *line, size_t *size)
{
    const char *end = memchr(line, '\n', *size);
    size_t length = end ? (size_t)(end - line) : *size;

    *size -= MIN(*size, length + 1);
    return length;
}

/* A message may have a name in it that comes from an image; nearly all of a million have none. */
static void print_line(const char *line, size_t length)
{
    g_autofree char *safe = NULL;
    size_t plain = 0;

    while (plain < length && g_ascii_isprint(line[plain])) {
        plain++;
    }
    safe = plain < length ? text_escape(line, length) : NULL;
    error_print_line(safe ? safe : line, safe ? strlen(safe) : length);
}

static void print_line_of(const char *filename, const char *line, size_t length)
{
    print_escaped(stderr, filename, 0);
    fputs(": ", stderr);
    print_line(line, length);
}

/* Whole lines, each with the name of the image in front. */
static void print_lines_of(const char *filename, const char *text, size_t size)
{
    while (size > 0) {
        size_t length = take_line(text, &size);

        print_line_of(filename, text, length);
        text += length + 1;
    }
}

static void print_messages(const char *filename, const char *text, size_t size, bool folded)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    MessageFold *fold;

    if (!folded) {
        print_lines_of(filename, text, size);
        return;
    }
    fold = message_fold_new();
    while (size > 0) {
        size_t length = take_line(text, &size);

        message_fold_add(fold, text, length, lines);
        text += length + 1;
    }
    message_fold_finish(fold, lines);
    message_fold_free(fold);
    print_lines_of(filename, lines->str, lines->len);
}

static bool shows_folded(const CheckOptions *options)
{
    return !options->all_messages && !options->quiet && isatty(STDERR_FILENO);
}

bool many_shows_results(const CheckOptions *options)
{
    return options->verbose || options->dump_meta || options->space || options->explain || options->dry_run;
}

/* JSON on a single line, as the compact output of our own visitor has it. Strings have no line breaks in them. */
static void print_json_line(const char *text, size_t size)
{
    while (size > 0) {
        size_t length = take_line(text, &size);
        const char *line = text;

        text += length + 1;
        while (length > 0 && *line == ' ') {
            line++;
            length--;
        }
        fwrite(line, 1, length, stdout);
        if (length > 0 && line[length - 1] == ',') {
            fputc(' ', stdout);
        }
    }
    fputc('\n', stdout);
}

/* What stderr says of a check without a result; the name of the program in front says nothing. */
static char *error_text(const char *text, size_t size)
{
    g_autofree char *program = g_strconcat(g_get_prgname(), ": ", NULL);
    g_autofree char *error = g_strndup(text ? text : "", MIN(size, LONGEST_ERROR));
    size_t start = g_str_has_prefix(error, program) ? strlen(program) : 0;

    return g_strchomp(g_strdup(error + start));
}

/* Why there is no result stands last. What was to be opened is named beside it. */
static char *last_line(const char *text, size_t size)
{
    g_autofree char *error =
        error_text(text && size > LONGEST_ERROR ? text + (size - LONGEST_ERROR) : text, MIN(size, LONGEST_ERROR));
    const char *line = strrchr(error, '\n');
    g_autofree char *program = g_strconcat(g_get_prgname(), ": ", NULL);

    line = line ? line + 1 : error;
    line += g_str_has_prefix(line, program) ? strlen(program) : 0;
    while (g_str_has_prefix(line, "Could not open '") && strstr(line, "': ")) {
        line = strstr(line, "': ") + strlen("': ");
    }
    return g_strdup(line);
}

static void print_failure_json(const CheckOptions *options, size_t index, const char *filename, int status, char *error)
{
    g_autoptr(Visitor) visitor = json_output_visitor_new(stdout, false);
    ImageCheckFailure failure = {.filename = (char *)filename,
                                 .exit_status = status,
                                 .error = error,
                                 .has_depth = options->backing_chain,
                                 .depth = (int64_t)index};

    visit_type_ImageCheckFailure(visitor, NULL, &failure, NULL);
    visit_complete(visitor, NULL);
    fputc('\n', stdout);
}

static void print_heading(const char *filename, bool first)
{
    if (!first) {
        fputc('\n', stdout);
    }
    print_escaped(stdout, filename, 0);
    fputs(":\n", stdout);
}

void print_one_of_many(const CheckOptions *options, size_t index, const char *filename, const CheckOutput *output,
                       int status, const char *failure, ManyTable *table)
{
    size_t result_size = output->result_size;
    bool has_result = result_size > 0 && !failure;

    print_messages(filename, output->messages, output->message_size, shows_folded(options));
    if (failure) {
        print_messages(filename, failure, strlen(failure), false);
    }
    fflush(stderr);
    if (options->quiet) {
        return;
    }
    if (table) {
        g_autofree char *text = failure ? g_strdup(failure) : last_line(output->messages, output->message_size);

        many_table_add(table, filename, status, output->result, &result_size, text);
        if (!many_shows_results(options)) {
            return;
        }
    }
    if (options->json && has_result) {
        print_json_line(output->result, result_size);
    } else if (options->json) {
        g_autofree char *text = failure ? g_strdup(failure) : error_text(output->messages, output->message_size);

        print_failure_json(options, index, filename, status, text);
    } else {
        print_heading(filename, index == 0);
        if (has_result) {
            fwrite(output->result, 1, result_size, stdout);
        } else {
            fputs("No result: see the messages.\n", stdout);
        }
    }
}
