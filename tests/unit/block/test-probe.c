/*
 * Guessing the format of an image (docs/interop/check-behaviour.rst 2.1).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "block/probe.h"
#include "block/qcow2.h"

static const char *probe(const char *name, const void *bytes, size_t size)
{
    uint8_t start[BLOCK_PROBE_SIZE] = {0};

    memcpy(start, bytes, size);
    return block_probe(name, start);
}

/* qcow2 claims its magic with every version from 2 on; version 1 is the old qcow driver's, 0 nobody's. */
static void test_versions(void)
{
    g_assert_cmpstr(probe("x", "QFI\xfb\0\0\0\2", 8), ==, "qcow2");
    g_assert_cmpstr(probe("x", "QFI\xfb\0\0\0\3", 8), ==, "qcow2");
    g_assert_cmpstr(probe("x", "QFI\xfb\0\0\0\4", 8), ==, "qcow2");
    g_assert_cmpstr(probe("x", "QFI\xfb\xff\xff\xff\xff", 8), ==, "qcow2");
    g_assert_cmpstr(probe("x", "QFI\xfb\0\0\0\1", 8), ==, "qcow");
    g_assert_cmpstr(probe("x", "QFI\xfb\0\0\0\0", 8), ==, "raw");
}

/* What nobody claims is raw, an empty file among it. */
static void test_raw(void)
{
    g_assert_cmpstr(probe("x", "", 0), ==, "raw");
    g_assert_cmpstr(probe("x.qcow2", "hello", 5), ==, "raw");
    g_assert_cmpstr(probe("x", "QFI\xfa\0\0\0\3", 8), ==, "raw");
}

/* Images of other formats are not taken for raw. */
static void test_others(void)
{
    uint8_t vdi[68] = "<<< Oracle VM VirtualBox Disk Image >>>\n";

    memcpy(vdi + 64, "\x7f\x10\xda\xbe", 4);
    g_assert_cmpstr(probe("x", vdi, sizeof(vdi)), ==, "vdi");
    g_assert_cmpstr(probe("x", "vhdxfile", 8), ==, "vhdx");
    g_assert_cmpstr(probe("x", "LUKS\xba\xbe\0\1", 8), ==, "luks");
    g_assert_cmpstr(probe("x", "# Disk DescriptorFile\nversion=1\n", 32), ==, "vmdk");
    g_assert_cmpstr(probe("x", "# a script\n", 11), ==, "raw");
}

/* Too few bytes for a version are no qcow2 image. */
static void test_short(void)
{
    g_assert_true(qcow2_probe("QFI\xfb\0\0\0\2", 8));
    g_assert_false(qcow2_probe("QFI\xfb\0\0\0\2", 7));
    g_assert_false(qcow2_probe("", 0));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/probe/versions", test_versions);
    g_test_add_func("/probe/raw", test_raw);
    g_test_add_func("/probe/others", test_others);
    g_test_add_func("/probe/short", test_short);
    return g_test_run();
}
