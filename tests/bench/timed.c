/*
 * Runs a command and tells what it took.
 *
 *     timed STDOUT STDERR COMMAND [ARGUMENT...]
 *
 * The command's output goes to the files STDOUT and STDERR. Prints a JSON object: status (of exit, or minus the
 * number of the signal), seconds (from before the start to after the end), cpu (seconds of all its threads), rss (the
 * most resident memory, bytes) and read (bytes that it asked of read calls; io_uring does not count there).
 *
 * A small program of its own, because the kernel counts the memory of the process that forks to the child's
 * highest resident size, and an interpreter is larger than what is to be measured here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double in_seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static pid_t start(char **argv)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int err;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, argv[1], flags, 0666);
    posix_spawn_file_actions_addopen(&actions, 2, argv[2], flags, 0666);
    err = posix_spawnp(&pid, argv[3], &actions, NULL, argv + 3, environ);
    if (err) {
        fprintf(stderr, "timed: %s: %s\n", argv[3], strerror(err));
        exit(EXIT_FAILURE);
    }
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* @pid must have ended and not been waited for, which keeps its numbers in place; 0 where there are none. */
static uint64_t bytes_read(pid_t pid)
{
    char path[64];
    uint64_t bytes = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
    file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "rchar: %" SCNu64, &bytes) != 1) {
            bytes = 0;
        }
        fclose(file);
    }
    return bytes;
}

int main(int argc, char **argv)
{
    struct rusage usage;
    siginfo_t info;
    double before, seconds;
    uint64_t read;
    int status;
    pid_t pid;

    if (argc < 4) {
        fprintf(stderr, "usage: timed STDOUT STDERR COMMAND [ARGUMENT...]\n");
        return EXIT_FAILURE;
    }
    before = now();
    pid = start(argv);
    while (waitid(P_PID, pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    seconds = now() - before;
    read = bytes_read(pid);
    if (wait4(pid, &status, 0, &usage) != pid) {
        perror("timed: wait");
        return EXIT_FAILURE;
    }
    printf("{\"status\": %d, \"seconds\": %.6f, \"cpu\": %.6f, \"rss\": %" PRIu64 ", \"read\": %" PRIu64 "}\n",
           WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), seconds,
           in_seconds(&usage.ru_utime) + in_seconds(&usage.ru_stime), (uint64_t)usage.ru_maxrss * 1024, read);
    return EXIT_SUCCESS;
}
