/*
 * Checking several images: see ui/many/jobs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/many/jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ui/many/captured-process.h"
#include "ui/many/file-list.h"
#include "ui/many/output.h"
#include "ui/output/terminal.h"
#include "ui/progress/signal.h"
#include "ui/progress/view.h"
#include "util/error-report.h"

#define MAX_AHEAD   256u /* images beyond the one that is to be printed next */
#define USUAL_JOBS  16u  /* at most, if the user does not say */
#define OTHER_FILES 32u  /* open files that are no output of a check */

typedef struct Image {
    CapturedProcess process;
    bool ended;
    int status;    /* once it has ended */
    char *failure; /* why there is no result, or NULL */
} Image;

typedef struct Many {
    const CheckOptions *options;
    CheckOne *check;
    void *context;
    GPtrArray *filenames;
    unsigned jobs;
    size_t ahead;
    size_t started; /* images that are running or have ended */
    size_t printed;
    Image *images;
    Image **slots; /* whose the slots of the progress are, NULL: nobody's */
    ProgressState progress;
    ProgressView *view;
    ManyTable *table; /* NULL: none is printed */
    int worst;
} Many;

static int badness(int status)
{
    static const int worst_first[] = {1, 2, 3, 63, 0};
    int place = 0;

    while (worst_first[place] != status) {
        place++;
    }
    return -place;
}

/* ---- what a process came to ---- */

static void set_failure(Image *image, char *failure)
{
    image->ended = true;
    image->status = 1;
    image->failure = failure;
}

static void set_outcome(Image *image)
{
    static const int known[] = {0, 1, 2, 3, 63};
    int outcome = image->process.outcome;

    image->ended = true;
    if (WIFSIGNALED(outcome)) {
        set_failure(image, g_strdup_printf("The check was ended by signal %d (%s)", WTERMSIG(outcome),
                                           g_strsignal(WTERMSIG(outcome))));
        return;
    }
    image->status = 1; /* also for what no check ends with */
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (WEXITSTATUS(outcome) == known[i]) {
            image->status = known[i];
        }
    }
}

/* ---- starting ---- */

static bool start_image(Many *many, size_t index, unsigned slot)
{
    Image *image = &many->images[index];
    const char *filename = g_ptr_array_index(many->filenames, index);
    int started = captured_process_start(&image->process);

    if (started == 1) {
        exit(many->check(many->context, index, filename, many->jobs, &many->progress.slot[slot]));
    }
    if (started < 0) {
        if (many->started > many->printed) {
            return false; /* what it lacks may be there when those that run have ended */
        }
        set_failure(image, g_strdup_printf("Could not start a process: %s", g_strerror(-started)));
        __atomic_fetch_add(&many->progress.finished, 1, __ATOMIC_RELAXED);
        many->started++;
        return true;
    }
    many->slots[slot] = image;
    many->started++;
    return true;
}

static void start_images(Many *many)
{
    for (unsigned slot = 0; slot < many->jobs; slot++) {
        if (many->started == many->filenames->len || many->started >= many->printed + many->ahead) {
            return;
        }
        if (!many->slots[slot] && !start_image(many, many->started, slot)) {
            return;
        }
    }
}

/* ---- waiting ---- */

/* Waits for a child while the view is kept up to date. */
static pid_t wait_and_show(ProgressView *view, int *outcome)
{
    const struct timespec interval = {.tv_nsec = PROGRESS_INTERVAL_MS * 1000000L};
    sigset_t child;
    pid_t pid;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    while ((pid = waitpid(-1, outcome, WNOHANG)) == 0) {
        sigtimedwait(&child, NULL, &interval); /* whatever it returns, a look at the children is due */
        progress_view_update(view);
    }
    return pid;
}

static void release_slot(Many *many, unsigned slot)
{
    CheckProgress *progress = &many->progress.slot[slot];

    __atomic_fetch_add(&many->progress.finished_bytes, progress->bytes_done, __ATOMIC_RELAXED);
    *progress = (CheckProgress){0};
    __atomic_fetch_add(&many->progress.finished, 1, __ATOMIC_RELAXED);
    many->slots[slot] = NULL;
}

/* Children of others are possible, too: a shell may have started them before it became this program. */
static void wait_for_image(Many *many)
{
    int outcome;
    pid_t pid = many->view ? wait_and_show(many->view, &outcome) : waitpid(-1, &outcome, 0);

    for (unsigned slot = 0; slot < many->jobs; slot++) {
        Image *image = many->slots[slot];

        if (image && image->process.pid == pid) {
            image->process.outcome = outcome;
            set_outcome(image);
            release_slot(many, slot);
        }
    }
}

