/*
 * Messages in whole lines: see ui/progress/message-stream.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/progress/message-stream.h"

#include <string.h>
#include <unistd.h>

#define MESSAGE_BUFFER (64u << 10)

typedef struct MessageStream {
    ProgressView *view;
    GString *unfinished; /* the beginning of a line whose end has not come yet */
} MessageStream;

static ssize_t write_lines(void *opaque, const char *text, size_t size)
{
    MessageStream *stream = opaque;
    const char *last = memrchr(text, '\n', size);
    size_t complete = last ? (size_t)(last - text) + 1 : 0;

    if (complete && stream->unfinished->len) {
        g_string_append_len(stream->unfinished, text, (gssize)complete);
        progress_view_print(stream->view, stream->unfinished->str, stream->unfinished->len);
        g_string_truncate(stream->unfinished, 0);
    } else if (complete) {
        progress_view_print(stream->view, text, complete);
    }
    g_string_append_len(stream->unfinished, text + complete, (gssize)(size - complete));
    return (ssize_t)size; /* stderr that is gone is no reason to stop a check */
}

static int close_stream(void *opaque)
{
    MessageStream *stream = opaque;

    if (stream->unfinished->len) {
        progress_view_print(stream->view, stream->unfinished->str, stream->unfinished->len);
    }
    g_string_free(stream->unfinished, TRUE);
    g_free(stream);
    return 0;
}

FILE *message_stream_new(ProgressView *view)
{
    static const cookie_io_functions_t functions = {.write = write_lines, .close = close_stream};
    MessageStream *stream = g_new(MessageStream, 1);
    FILE *file;

    *stream = (MessageStream){.view = view, .unfinished = g_string_new(NULL)};
    file = fopencookie(stream, "w", functions);
    if (!file) {
        g_error("Could not open a stream: no memory"); /* as all of glib does then */
    }
    setvbuf(file, NULL, isatty(STDERR_FILENO) ? _IOLBF : _IOFBF, MESSAGE_BUFFER);
    return file;
}
