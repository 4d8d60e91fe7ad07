/*
 * The name of an image below another: see ui/chain/name.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/chain/name.h"

#include <glib.h>
#include <string.h>

static bool has_protocol(const char *name)
{
    return name[strcspn(name, ":/")] == ':';
}

bool backing_name_is_remote(const char *name)
{
    return has_protocol(name) && !g_str_has_prefix(name, "file:");
}

/* As in the stock tool, what is behind "file:" goes from the working directory, and links are not followed. */
char *backing_name_resolve(const char *name, const char *overlay)
{
    const char *slash = strrchr(overlay, '/');

    if (has_protocol(name) || *name == '/' || !slash) {
        return g_strdup(name);
    }
    return g_strdup_printf("%.*s%s", (int)(slash + 1 - overlay), overlay, name);
}
