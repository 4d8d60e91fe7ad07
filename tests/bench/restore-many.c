/*
 * Restores many images in one process: what `qemu-img check -r all --restore --no-undo --min-evidence CLASS` does.
 *
 *     restore-many CLASS IMAGE...
 *
 * Prints a line "IMAGE: MESSAGE" for each that cannot be opened, or whose repair fails. Without sandbox and locks: in
 * runs of thousands of small images most of the time is that of starting a process for each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>

#include "block/repair.h"
#include "block/source.h"

static bool restore(const char *path, ImageCheckEvidence least, GError **errp)
{
    FileOptions file = {.writable = true, .no_locking = true, .reader = FILE_READER_INLINE};
    Qcow2CheckOptions check = {.workers = 1};
    Qcow2RepairOptions options = {.all = true, .restore = true, .min_evidence = least, .check = &check};
    Qcow2RepairResult result = {0};
    g_autoptr(BlockSource) source = block_source_open_file(path, &file, errp);
    g_autoptr(Qcow2Image) image = source ? qcow2_open(source, NULL, errp) : NULL;

    if (!image || !qcow2_repair(image, &options, &result, errp)) {
        return false;
    }
    qcow2_repair_result_clear(&result);
    return true;
}

int main(int argc, char **argv)
{
    int least = argc > 1 ? qapi_enum_parse(&ImageCheckEvidence_lookup, argv[1]) : -1;

    if (least < 0) {
        fprintf(stderr, "usage: restore-many CLASS IMAGE...\n");
        return EXIT_FAILURE;
    }
    for (int i = 2; i < argc; i++) {
        g_autoptr(GError) error = NULL;

        if (!restore(argv[i], (ImageCheckEvidence)least, &error)) {
            printf("%s: %s\n", argv[i], error->message);
        }
    }
    return EXIT_SUCCESS;
}
