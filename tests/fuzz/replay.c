/*
 * main() of a fuzz target that is built without libFuzzer: replays the files it is given.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>

#include "fuzz.h"

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        g_autofree char *bytes = NULL;
        g_autofree uint8_t *exact = NULL;
        g_autoptr(GError) error = NULL;
        gsize size;

        if (!g_file_get_contents(argv[i], &bytes, &size, &error)) {
            fprintf(stderr, "%s\n", error->message);
            return 1;
        }
        fprintf(stderr, "Running: %s\n", argv[i]);
        exact = g_memdup2(bytes, size); /* no NUL behind it: a sanitizer sees the first byte too many */
        LLVMFuzzerTestOneInput(exact, size);
    }
    return 0;
}
