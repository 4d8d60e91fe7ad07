/*
 * A forked process, with its output in files in memory.
 *
 * Fork only while the program has a single thread. All functions: the thread that forks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_CAPTURED_PROCESS_H
#define UI_MANY_CAPTURED_PROCESS_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct CapturedProcess {
    pid_t pid;                /* 0: not running */
    int out;                  /* its stdout, a file in memory; -1: none */
    int err;                  /* its stderr, a file in memory; -1: none */
    int outcome;              /* from waitpid(), once it has ended */
    GMappedFile *stdout_file; /* from captured_process_read(); NULL: nothing was written */
    GMappedFile *stderr_file;
} CapturedProcess;

/* A process that was not started. */
#define CAPTURED_PROCESS_INIT ((CapturedProcess){.out = -1, .err = -1})

/*
 * Forks. Returns 1 in the new process, which has to end with exit(); 0 in the old one, having filled @process; or a
 * negative errno value.
 */
int captured_process_start(CapturedProcess *process);

/* Maps the output of a process that has ended, and closes the files. Returns false and sets @errp on failure. */
bool captured_process_read(CapturedProcess *process, GError **errp);

/* Closes and unmaps the files of a process that has ended or was never started. */
void captured_process_clear(CapturedProcess *process);

#endif
