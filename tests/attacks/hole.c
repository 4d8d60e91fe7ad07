/*
 * A deliberate hole: preloaded, it makes each read of the image, and each write at a place of a file, do what an image
 * that has taken over the program would do, and says on standard error how far it came. For tests/attacks/run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *outcome(long result)
{
    return result < 0 ? strerrorname_np(errno) : "done";
}

static const char *try_process(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
    return outcome(pid);
}

/* Does all that should not be possible, and says how far it came. */
static void take_over(void)
{
    static __thread int trying; /* the attempts may read, too */
    char line[200];

    if (!trying++) {
        int file = open("/etc/passwd", O_RDONLY);
        const char *opened = outcome(file);
        const char *made = outcome(open("made-by-the-image", O_WRONLY | O_CREAT, 0600));
        const char *connected = outcome(socket(AF_INET, SOCK_STREAM, 0));
        const char *forked = try_process();
        /* there is no such program: that is what is heard where starting one is allowed */
        const char *started = outcome(execl("/nowhere/program", "program", NULL));

        snprintf(line, sizeof(line), "hole: open %s, create %s, socket %s, fork %s, exec %s\n", opened, made, connected,
                 forked, started);
        if (write(STDERR_FILENO, line, strlen(line)) < 0) {
            _exit(99);
        }
    }
    trying--;
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t offset)
{
    static ssize_t (*real)(int, void *, size_t, off_t);

    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "pread64");

        memcpy(&real, &symbol, sizeof(real));
    }
    take_over();
    return real(fd, buffer, size, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);

    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "pwrite64");

        memcpy(&real, &symbol, sizeof(real));
    }
    take_over();
    return real(fd, buffer, size, offset);
}
