/*
 * What a process can do no more once it has locked itself in. Each case is a process of its own, which tries, and says
 * by its exit status what it could.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/output-file.h"

#define SKIP 77

/* A file that is open before, with something in it. */
static int open_before(void)
{
    char name[] = "/tmp/test-sandbox-XXXXXX";
    int fd = mkstemp(name);

    unlink(name);
    return write(fd, "before", 6) == 6 ? fd : -1;
}

/* ---- what may be tried: 0 where it was done, else the errno value ---- */

static int try_read_file(void)
{
    return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
}

static int try_make_file(void)
{
    return open("made-in-the-sandbox", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
}

static int try_remove_file(void)
{
    return unlink("/nowhere/at/all") < 0 && errno != ENOENT ? errno : 0;
}

static int try_program(void)
{
    execl("/bin/true", "true", NULL);
    return errno;
}

static int try_process(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 ? errno : 0;
}

static int try_socket(int family)
{
    return socket(family, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int try_unix_socket(void)
{
    return try_socket(AF_UNIX);
}

static int try_inet_socket(void)
{
    return try_socket(AF_INET);
}

/* Port 9 of this machine: refused where connecting is possible at all. */
static int try_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    if (fd < 0) {
        return errno;
    }
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != ECONNREFUSED ? errno : 0;
}

static int try_trace_parent(void)
{
    return kill(getppid(), 0) < 0 ? errno : 0;
}

/* The oldest way to start a ring: the kernel looks at the argument only if it is asked at all. */
static int try_ring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno != EFAULT ? errno : 0;
}

static int try_lift_limit(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? errno : 0;
}

static int (*const everything[])(void) = {try_read_file,   try_make_file,   try_remove_file,  try_process,
                                          try_unix_socket, try_inet_socket, try_trace_parent, try_ring,
                                          try_lift_limit,  try_program};

/* ---- what must go on ---- */

static void *in_thread(void *fd)
{
    char bytes[6];

    return GINT_TO_POINTER(pread(GPOINTER_TO_INT(fd), bytes, sizeof(bytes), 0) == 6 && try_read_file());
}

/* Memory, threads, reading and writing what is open; and a thread is no way out. */
static void go_on(int fd)
{
    pthread_t thread;
    void *ok;

    g_assert_cmpint(pwrite(fd, "after ", 6, 0), ==, 6);
    g_assert_cmpint(pthread_create(&thread, NULL, in_thread, GINT_TO_POINTER(fd)), ==, 0);
    pthread_join(thread, &ok);
    g_assert_true(ok);
    memset(g_malloc(64 << 20), 1, 64 << 20);
    g_assert_cmpint(fsync(fd), ==, 0);
    g_usleep(1);
}

/* ---- processes ---- */

typedef void Child(void);

/* Runs @child in a process; false when it has skipped. */
static void in_process(Child *child)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        child();
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP) {
        g_test_skip("this kernel lacks it, or this build");
        return;
    }
    g_assert_cmpint(status, ==, 0);
}

static void enter(SandboxMode mode, const SandboxNeeds *needs, unsigned wanted)
{
    unsigned layers;

    if (!sandbox_enter(mode, needs, &layers, NULL) || (layers & wanted) != wanted) {
        _exit(SKIP);
    }
}

static const SandboxNeeds nothing = {.files = (const char *const[]){NULL}};

static void everything_refused(void)
{
    int fd = open_before();

    enter(SANDBOX_ON, &nothing, SANDBOX_LANDLOCK | SANDBOX_SECCOMP);
    for (size_t i = 0; i < G_N_ELEMENTS(everything); i++) {
        g_assert_cmpint(everything[i](), !=, 0);
    }
    go_on(fd);
}

/* Makes the kernel one that does not know the system call. */
static void hide_call(unsigned number)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* the number of the call */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {G_N_ELEMENTS(steps), steps};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) {
        _exit(SKIP);
    }
}

