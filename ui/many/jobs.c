/*
 * Checking several images: see ui/many/jobs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/many/jobs.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ui/many/captured-process.h"
#include "ui/many/file-list.h"
#include "ui/many/output.h"
#include "ui/output/terminal.h"
#include "ui/progress/signal.h"
#include "ui/progress/view.h"
#include "util/error-report.h"

#define MAX_AHEAD  256u /* images beyond the one that is to be printed next */
#define USUAL_JOBS 16u  /* at most, if the user does not say */
#define SHARES     2u   /* what is left is cut into so many for each that runs, so that all end at about one time */

/* In shared memory, written by a process of checks: not to be trusted. */
typedef struct ManyRecord {
    off_t out_end; /* where the image's part of its output ends, bytes */
    off_t err_end;
    int status;
} ManyRecord;

typedef struct ManyShared {
    size_t checked;       /* how many of the records are complete */
    ManyRecord records[]; /* of the images of the process, in their order */
} ManyShared;

/* A process that checks neighbouring images. */
typedef struct Worker {
    CapturedProcess process;
    size_t first;
    size_t number;
    unsigned users; /* one that waits for it, and the images with output that is not printed */
} Worker;

typedef enum ImageState {
    IMAGE_WAITING,
    IMAGE_STARTED,
    IMAGE_ENDED,
} ImageState;

typedef struct Image {
    ImageState state;
    int status;         /* once it has ended */
    char *failure;      /* why there is no result, or NULL */
    Worker *worker;     /* whose output has its own, or NULL */
    CheckOutput output; /* a part of that */
} Image;

typedef struct Many {
    const CheckOptions *options;
    CheckSome *check;
    void *context;
    GPtrArray *filenames;
    unsigned jobs;
    size_t together; /* images in one process, at most */
    bool alone;      /* from now on each has its own */
    size_t waiting;  /* no image before this one waits */
    size_t printed;
    Image *images;
    Worker **slots; /* who has the slots of the progress, NULL: nobody */
    void *shared;   /* a ManyShared for each slot */
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

/* ---- between the process of a check and the one that waits for it ---- */

static size_t shared_size(size_t together)
{
    return sizeof(ManyShared) + together * sizeof(ManyRecord);
}

static ManyShared *shared_of(const Many *many, unsigned slot)
{
    return (ManyShared *)(void *)((char *)many->shared + slot * shared_size(many->together));
}

void many_checked(ManyProcess *process, int status)
{
    ManyShared *shared = process->shared;
    ManyRecord *record = &shared->records[shared->checked];

    assert(shared->checked < process->number);
    fflush(stdout);
    fflush(stderr);
    *record = (ManyRecord){
        .out_end = lseek(STDOUT_FILENO, 0, SEEK_CUR), .err_end = lseek(STDERR_FILENO, 0, SEEK_CUR), .status = status};
    __atomic_store_n(&shared->checked, shared->checked + 1, __ATOMIC_RELEASE);
}

static void release_worker(Worker *worker)
{
    if (worker && --worker->users == 0) {
        captured_process_clear(&worker->process);
        g_free(worker);
    }
}

/* ---- what a process came to ---- */

static void set_failure(Image *image, char *failure)
{
    image->state = IMAGE_ENDED;
    image->status = 1;
    image->failure = failure;
}

static void set_status(Image *image, int status)
{
    static const int known[] = {0, 1, 2, 3, 63};

    image->state = IMAGE_ENDED;
    image->status = 1; /* also for what no check ends with */
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (status == known[i]) {
            image->status = known[i];
        }
    }
}

static void set_outcome(Image *image, int outcome)
{
    if (WIFSIGNALED(outcome)) {
        set_failure(image, g_strdup_printf("The check was ended by signal %d (%s)", WTERMSIG(outcome),
                                           g_strsignal(WTERMSIG(outcome))));
        return;
    }
    set_status(image, WEXITSTATUS(outcome));
}

/* The bytes of @file from *@start up to @end, as far as there are any; *@start moves there. */
static const char *take_part(GMappedFile *file, off_t end, size_t *start, size_t *size)
{
    size_t length = g_mapped_file_get_length(file);
    size_t from = *start;

    *start = CLAMP(end < 0 ? 0 : (size_t)end, from, length);
    *size = *start - from;
    return *size ? g_mapped_file_get_contents(file) + from : NULL;
}

/* Gives each image of @worker that was checked its status and its part of the output; the others wait again. */
static void share_out(Many *many, Worker *worker, const ManyShared *shared)
{
    const off_t all = G_MAXINT64;
    int outcome = worker->process.outcome;
    size_t most = outcome == 0 ? worker->number : worker->number - 1; /* a bad end is the last one's */
    size_t checked = MIN(__atomic_load_n(&shared->checked, __ATOMIC_ACQUIRE), most);
    bool broken = checked == 0 || outcome != 0;
    size_t out = 0, err = 0;
    g_autoptr(GError) error = NULL;
    bool read = captured_process_read(&worker->process, &error);
    bool again = !read && worker->number > 1; /* there may be room for the output of one */

    many->alone |= again;
    for (size_t i = 0; i < worker->number; i++) {
        Image *image = &many->images[worker->first + i];
        const ManyRecord *record = i < checked ? &shared->records[i] : NULL;

        if (again || i > checked || (i == checked && !broken)) {
            image->state = IMAGE_WAITING;
            many->waiting = MIN(many->waiting, worker->first + i);
            continue;
        }
        if (!read) {
            set_failure(image, g_strdup_printf("Could not read what the check wrote: %s", error->message));
            continue;
        }
        if (record) {
            set_status(image, record->status);
        } else {
            set_outcome(image, outcome);
        }
        image->output.result =
            take_part(worker->process.stdout_file, record ? record->out_end : all, &out, &image->output.result_size);
        image->output.messages =
            take_part(worker->process.stderr_file, record ? record->err_end : all, &err, &image->output.message_size);
        image->worker = worker;
        worker->users++;
    }
}

