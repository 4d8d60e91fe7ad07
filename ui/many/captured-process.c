/*
 * Processes whose output is caught: see ui/many/captured-process.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/many/captured-process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static void set_up_child(const CapturedProcess *process)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGTERM); /* nobody would see what it finds */
    signal(SIGUSR1, SIG_IGN);         /* the parent answers for all */
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(process->out, STDOUT_FILENO);
    dup2(process->err, STDERR_FILENO);
}

int captured_process_start(CapturedProcess *process)
{
    int error = 0;

    *process = CAPTURED_PROCESS_INIT;
    process->out = memfd_create("stdout", MFD_CLOEXEC);
    process->err = memfd_create("stderr", MFD_CLOEXEC);
    fflush(NULL); /* or both would print what is in the buffers */
    process->pid = process->out < 0 || process->err < 0 ? -1 : fork();
    if (process->pid == 0) {
        set_up_child(process);
        return 1;
    }
    if (process->pid < 0) {
        error = -errno;
        captured_process_clear(process);
    }
    return error;
}

static void close_files(CapturedProcess *process)
{
    if (process->out >= 0) {
        close(process->out);
    }
    if (process->err >= 0) {
        close(process->err);
    }
    process->out = process->err = -1;
}

bool captured_process_read(CapturedProcess *process, GError **errp)
{
    process->stdout_file = g_mapped_file_new_from_fd(process->out, FALSE, errp);
    process->stderr_file = process->stdout_file ? g_mapped_file_new_from_fd(process->err, FALSE, errp) : NULL;
    close_files(process);
    return process->stderr_file != NULL;
}

void captured_process_clear(CapturedProcess *process)
{
    close_files(process);
    g_clear_pointer(&process->stdout_file, g_mapped_file_unref);
    g_clear_pointer(&process->stderr_file, g_mapped_file_unref);
    *process = CAPTURED_PROCESS_INIT;
}
