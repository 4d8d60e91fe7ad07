/*
 * Locking the process in: what it has open is all it may use from then on, whatever an image makes of its code.
 *
 * Two layers, both of the kernel. Landlock takes away files: none can be opened, made, renamed or run, and no TCP
 * connection be made. Seccomp takes away system calls: without those that open files, run programs, start processes or
 * make sockets, there is nothing to ask for them with. Each works where the other is missing.
 *
 * io_uring can do some of what a filter of system calls takes away, so it is kept only where Landlock guards files too,
 * and not at all with SANDBOX_ON.
 *
 * Called once, after the files are open and before anything is parsed, by a process that has one thread; those that are
 * started later are locked in too. There is no way out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SANDBOX_H
#define UTIL_SANDBOX_H

#include <glib.h>
#include <stdbool.h>

typedef enum SandboxMode {
    SANDBOX_AUTO, /* the layers that there are */
    SANDBOX_ON,   /* both, and no io_uring */
    SANDBOX_OFF,
} SandboxMode;

typedef enum SandboxLayers {
    SANDBOX_LANDLOCK = 1,
    SANDBOX_SECCOMP = 2,
} SandboxLayers;

typedef struct SandboxNeeds {
    bool network;             /* connections may be made, and files be read, as for names of hosts and for keys */
    const char *const *files; /* paths that get a file at the end, NULL behind the last; NULL = none. Their folders can
                                 be written to, and nothing else. */
} SandboxNeeds;

/* Locks in. *@layers gets the SandboxLayers that were had. False and @errp set where SANDBOX_ON cannot have them all.
 */
bool sandbox_enter(SandboxMode mode, const SandboxNeeds *needs, unsigned *layers, GError **errp);

/* "landlock+seccomp" and so on, for people. */
const char *sandbox_layers_name(unsigned layers);

#endif
