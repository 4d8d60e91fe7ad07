/*
 * The file of the running program: see util/program-path.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/program-path.h"

#include <glib.h>
#include <sys/auxv.h>

char *program_path(void)
{
    char *link = g_file_read_link("/proc/self/exe", NULL);
    const char *named;

    if (link) {
        return link;
    }
    named = (const char *)getauxval(AT_EXECFN);
    return g_strdup(named ? named : "");
}
