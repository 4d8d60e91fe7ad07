/*
 * Locking the process in: see util/sandbox.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config.h"
#include "util/sandbox-filter.h"

/*
 * Landlock's interface to programs (linux/landlock.h), in full: what headers of the machine that builds this lack, the
 * kernel that runs it may have. Bits that a version of it does not know must not be asked for.
 */
enum {
    FILES_1 = (1 << 13) - 1, /* execute, write, read, read folder, remove 2, make 7 */
    FILES_2 = 1 << 13,       /* link or rename between folders */
    FILES_3 = 1 << 14,       /* truncate */
    FILES_5 = 1 << 15,       /* ioctl of devices */
    FILE_EXECUTE = 1 << 0,
    FILE_WRITE = 1 << 1,
    FILE_READ = 1 << 2,
    FOLDER_READ = 1 << 3,
    FILE_REMOVE = 1 << 5,
    FILE_MAKE = 1 << 8,
    NETWORK_4 = 3, /* TCP: bind, connect */
    SCOPE_6 = 3,   /* abstract unix sockets, and signals, of processes outside */
    RULE_PATH_BENEATH = 1,
    CREATE_RULESET_VERSION = 1,
};

typedef struct Ruleset {
    uint64_t files;
    uint64_t network;
    uint64_t scope;
} Ruleset;

typedef struct __attribute__((packed)) PathBeneath {
    uint64_t allowed;
    int32_t fd;
} PathBeneath;

#ifdef SYS_landlock_create_ruleset
static Ruleset ruleset_for(long version, const SandboxNeeds *needs, size_t *size)
{
    Ruleset rules = {.files = FILES_1};

    *size = version >= 6 ? sizeof(rules) : version >= 4 ? offsetof(Ruleset, scope) : offsetof(Ruleset, network);
    rules.files |= (version >= 2 ? FILES_2 : 0) | (version >= 3 ? FILES_3 : 0) | (version >= 5 ? FILES_5 : 0);
    rules.scope = version >= 6 ? SCOPE_6 : 0;
    if (needs->network) {
        rules.files &= ~(uint64_t)(FILE_READ | FOLDER_READ);
    } else {
        rules.network = version >= 4 ? NETWORK_4 : 0;
    }
    return rules;
}

/* Lets files be made and removed in the folder of @path. Returns false if the kernel would not have it. */
static bool allow_folder(int ruleset, const Ruleset *rules, const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    PathBeneath rule = {
        .allowed = (FILE_READ | FILE_WRITE | FILE_REMOVE | FILE_MAKE | FILES_2 | FILES_3) & rules->files,
        .fd = open(folder, O_PATH | O_CLOEXEC),
    };
    bool added = rule.fd >= 0 && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0;

    if (rule.fd >= 0) {
        close(rule.fd);
    }
    return added;
}

static bool take_landlock(const SandboxNeeds *needs)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    size_t size;
    Ruleset rules = ruleset_for(version, needs, &size);
    int ruleset = version < 1 ? -1 : (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    bool taken = true;

    if (ruleset < 0) {
        return false;
    }
    /* without a folder's rule, a file that was begun in it could not be removed */
    for (size_t i = 0; needs->files && needs->files[i]; i++) {
        taken = taken && allow_folder(ruleset, &rules, needs->files[i]);
    }
    taken = taken && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    close(ruleset);
    return taken;
}
#else
static bool take_landlock(const SandboxNeeds *needs)
{
    return false;
}
#endif

#ifdef CONFIG_SECCOMP
static bool take_seccomp(unsigned passes)
{
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &sandbox_filters[passes]) == 0;
}
#else
static bool take_seccomp(unsigned passes)
{
    return false;
}
#endif

static unsigned passes_for(SandboxMode mode, const SandboxNeeds *needs, bool landlock)
{
    unsigned passes =
        (needs->network ? SANDBOX_PASS_NETWORK : 0) | (needs->files && *needs->files ? SANDBOX_PASS_FILES : 0);

    return passes | (mode == SANDBOX_AUTO && landlock ? SANDBOX_PASS_RING : 0);
}

bool sandbox_enter(SandboxMode mode, const SandboxNeeds *needs, unsigned *layers, GError **errp)
{
    *layers = 0;
    /* under a sanitizer, or when coverage is measured, the program opens files of its own in the end */
    if (mode == SANDBOX_OFF || (CONFIG_INSTRUMENTED && mode == SANDBOX_AUTO)) {
        return true;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        *layers |= take_landlock(needs) ? SANDBOX_LANDLOCK : 0;
        *layers |= take_seccomp(passes_for(mode, needs, *layers & SANDBOX_LANDLOCK)) ? SANDBOX_SECCOMP : 0;
    }
    if (mode == SANDBOX_ON && *layers != (SANDBOX_LANDLOCK | SANDBOX_SECCOMP)) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_NOSYS, "no %s here",
                    !*layers                      ? "Landlock and no seccomp filter"
                    : *layers == SANDBOX_LANDLOCK ? "seccomp filter"
                                                  : "Landlock");
        return false;
    }
    return true;
}

const char *sandbox_layers_name(unsigned layers)
{
    static const char *const names[] = {"none", "landlock", "seccomp", "landlock+seccomp"};

    return names[layers];
}
