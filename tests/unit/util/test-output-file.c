/*
 * Files that are there as a whole or not at all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/output-file.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Folder {
    char *path;
    char *file; /* in it; not there at first */
} Folder;

static void set_up(Folder *folder, gconstpointer data)
{
    folder->path = g_dir_make_tmp("output-file-XXXXXX", NULL);
    g_assert_nonnull(folder->path);
    folder->file = g_build_filename(folder->path, "result", NULL);
}

static void expect_files(const Folder *folder, unsigned expected)
{
    g_autoptr(GDir) dir = g_dir_open(folder->path, 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    g_assert_cmpuint(n, ==, expected);
}

/* Whatever a test does, it leaves at most the result, and nothing that is hidden. */
static void tear_down(Folder *folder, gconstpointer data)
{
    g_unlink(folder->file);
    g_assert_cmpint(g_rmdir(folder->path), ==, 0);
    g_free(folder->file);
    g_free(folder->path);
}

static void put(const char *path, const char *contents)
{
    g_assert_true(g_file_set_contents(path, contents, -1, NULL));
}

static void expect_contents(const char *path, const char *expected)
{
    g_autofree char *contents = NULL;

    g_assert_true(g_file_get_contents(path, &contents, NULL, NULL));
    g_assert_cmpstr(contents, ==, expected);
}

static OutputFile *begin(const char *path)
{
    g_autoptr(GError) error = NULL;
    OutputFile *file = output_file_new(path, NULL, &error);

    g_assert_no_error(error);
    fputs("new ", output_file_stream(file));
    return file;
}

static void commit(OutputFile *file)
{
    g_autoptr(GError) error = NULL;

    fputs("contents", output_file_stream(file));
    g_assert_true(output_file_commit(file, &error));
    g_assert_no_error(error);
    output_file_free(file);
}

static void expect_refused(const char *path, const char *signature, int code, const char *pattern)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(output_file_new(path, signature, &error));
    g_assert_error(error, G_FILE_ERROR, code);
    g_assert_true(g_pattern_match_simple(pattern, error->message));
}

