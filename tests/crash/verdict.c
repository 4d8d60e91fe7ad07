/*
 * What becomes of a test: see verdict.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "verdict.h"

#include "block/qcow2.h"

ImageCheck *crash_check(BlockSource *disk, GError **errp)
{
    g_autoptr(Qcow2Image) image = qcow2_open(disk, NULL, errp);
    Qcow2CheckOptions options = {.workers = 1};
    Qcow2CheckResult result = {0};
    ImageCheck *check;

    if (!image || !qcow2_check(image, &options, &result, errp)) {
        return NULL;
    }
    check = g_steal_pointer(&result.check);
    qcow2_check_result_clear(&result);
    return check;
}

bool crash_failed(char **why, const char *format, ...)
{
    va_list ap;

    if (!*why) {
        va_start(ap, format);
        *why = g_strdup_vprintf(format, ap);
        va_end(ap);
    }
    return false;
}

GHashTable *crash_known_new(void)
{
    return g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
}

bool crash_known(GHashTable *known, uint64_t digest)
{
    return g_hash_table_contains(known, &digest);
}

void crash_know(GHashTable *known, uint64_t digest)
{
    g_hash_table_add(known, g_memdup2(&digest, sizeof(digest)));
}

void crash_keep(const char *folder, const char *image, const char *what, const uint8_t *bytes, uint64_t size)
{
    if (folder) {
        g_autofree char *base = g_path_get_basename(image);
        g_autofree char *path = g_strdup_printf("%s/%s.%s", folder, base, what);

        g_assert_true(g_file_set_contents(path, (const char *)bytes, (gssize)size, NULL));
    }
}
