/*
 * A part of the program that runs in a process of its own, its output caught.
 *
 * Not thread safe: a process is started from a program that has no other threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_CAPTURED_PROCESS_H
#define UI_MANY_CAPTURED_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct CapturedProcess {
    pid_t pid;   /* 0: not running */
    int out;     /* what went to stdout, a file in memory; -1: none */
    int err;     /* what went to stderr */
    int outcome; /* as waitpid() has it, once it has ended */
} CapturedProcess;

/* The value of a process that was not started. */
#define CAPTURED_PROCESS_INIT ((CapturedProcess){.out = -1, .err = -1})

/*
 * Forks. Returns 1 in the new process, which is to end with exit(); 0 in the old one, with @process filled; or a
 * negative errno value.
 */
int captured_process_start(CapturedProcess *process);

/* Closes the files. The process has ended, or was never started. */
void captured_process_clear(CapturedProcess *process);

#endif