/* ---- starting ---- */

/* How many images from @first on one process gets. */
static size_t choose_number(const Many *many, size_t first)
{
    size_t end = MIN(many->filenames->len, many->printed + MAX_AHEAD);
    size_t together = many->alone ? 1 : many->together;
    size_t most = CLAMP((many->filenames->len - first) / ((size_t)SHARES * many->jobs), 1, together);
    size_t number = 1;

    while (number < most && first + number < end && many->images[first + number].state == IMAGE_WAITING) {
        number++;
    }
    return number;
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

/* Starts a process for the images from @first on. Returns false if that has to wait till another has ended. */
static bool start_worker(Many *many, size_t first, unsigned slot)
{
    ManyProcess child = {.progress = &many->progress.slot[slot],
                         .at_a_time = many->jobs,
                         .first = first,
                         .number = choose_number(many, first),
                         .shared = shared_of(many, slot)};
    Worker *worker = g_new(Worker, 1);
    int started;

    *worker = (Worker){.first = first, .number = child.number, .users = 1};
    child.shared->checked = 0;
    started = captured_process_start(&worker->process);
    if (started == 1) {
        exit(many->check(many->context, (char **)many->filenames->pdata, &child));
    }
    if (started < 0) {
        g_free(worker);
        if (any_running(many)) {
            return false; /* what it lacks may be there when those that run have ended */
        }
        set_failure(&many->images[first], g_strdup_printf("Could not start a process: %s", g_strerror(-started)));
        __atomic_fetch_add(&many->progress.finished, 1, __ATOMIC_RELAXED);
        return true;
    }
    for (size_t i = 0; i < worker->number; i++) {
        many->images[first + i].state = IMAGE_STARTED;
    }
    many->slots[slot] = worker;
    return true;
}

static void start_workers(Many *many)
{
    for (unsigned slot = 0; slot < many->jobs; slot++) {
        size_t end = MIN(many->filenames->len, many->printed + MAX_AHEAD);

        while (many->waiting < end && many->images[many->waiting].state != IMAGE_WAITING) {
            many->waiting++;
        }
        if (many->waiting == end || (!many->slots[slot] && !start_worker(many, many->waiting, slot))) {
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
    const Worker *worker = many->slots[slot];
    unsigned ended = 0;

    for (size_t i = 0; i < worker->number; i++) {
        ended += many->images[worker->first + i].state == IMAGE_ENDED;
    }
    __atomic_fetch_add(&many->progress.finished_bytes, progress->bytes_done, __ATOMIC_RELAXED);
    *progress = (CheckProgress){0};
    __atomic_fetch_add(&many->progress.finished, ended, __ATOMIC_RELAXED);
    many->slots[slot] = NULL;
}

/* Children of others are possible, too: a shell may have started them before it became this program. */
static void wait_for_worker(Many *many)
{
    int outcome;
    pid_t pid = many->view ? wait_and_show(many->view, &outcome) : waitpid(-1, &outcome, 0);

    for (unsigned slot = 0; slot < many->jobs; slot++) {
        Worker *worker = many->slots[slot];

        if (worker && worker->process.pid == pid) {
            worker->process.outcome = outcome;
            share_out(many, worker, shared_of(many, slot));
            release_slot(many, slot);
            release_worker(worker);
        }
    }
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
    while (many->printed < many->filenames->len && many->images[many->printed].state == IMAGE_ENDED) {
        Image *image = &many->images[many->printed];
        const char *filename = g_ptr_array_index(many->filenames, many->printed);

        progress_view_hide(many->view);
        note_worst(many, image->status);
        print_one_of_many(many->options, many->printed, filename, &image->output, image->status, image->failure,
                          many->table);
        release_worker(g_steal_pointer(&image->worker));
        g_clear_pointer(&image->failure, g_free);
        many->printed++;
    }
}

/* ---- the whole ---- */

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

/* Progress, and records of what was checked, that the processes of the checks write to. */
static bool share_memory(Many *many)
{
    size_t progress = many->jobs * sizeof(CheckProgress), all = progress + many->jobs * shared_size(many->together);
    /* cppcheck-suppress invalidFunctionArg ; no file is mapped */
    void *memory = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        return false;
    }
    many->progress = (ProgressState){.images = many->filenames->len, .slots = many->jobs, .slot = memory};
    many->shared = (char *)memory + progress;
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
        start_workers(many);
        if (any_running(many)) {
            wait_for_worker(many);
        }
        print_ended(many);
    }
}

int check_many(const CheckOptions *options, size_t together, CheckSome *check, void *context)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) filenames = collect_filenames(options, &error);
    g_autofree Image *images = NULL;
    g_autofree Worker **slots = NULL;
    g_autoptr(ManyTable) table = NULL;
    Many many = {.options = options, .together = together, .check = check, .context = context, .filenames = filenames};

    if (error) {
        error_report("%s", error->message);
        return 1;
    }
    if (filenames->len == 0) {
        return 0;
    }
    many.jobs = MIN(options->jobs ? options->jobs : MIN(g_get_num_processors(), USUAL_JOBS), filenames->len);
    many.images = images = g_new0(Image, filenames->len);
    many.slots = slots = g_new0(Worker *, many.jobs);
    if (!share_memory(&many)) {
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
