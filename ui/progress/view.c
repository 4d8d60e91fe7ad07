/*
 * The view of a check that runs: see ui/progress/view.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/progress/view.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "qapi/json-output.h"
#include "qapi/qapi-visit.h"
#include "ui/output/terminal.h"
#include "ui/progress/bar.h"

#define INTERVAL    (PROGRESS_INTERVAL_MS * G_TIME_SPAN_MILLISECOND)
#define WIDEST_BAR  200u /* columns */
#define CLEAR_LINE  "\r\033[K"
#define PATIENCE_MS 1000 /* with a reader of lines who has not taken the last but one */

struct ProgressView {
    const ProgressState *state;
    GThread *thread; /* NULL: the caller updates */
    GMutex lock;     /* for everything below, and for writing to the terminal */
    GCond ended;
    bool ending;
    bool bar;
    bool visible;       /* the bar is on the terminal now */
    int fd;             /* -1: no lines, or no longer */
    gint64 start;       /* monotonic, microseconds, as the next */
    gint64 next_update; /* where the caller updates */
};

/* False when it cannot all be written. */
static bool write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        text += MAX(n, 0);
        size -= (size_t)MAX(n, 0);
    }
    return true;
}

/* ---- all with the lock held ---- */

static void draw_bar(ProgressView *view, const ImageCheckProgress *progress)
{
    g_autofree char *bar = progress_bar(progress, MIN(terminal_columns(STDERR_FILENO), WIDEST_BAR));
    g_autofree char *line = g_strconcat(CLEAR_LINE, bar, NULL); /* one write: SIGUSR1 may answer in between */

    view->visible = write_all(STDERR_FILENO, line, strlen(line));
}

static void hide_bar(ProgressView *view)
{
    if (view->visible) {
        write_all(STDERR_FILENO, CLEAR_LINE, strlen(CLEAR_LINE));
        view->visible = false;
    }
}

/* A line that nobody takes is left out: a reader who has stopped must not stop the check. */
static void write_line(ProgressView *view, ImageCheckProgress *progress)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autoptr(Visitor) visitor = json_output_visitor_new_string(line, false);
    struct pollfd room = {.fd = view->fd, .events = POLLOUT};

    if (poll(&room, 1, view->ending ? PATIENCE_MS : 0) != 1) {
        return;
    }
    visit_type_ImageCheckProgress(visitor, NULL, progress, NULL);
    visit_complete(visitor, NULL);
    g_string_append_c(line, '\n');
    if (!write_all(view->fd, line->str, line->len)) {
        view->fd = -1;
    }
}

static void update(ProgressView *view)
{
    double elapsed = (double)(g_get_monotonic_time() - view->start) / G_USEC_PER_SEC;
    ImageCheckProgress progress = progress_read(view->state, elapsed);

    if (view->bar && !view->ending) {
        draw_bar(view, &progress);
    }
    if (view->fd >= 0) {
        write_line(view, &progress);
    }
}

/* ---- */

static void *show(void *opaque)
{
    ProgressView *view = opaque;
    gint64 next = view->start;

    g_mutex_lock(&view->lock);
    while (!view->ending) {
        next += INTERVAL;
        if (!g_cond_wait_until(&view->ended, &view->lock, next)) {
            update(view);
        }
    }
    g_mutex_unlock(&view->lock);
    return NULL;
}

ProgressView *progress_view_new(const ProgressState *state, bool bar, int fd, bool thread)
{
    ProgressView *view;

    bar = bar && isatty(STDERR_FILENO);
    if (!bar && fd < 0) {
        return NULL;
    }
    view = g_new0(ProgressView, 1);
    *view = (ProgressView){.state = state, .bar = bar, .fd = fd, .start = g_get_monotonic_time()};
    view->next_update = view->start + INTERVAL;
    g_mutex_init(&view->lock);
    g_cond_init(&view->ended);
    view->thread = thread ? g_thread_try_new("progress", show, view, NULL) : NULL;
    return view;
}

void progress_view_update(ProgressView *view)
{
    gint64 now = g_get_monotonic_time();

    if (view && now >= view->next_update) {
        g_mutex_lock(&view->lock);
        update(view);
        view->next_update = now + INTERVAL;
        g_mutex_unlock(&view->lock);
    }
}

void progress_view_hide(ProgressView *view)
{
    if (view) {
        g_mutex_lock(&view->lock);
        hide_bar(view);
        g_mutex_unlock(&view->lock);
    }
}

void progress_view_print(ProgressView *view, const char *text, size_t size)
{
    if (!view) {
        write_all(STDERR_FILENO, text, size);
        return;
    }
    g_mutex_lock(&view->lock);
    hide_bar(view);
    write_all(STDERR_FILENO, text, size);
    g_mutex_unlock(&view->lock);
}

void progress_view_free(ProgressView *view)
{
    if (!view) {
        return;
    }
    g_mutex_lock(&view->lock);
    view->ending = true;
    g_cond_signal(&view->ended);
    g_mutex_unlock(&view->lock);
    if (view->thread) {
        g_thread_join(view->thread);
    }
    update(view);
    hide_bar(view);
    g_cond_clear(&view->ended);
    g_mutex_clear(&view->lock);
    g_free(view);
}