static bool any_running(const Many *many)
{
    for (unsigned slot = 0; slot < many->jobs; slot++) {
        if (many->slots[slot]) {
            return true;
        }
    }
    return false;
}

/* ---- printing ---- */

static void note_worst(Many *many, int status)
{
    if (many->options->backing_chain && many->printed > 0 && status == 63) {
        status = 0;
    }
    if (badness(status) > badness(many->worst)) {
        many->worst = status;
    }
}

static void print_ended(Many *many)
{
    while (many->printed < many->started && many->images[many->printed].ended) {
        Image *image = &many->images[many->printed];
        const char *filename = g_ptr_array_index(many->filenames, many->printed);

        progress_view_hide(many->view);
        note_worst(many, print_one_of_many(many->options, many->printed, filename, &image->process, image->status,
                                           image->failure, many->table));
        captured_process_clear(&image->process);
        g_clear_pointer(&image->failure, g_free);
        many->printed++;
    }
}

/* ---- */

/* How far checks may run ahead of the printing: each keeps two files open till then. */
static size_t images_ahead(unsigned jobs)
{
    struct rlimit files;
    size_t ahead = MAX_AHEAD;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * MAX_AHEAD + OTHER_FILES) {
        ahead = files.rlim_cur > OTHER_FILES ? (files.rlim_cur - OTHER_FILES) / 2 : 1;
    }
    return MAX(ahead, jobs);
}

static GPtrArray *collect_filenames(const CheckOptions *options, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    for (char *const *name = options->filenames; *name; name++) {
        g_ptr_array_add(names, g_strdup(*name));
    }
    if (options->files_from && !file_list_read(options->files_from, names, errp)) {
        return NULL;
    }
    return g_steal_pointer(&names);
}

/* Progress that the processes of the checks write to. */
static bool share_progress(Many *many)
{
    void *slots =
        /* cppcheck-suppress invalidFunctionArg ; no file is mapped */
        mmap(NULL, many->jobs * sizeof(CheckProgress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (slots == MAP_FAILED) {
        return false;
    }
    many->progress = (ProgressState){.images = many->filenames->len, .slots = many->jobs, .slot = slots};
    return true;
}

static void prepare_signals(bool view)
{
    sigset_t child;

    signal(SIGCHLD, SIG_DFL); /* ignored, it would leave nothing to wait for */
    signal(SIGPIPE, SIG_IGN); /* the verdict is in the exit status, whoever stops reading */
    if (view) {
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_BLOCK, &child, NULL);
    }
}

static void run_all(Many *many)
{
    while (many->printed < many->filenames->len) {
        start_images(many);
        if (any_running(many)) {
            wait_for_image(many);
        }
        print_ended(many);
    }
}

int check_many(const CheckOptions *options, CheckOne *check, void *context)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) filenames = collect_filenames(options, &error);
    g_autofree Image *images = NULL;
    g_autofree Image **slots = NULL;
    g_autoptr(ManyTable) table = NULL;
    Many many = {.options = options, .check = check, .context = context, .filenames = filenames};

    if (error) {
        error_report("%s", error->message);
        return 1;
    }
    if (filenames->len == 0) {
        return 0;
    }
    many.jobs = MIN(options->jobs ? options->jobs : MIN(g_get_num_processors(), USUAL_JOBS), filenames->len);
    many.ahead = images_ahead(many.jobs);
    many.images = images = g_new0(Image, filenames->len);
    many.slots = slots = g_new0(Image *, many.jobs);
    if (!share_progress(&many)) {
        error_report("Could not check: %s", g_strerror(errno));
        return 1;
    }
    progress_answer_signal(&many.progress);
    many.view = progress_view_new(&many.progress, options->progress, options->progress_fd, false);
    prepare_signals(many.view != NULL);
    many.table = table = options->table ? many_table_new() : NULL;
    run_all(&many);
    progress_view_free(many.view);
    if (table) {
        if (many_shows_results(options)) {
            fputc('\n', stdout);
        }
        many_table_print(table, stdout, terminal_columns(STDOUT_FILENO), terminal_has_colours(STDOUT_FILENO),
                         many.worst);
    }
    progress_answer_signal(NULL);
    return many.worst;
}
