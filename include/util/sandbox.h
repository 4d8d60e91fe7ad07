/*
 * The sandbox: a process keeps what it has open, and can open nothing else, even if an image takes over its code.
 *
 * It has two layers, both of the kernel. Landlock forbids to open, create, rename or run files, and to make TCP
 * connections. Seccomp forbids the system calls that open files, run programs, start processes or create sockets. Each
 * works without the other.
 *
 * io_uring can do some of what seccomp forbids, so it stays allowed only where Landlock protects files too, and never
 * with SANDBOX_ON.
 *
 * Enter the sandbox once, with the files open and before anything is parsed, in a process with one thread; later
 * threads are in it too. Nothing leaves it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SANDBOX_H
#define UTIL_SANDBOX_H

#include <glib.h>
#include <stdbool.h>

typedef enum SandboxMode {
    SANDBOX_AUTO, /* the layers that the system has */
    SANDBOX_ON,   /* both, and no io_uring */
    SANDBOX_OFF,
} SandboxMode;

typedef enum SandboxLayers {
    SANDBOX_LANDLOCK = 1,
    SANDBOX_SECCOMP = 2,
} SandboxLayers;

typedef struct SandboxNeeds {
    bool network;             /* allow connections, and reading files: host names and keys need that */
    const char *const *files; /* paths at which files will be renamed, with NULL at the end; NULL: none. Only their
                                 folders can be written to. */
} SandboxNeeds;

/*
 * Enters the sandbox, and sets *@layers to the SandboxLayers that work. Returns false and sets @errp if @mode is
 * SANDBOX_ON and a layer is missing.
 */
bool sandbox_enter(SandboxMode mode, const SandboxNeeds *needs, unsigned *layers, GError **errp);

/* Returns a static name for @layers, such as "landlock+seccomp". */
const char *sandbox_layers_name(unsigned layers);

#endif
