/*
 * Running the stock qemu-img: see ui/fallback.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/fallback.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "util/program-path.h"

#define FALLBACK_VARIABLE "QEMU_IMG_FALLBACK"
#define LOOP_VARIABLE     "QEMU_IMG_FALLBACK_ACTIVE"
#define DIVERTED_NAME     "qemu-img.distrib" /* as dpkg-divert names it */

const char *const stock_commands[] = {
    "amend", "bench", "bitmap",  "commit", "compare", "convert",  "create", "dd",
    "info",  "map",   "measure", "rebase", "resize",  "snapshot", NULL,
};

static bool is_this_program(const char *path)
{
    g_autofree char *program = program_path();
    struct stat self;
    struct stat other;

    return stat(program, &self) == 0 && stat(path, &other) == 0 && self.st_dev == other.st_dev &&
           self.st_ino == other.st_ino;
}

static bool is_usable(const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_REGULAR) && access(path, X_OK) == 0 && !is_this_program(path);
}

/* The folders in which execvp() looks. */
static char **search_folders(void)
{
    const char *path = g_getenv("PATH");
    size_t size = path ? 0 : confstr(_CS_PATH, NULL, 0);
    g_autofree char *usual = size > 0 ? g_malloc(size) : NULL;

    if (usual) {
        confstr(_CS_PATH, usual, size);
        path = usual;
    }
    return g_strsplit(path && *path ? path : ".", ":", -1);
}

/* The path of the stock tool that a package has moved aside for this program, to be freed. */
static char *diverted_path(void)
{
    g_autofree char *program = program_path();
    g_autofree char *folder = g_path_get_dirname(program);

    return *program ? g_build_filename(folder, DIVERTED_NAME, NULL) : NULL;
}

static char *search_path(void)
{
    g_auto(GStrv) folders = search_folders();

    for (size_t i = 0; folders[i]; i++) {
        g_autofree char *path = g_build_filename(*folders[i] ? folders[i] : ".", "qemu-img", NULL);

        if (is_usable(path)) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

/* The path of the stock tool, NULL and @errp set if there is none. */
static char *find_stock_tool(GError **errp)
{
    const char *chosen = g_getenv(FALLBACK_VARIABLE);
    g_autofree char *diverted = diverted_path();
    char *found = NULL;

    if (g_getenv(LOOP_VARIABLE)) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_LOOP, "what was found is this program again");
        return NULL;
    }
    if (chosen && *chosen) {
        if (is_usable(chosen)) {
            return g_strdup(chosen);
        }
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                    FALLBACK_VARIABLE " is '%s', which is no other program that can be run", chosen);
        return NULL;
    }
    if (is_usable(CONFIG_FALLBACK)) {
        return g_strdup(CONFIG_FALLBACK);
    }
    if (diverted && is_usable(diverted)) {
        return g_steal_pointer(&diverted);
    }
    found = search_path();
    if (!found) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                    "none was found; install it, or set " FALLBACK_VARIABLE " to its path");
    }
    return found;
}

void fallback_exec(char **argv, GError **errp)
{
    g_autofree char *path = find_stock_tool(errp);

    if (path) {
        fflush(NULL);
        setenv(LOOP_VARIABLE, "1", 1);
        execv(path, argv);
        g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno), "could not run '%s': %s", path,
                    g_strerror(errno));
        unsetenv(LOOP_VARIABLE);
    }
}

gboolean fallback_run(char **argv, GError **errp)
{
    g_autofree char *path = find_stock_tool(errp);
    pid_t child;
    int status;

    if (!path) {
        return FALSE;
    }
    fflush(NULL);
    child = fork();
    if (child == 0) {
        setenv(LOOP_VARIABLE, "1", 1);
        execv(path, argv);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED, "could not run '%s'", path);
        return FALSE;
    }
    return TRUE;
}
