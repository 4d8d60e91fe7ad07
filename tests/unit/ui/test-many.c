/*
 * Several images, some of them in one process: which result is whose, whose failure it is if a process ends early, and
 * what becomes of those whose process wrote too much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ui/many/captured-process.h"
#include "ui/many/jobs.h"

#define IMAGES   30u
#define TOGETHER 4u

#define TOO_LARGE (INT64_C(1) << 56) /* bytes: more than can be mapped */

/* What becomes of image @index, in any process. */
static bool is_killed(size_t index)
{
    return index % 7 == 3;
}

static bool is_alone(size_t index)
{
    return index % 11 == 5;
}

/* Where others are in its process. */
static bool is_too_large(size_t index)
{
    return index == 18;
}

static int status_of(size_t index)
{
    return index % 5 == 2 ? 3 : 0;
}

static void print_result(const char *filename, size_t index)
{
    printf("result of %s\n", filename);
    if (status_of(index)) {
        fprintf(stderr, "found in %s\n", filename);
    }
    if (is_killed(index)) {
        fflush(NULL);
        raise(SIGKILL);
    }
}

/* Checks images up to one that has to be checked alone. */
static int check(void *context, char *const *filenames, ManyProcess *process)
{
    size_t end = process->first + process->number;

    g_assert_cmpuint(process->number, <=, TOGETHER);
    if (is_alone(process->first)) {
        print_result(filenames[process->first], process->first);
        return status_of(process->first);
    }
    for (size_t i = process->first; i < end && !is_alone(i); i++) {
        print_result(filenames[i], i);
        if (is_too_large(i) && process->number > 1) {
            g_assert_cmpint(ftruncate(STDERR_FILENO, TOO_LARGE), ==, 0);
        }
        many_checked(process, status_of(i));
    }
    return 0;
}

static char **make_names(void)
{
    char **names = g_new0(char *, IMAGES + 1);

    for (size_t i = 0; i < IMAGES; i++) {
        names[i] = g_strdup_printf("image-%zu", i);
    }
    return names;
}

/* The output of check_many() in a process of its own; its exit status. */
static int run_all(unsigned jobs, char **names, CapturedProcess *process)
{
    CheckOptions options = {.filenames = names, .jobs = jobs, .progress_fd = -1};

    if (captured_process_start(process) == 1) {
        exit(check_many(&options, TOGETHER, check, NULL));
    }
    g_assert_cmpint(waitpid(process->pid, &process->outcome, 0), ==, process->pid);
    g_assert_true(WIFEXITED(process->outcome));
    g_assert_true(captured_process_read(process, NULL));
    return WEXITSTATUS(process->outcome);
}

static char *text_of(GMappedFile *file)
{
    return g_strndup(g_mapped_file_get_contents(file), g_mapped_file_get_length(file));
}

static void test_results(gconstpointer jobs)
{
    g_auto(GStrv) names = make_names();
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GString) err = g_string_new(NULL);
    g_autofree char *found_out = NULL;
    g_autofree char *found_err = NULL;
    CapturedProcess process;

    for (size_t i = 0; i < IMAGES; i++) {
        g_string_append_printf(out, "%s%s:\n", i > 0 ? "\n" : "", names[i]);
        if (status_of(i)) {
            g_string_append_printf(err, "%s: found in %s\n", names[i], names[i]);
        }
        if (is_killed(i)) {
            g_string_append(out, "No result: see the messages.\n");
            g_string_append_printf(err, "%s: The check was ended by signal 9 (Killed)\n", names[i]);
        } else {
            g_string_append_printf(out, "result of %s\n", names[i]);
        }
    }
    g_assert_cmpint(run_all(GPOINTER_TO_UINT(jobs), names, &process), ==, 1);
    found_out = text_of(process.stdout_file);
    found_err = text_of(process.stderr_file);
    g_assert_cmpstr(found_out, ==, out->str);
    g_assert_cmpstr(found_err, ==, err->str);
    captured_process_clear(&process);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/many/a process that is killed loses the result of one image", GUINT_TO_POINTER(1),
                         test_results);
    g_test_add_data_func("/many/the same with three at a time", GUINT_TO_POINTER(3), test_results);
    return g_test_run();
}
