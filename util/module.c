/*
 * Loading parts of the program on use: see util/module.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/module.h"

#include <dlfcn.h>

#include "config.h"
#include "util/program-path.h"

/* In the build folder the modules lie beside the program; an installed program has none beside it. */
static char *module_path(const char *name)
{
    g_autofree char *program = program_path();
    g_autofree char *folder = g_path_get_dirname(program);
    g_autofree char *file = g_strconcat(name, ".so", NULL);
    g_autofree char *beside = g_build_filename(folder, file, NULL);

    if (g_file_test(beside, G_FILE_TEST_EXISTS)) {
        return g_steal_pointer(&beside);
    }
    return g_build_filename(CONFIG_MODULE_DIR, file, NULL);
}

void *module_function(const char *name, const char *symbol, GError **errp)
{
    g_autofree char *path = module_path(name);
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *function = module ? dlsym(module, symbol) : NULL;

    if (!function) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED, "Could not load module '%s': %s", name, dlerror());
    }
    /* cppcheck-suppress resourceLeak ; a module stays loaded for as long as the process lives */
    return function;
}