/* The file is there when it was committed and not before, with the permissions that any new file gets. */
static void test_new(Folder *folder, gconstpointer data)
{
    mode_t mask = umask(027);
    OutputFile *file = begin(folder->file);
    struct stat st;

    g_assert_false(g_file_test(folder->file, G_FILE_TEST_EXISTS));
    commit(file);
    umask(mask);
    expect_contents(folder->file, "new contents");
    g_assert_cmpint(g_stat(folder->file, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0640);
    expect_files(folder, 1);
}

/* A file is replaced in one step: who has it open keeps the old one, whose permissions the new one gets. */
static void test_replaced(Folder *folder, gconstpointer data)
{
    char old[4] = "";
    struct stat st;
    int fd;

    put(folder->file, "old");
    g_assert_cmpint(g_chmod(folder->file, 0604), ==, 0);
    fd = g_open(folder->file, O_RDONLY | O_CLOEXEC);
    commit(begin(folder->file));
    expect_contents(folder->file, "new contents");
    g_assert_cmpint(read(fd, old, 4), ==, 3);
    g_assert_cmpstr(old, ==, "old");
    close(fd);
    g_assert_cmpint(g_stat(folder->file, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0604);
}

/* A file that is given up leaves nothing, and what was there before as it was. */
static void test_given_up(Folder *folder, gconstpointer data)
{
    output_file_free(begin(folder->file));
    expect_files(folder, 0);
    put(folder->file, "old");
    output_file_free(begin(folder->file));
    expect_contents(folder->file, "old");
    expect_files(folder, 1);
}

static bool can_be_nameless(const Folder *folder)
{
    int fd = g_open(folder->path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    return fd >= 0 && close(fd) == 0;
}

/* A process that is killed leaves the old file whole, and nothing else. */
static void test_killed(Folder *folder, gconstpointer data)
{
    pid_t child;
    int status;

    if (!can_be_nameless(folder)) {
        g_test_skip("a hidden file stays behind on this file system");
        return;
    }
    put(folder->file, "old");
    child = fork();
    if (child == 0) {
        OutputFile *file = begin(folder->file);

        fflush(output_file_stream(file));
        raise(SIGKILL);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status));
    expect_contents(folder->file, "old");
    expect_files(folder, 1);
}

/* What is written by the descriptor, at any place in any order, is the file too. */
static void test_descriptor(Folder *folder, gconstpointer data)
{
    OutputFile *file = output_file_new(folder->file, NULL, NULL);

    g_assert_nonnull(file);
    g_assert_cmpint(pwrite(output_file_descriptor(file), "world", 5, 6), ==, 5);
    g_assert_cmpint(pwrite(output_file_descriptor(file), "hello ", 6, 0), ==, 6);
    g_assert_true(output_file_commit(file, NULL));
    output_file_free(file);
    expect_contents(folder->file, "hello world");
}

/* With a signature, a file of another kind is not overwritten: not even one that is a beginning of it. */
static void test_signature(Folder *folder, gconstpointer data)
{
    static const char *const others[] = {"QFI\xfb and more", "\x89PN", "\x89PNg and more"};
    static const char *const ours[] = {"", "\x89PNG", "\x89PNG and more"};

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        put(folder->file, others[i]);
        expect_refused(folder->file, "\x89PNG", G_FILE_ERROR_EXIST, "Will not overwrite '*/result': a file is there*");
        expect_contents(folder->file, others[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(ours); i++) {
        g_autoptr(OutputFile) file = NULL;

        put(folder->file, ours[i]);
        file = output_file_new(folder->file, "\x89PNG", NULL);
        g_assert_nonnull(file);
    }
}

/* The file that a symbolic link names is replaced, not the link. */
static void test_link(Folder *folder, gconstpointer data)
{
    g_autofree char *link = g_build_filename(folder->path, "link", NULL);

    put(folder->file, "old");
    g_assert_cmpint(symlink("result", link), ==, 0);
    commit(begin(link));
    g_assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
    expect_contents(folder->file, "new contents");
    g_unlink(link);
}

/* A device is written to, and is still a device then. */
static void test_device(Folder *folder, gconstpointer data)
{
    struct stat st;

    commit(begin("/dev/null"));
    g_assert_cmpint(g_stat("/dev/null", &st), ==, 0);
    g_assert_true(S_ISCHR(st.st_mode));
}

/* A folder, and a folder that is not there, are refused at once. */
static void test_refused(Folder *folder, gconstpointer data)
{
    g_autofree char *nowhere = g_build_filename(folder->path, "none", "result", NULL);

    expect_refused(folder->path, NULL, G_FILE_ERROR_ISDIR, "Could not write '*': Is a directory");
    expect_refused(nowhere, NULL, G_FILE_ERROR_NOENT, "Could not write '*/none/result': No such file or directory");
}

static void expect_no_room(OutputFile *file)
{
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < 1000; i++) {
        fprintf(output_file_stream(file), "%01023u\n", i);
    }
    g_assert_false(output_file_commit(file, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
    g_assert_true(g_str_has_suffix(error->message, ": No space left on device"));
    output_file_free(file);
}

/* The reason of the first write that failed is told at the end, though a stream alone would have forgotten it. */
static void test_no_room(Folder *folder, gconstpointer data)
{
    expect_no_room(begin("/dev/full"));
}

/* A file that may not grow further is an error, and nothing is left of it. */
static void test_too_large(Folder *folder, gconstpointer data)
{
    struct rlimit limit, small = {.rlim_cur = 4096};
    g_autoptr(GError) error = NULL;
    OutputFile *file;

    put(folder->file, "old");
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    small.rlim_max = limit.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    file = begin(folder->file);
    fprintf(output_file_stream(file), "%05000u", 1);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    g_assert_false(output_file_commit(file, &error));
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    g_assert_nonnull(error);
    g_assert_true(g_str_has_suffix(error->message, ": File too large"));
    output_file_free(file);
    expect_contents(folder->file, "old");
    expect_files(folder, 1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Folder *folder, gconstpointer data);
    } tests[] = {
        {"/output-file/new", test_new},
        {"/output-file/replaced", test_replaced},
        {"/output-file/given-up", test_given_up},
        {"/output-file/killed", test_killed},
        {"/output-file/descriptor", test_descriptor},
        {"/output-file/signature", test_signature},
        {"/output-file/link", test_link},
        {"/output-file/device", test_device},
        {"/output-file/refused", test_refused},
        {"/output-file/no-room", test_no_room},
        {"/output-file/too-large", test_too_large},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].name, Folder, NULL, set_up, tests[i].test, tear_down);
    }
    return g_test_run();
}
