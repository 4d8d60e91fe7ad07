/*
 * Messages in whole lines: see ui/progress/message-stream.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/progress/message-stream.h"

#include <string.h>
#include <unistd.h>

#include "ui/progress/fold.h"

#define MESSAGE_BUFFER (64u << 10) /* bytes that are printed at once: there may be millions of lines */

typedef struct MessageStream {
    ProgressView *view;
    GString *unfinished; /* the beginning of a line whose end has not come yet */
    MessageFold *fold;   /* NULL: lines are not folded */
    bool conditional;    /* nothing of what is being done is done */
    GString *line;       /* room for a line that is changed */
    GString *lines;      /* room for lines that come out */
    char buffer[MESSAGE_BUFFER];
} MessageStream;

/* What a message begins with that says what a repair does. */
static const struct {
    const char *done, *planned;
} deeds[] = {
    {"Repairing ", "Would repair "},
    {"Rebuilding ", "Would rebuild "},
    {"Restoring ", "Would restore "},
};

/* Makes "Would repair" of "Repairing". Returns the line, of *@length bytes. */
static const char *make_conditional(MessageStream *stream, const char *line, size_t *length)
{
    for (size_t i = 0; i < G_N_ELEMENTS(deeds); i++) {
        size_t size = strlen(deeds[i].done);

        if (*length >= size && memcmp(line, deeds[i].done, size) == 0) {
            g_string_assign(stream->line, deeds[i].planned);
            g_string_append_len(stream->line, line + size, (gssize)(*length - size));
            *length = stream->line->len;
            return stream->line->str;
        }
    }
    return line;
}

static void add_line(MessageStream *stream, const char *line, size_t length)
{
    if (stream->conditional) {
        line = make_conditional(stream, line, &length);
    }
    if (stream->fold) {
        message_fold_add(stream->fold, line, length, stream->lines);
    } else {
        g_string_append_len(stream->lines, line, (gssize)length);
        g_string_append_c(stream->lines, '\n');
    }
}

/* Whole lines. */
static void print_lines(MessageStream *stream, const char *text, size_t size)
{
    if (!stream->fold && !stream->conditional) {
        progress_view_print(stream->view, text, size);
        return;
    }
    g_string_truncate(stream->lines, 0);
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) : size;

        add_line(stream, text, length);
        length += end != NULL;
        text += length;
        size -= length;
    }
    progress_view_print(stream->view, stream->lines->str, stream->lines->len);
}

static ssize_t write_lines(void *opaque, const char *text, size_t size)
{
    MessageStream *stream = opaque;
    const char *last = memrchr(text, '\n', size);
    size_t complete = last ? (size_t)(last - text) + 1 : 0;

    if (complete && stream->unfinished->len) {
        g_string_append_len(stream->unfinished, text, (gssize)complete);
        print_lines(stream, stream->unfinished->str, stream->unfinished->len);
        g_string_truncate(stream->unfinished, 0);
    } else if (complete) {
        print_lines(stream, text, complete);
    }
    g_string_append_len(stream->unfinished, text + complete, (gssize)(size - complete));
    return (ssize_t)size; /* stderr that is gone is no reason to stop a check */
}

static void print_rest(MessageStream *stream)
{
    if (stream->fold) {
        g_string_truncate(stream->lines, 0);
        message_fold_finish(stream->fold, stream->lines);
        progress_view_print(stream->view, stream->lines->str, stream->lines->len);
    }
    if (stream->unfinished->len) {
        progress_view_print(stream->view, stream->unfinished->str, stream->unfinished->len);
    }
}

static int close_stream(void *opaque)
{
    MessageStream *stream = opaque;

    print_rest(stream);
    g_string_free(stream->unfinished, TRUE);
    g_string_free(stream->line, TRUE);
    g_string_free(stream->lines, TRUE);
    message_fold_free(stream->fold);
    g_free(stream);
    return 0;
}

FILE *message_stream_new(ProgressView *view, bool fold, bool conditional)
{
    static const cookie_io_functions_t functions = {.write = write_lines, .close = close_stream};
    MessageStream *stream = g_new(MessageStream, 1);
    FILE *file;

    stream->view = view;
    stream->unfinished = g_string_new(NULL);
    stream->fold = fold ? message_fold_new() : NULL;
    stream->conditional = conditional;
    stream->line = g_string_new(NULL);
    stream->lines = g_string_new(NULL);
    file = fopencookie(stream, "w", functions);
    if (!file) {
        g_error("Could not open a stream: no memory"); /* as all of glib does then */
    }
    setvbuf(file, stream->buffer, isatty(STDERR_FILENO) ? _IOLBF : _IOFBF, MESSAGE_BUFFER);
    return file;
}
