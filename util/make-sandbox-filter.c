/*
 * Makes the filters of util/sandbox-filter.h, a C file on standard output. Run by the build, so that no start of the
 * program has to load libseccomp, and to make a filter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util/sandbox-filter.h"

/* Names that this kind of machine lacks are passed over. */
static const char *const always[] = {
    /* what is open */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek",
    "fstat", "newfstatat", "statx", "close", "fcntl", "fsync", "fdatasync", "ftruncate", "fallocate", "fadvise64",
    "poll", "ppoll", "eventfd2",
    /* memory */
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise",
    /* threads */
    "futex", "set_robust_list", "rseq", "exit", "exit_group", "sched_yield", "sched_getaffinity", "sched_getattr",
    "membarrier", "gettid",
    /* signals */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "tgkill", "getpid",
    /* the rest */
    "clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday", "getrandom", "getrusage", "getrlimit", "sysinfo",
    "uname", "getuid", "geteuid", "getgid", "getegid", NULL};

static const char *const files[] = {"open",       "openat",    "stat",       "lstat",  "access",     "faccessat",
                                    "faccessat2", "readlink",  "readlinkat", "getcwd", "getdents64", "rename",
                                    "renameat",   "renameat2", "linkat",     "unlink", "unlinkat",   "fchmod",
                                    "fchown",     "umask",     NULL};

static const char *const ring[] = {"io_uring_setup", "io_uring_enter", "io_uring_register", NULL};

static const char *const network[] = {
    "socket",  "socketpair", "connect",       "bind",       "sendto",      "sendmsg",     "sendmmsg", "recvfrom",
    "recvmsg", "recvmmsg",   "getsockopt",    "setsockopt", "getsockname", "getpeername", "shutdown", "pipe2",
    "select",  "pselect6",   "epoll_create1", "epoll_ctl",  "epoll_wait",  "epoll_pwait", NULL};

static void check(int result)
{
    if (result < 0) {
        fprintf(stderr, "make-sandbox-filter: %d\n", result);
        exit(1);
    }
}

static void pass(scmp_filter_ctx filter, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);

        if (number >= 0) {
            check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0));
        }
    }
}

/* Calls that pass with some arguments only. */
static void pass_some(scmp_filter_ctx filter)
{
    static const unsigned requests[] = {TCGETS, TIOCGWINSZ};

    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
        check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, requests[i])));
    }
    /* asking for limits, not setting them */
    check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0)));
    check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)));
    /* threads, not processes; the flags of clone3 cannot be seen, and without it the C library takes clone */
    check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                           SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)));
    check(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
}

static void print(scmp_filter_ctx filter, unsigned set)
{
    FILE *file = tmpfile();
    struct sock_filter step;

    if (!file) {
        perror("make-sandbox-filter");
        exit(1);
    }
    check(seccomp_export_bpf(filter, fileno(file)));
    rewind(file);
    printf("static struct sock_filter filter_%u[] = {\n", set);
    while (fread(&step, sizeof(step), 1, file) == 1) {
        printf("    {%u, %u, %u, 0x%x},\n", step.code, step.jt, step.jf, step.k);
    }
    puts("};\n");
    fclose(file);
}

static void make(unsigned set)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

    check(filter ? 0 : -ENOMEM);
    check(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM)));
    check(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2)); /* a search, not a list */
    pass(filter, always);
    pass_some(filter);
    if (set & (SANDBOX_PASS_FILES | SANDBOX_PASS_NETWORK)) {
        pass(filter, files);
    }
    if (set & SANDBOX_PASS_RING) {
        pass(filter, ring);
    }
    if (set & SANDBOX_PASS_NETWORK) {
        pass(filter, network);
    }
    print(filter, set);
    seccomp_release(filter);
}

int main(void)
{
    puts("/* Made by util/make-sandbox-filter.c. */\n#include \"util/sandbox-filter.h\"\n");
    for (unsigned set = 0; set < SANDBOX_FILTERS; set++) {
        make(set);
    }
    puts("const struct sock_fprog sandbox_filters[SANDBOX_FILTERS] = {");
    for (unsigned set = 0; set < SANDBOX_FILTERS; set++) {
        printf("    {sizeof(filter_%u) / sizeof(*filter_%u), filter_%u},\n", set, set, set);
    }
    puts("};");
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