static void seccomp_alone(void)
{
    int fd = open_before();

    hide_call(SYS_landlock_create_ruleset);
    enter(SANDBOX_AUTO, &nothing, SANDBOX_SECCOMP);
    for (size_t i = 0; i < G_N_ELEMENTS(everything); i++) {
        g_assert_cmpint(everything[i](), !=, 0);
    }
    go_on(fd);
}

/* Who insists hears what is missing. */
static void on_insists(void)
{
    g_autoptr(GError) error = NULL;
    unsigned layers;

    hide_call(SYS_landlock_create_ruleset);
    g_assert_false(sandbox_enter(SANDBOX_ON, &nothing, &layers, &error));
    g_assert_nonnull(strstr(error->message, "Landlock"));
}

/* Where the kernel has no filters. */
static void landlock_alone(void)
{
    int fd = open_before();

    hide_call(SYS_seccomp);
    enter(SANDBOX_AUTO, &nothing, SANDBOX_LANDLOCK);
    g_assert_cmpint(try_read_file(), ==, EACCES);
    g_assert_cmpint(try_make_file(), ==, EACCES);
    g_assert_cmpint(try_program(), ==, EACCES);
    go_on(fd);
}

/* A ring is for reading; opening files and connecting with it is Landlock's to refuse, and there must be Landlock. */
static void ring_kept(void)
{
    enter(SANDBOX_AUTO, &nothing, SANDBOX_LANDLOCK | SANDBOX_SECCOMP);
    g_assert_cmpint(try_ring(), ==, 0);
    g_assert_cmpint(try_read_file(), !=, 0);
}

/* For an image on a server connections are made, and files may be read, but none written and nothing run. */
static void network_kept(void)
{
    static const SandboxNeeds needs = {.network = true};

    enter(SANDBOX_ON, &needs, 0);
    g_assert_cmpint(try_connect(), ==, 0);
    g_assert_cmpint(try_read_file(), ==, 0);
    g_assert_cmpint(try_make_file(), !=, 0);
    g_assert_cmpint(try_process(), !=, 0);
    g_assert_cmpint(try_program(), !=, 0);
}

/* An output file gets its name at the end, in its own folder; no other folder can be written to. */
static void output_kept(void)
{
    g_autofree char *folder = g_dir_make_tmp("test-sandbox-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "report", NULL);
    const char *const paths[] = {path, NULL};
    SandboxNeeds needs = {.files = paths};
    g_autoptr(GError) error = NULL;
    g_autoptr(OutputFile) file = output_file_new(path, NULL, &error);

    g_assert_no_error(error);
    enter(SANDBOX_ON, &needs, 0);
    fputs("found nothing", output_file_stream(file));
    output_file_commit(file, &error);
    g_assert_no_error(error);
    g_assert_cmpint(try_read_file(), !=, 0);
    g_assert_cmpint(try_make_file(), !=, 0);
    g_assert_cmpint(unlink(path), ==, 0);
}

/* Asked to leave it, it leaves it. */
static void off(void)
{
    unsigned layers = 3;

    g_assert_true(sandbox_enter(SANDBOX_OFF, &nothing, &layers, NULL));
    g_assert_cmpuint(layers, ==, 0);
    g_assert_cmpint(try_read_file(), ==, 0);
    g_assert_cmpint(try_process(), ==, 0);
}

static void test_case(gconstpointer child)
{
    in_process((Child *)child);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/sandbox/everything-refused", everything_refused, test_case);
    g_test_add_data_func("/sandbox/seccomp-alone", seccomp_alone, test_case);
    g_test_add_data_func("/sandbox/on-insists", on_insists, test_case);
    g_test_add_data_func("/sandbox/landlock-alone", landlock_alone, test_case);
    g_test_add_data_func("/sandbox/ring-kept", ring_kept, test_case);
    g_test_add_data_func("/sandbox/network-kept", network_kept, test_case);
    g_test_add_data_func("/sandbox/output-kept", output_kept, test_case);
    g_test_add_data_func("/sandbox/off", off, test_case);
    return g_test_run();
}
