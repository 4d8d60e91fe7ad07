/*
 * Guessing the format of an image: see block/probe.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/probe.h"

#include <stdbool.h>
#include <string.h>

#include "block/qcow2.h"

typedef struct Signature {
    const char *format;
    size_t offset;
    const char *bytes;
    size_t size;
} Signature;

#define SIGNATURE(format, offset, text)                                                                                \
    {                                                                                                                  \
        format, offset, text, sizeof(text) - 1                                                                         \
    }

static const Signature signatures[] = {
    SIGNATURE("qcow", 0, "QFI\xfb\0\0\0\1"),
    SIGNATURE("qed", 0, "QED\0"),
    SIGNATURE("vmdk", 0, "KDMV"),
    SIGNATURE("vmdk", 0, "COWD"),
    SIGNATURE("vdi", 64, "\x7f\x10\xda\xbe"),
    SIGNATURE("vhdx", 0, "vhdxfile"),
    SIGNATURE("vpc", 0, "conectix"),
    SIGNATURE("parallels", 0, "WithoutFreeSpace\2\0\0\0"),
    SIGNATURE("parallels", 0, "WithouFreSpacExt\2\0\0\0"),
    SIGNATURE("luks", 0, "LUKS\xba\xbe\0\1"),
    SIGNATURE("bochs", 0, "Bochs Virtual HD Image"),
    SIGNATURE("cloop", 0, "#!/bin/sh\n#V2.0 Format\n"),
};

/* A VMDK descriptor is a text that starts with a comment and then gives its version. */
static bool is_vmdk_descriptor(const char *bytes)
{
    return bytes[0] == '#' && memmem(bytes, BLOCK_PROBE_SIZE, "\nversion=", strlen("\nversion="));
}

const char *block_probe(const char *name, const void *bytes)
{
    if (qcow2_probe(bytes, BLOCK_PROBE_SIZE)) {
        return "qcow2";
    }
    for (size_t i = 0; i < G_N_ELEMENTS(signatures); i++) {
        const Signature *s = &signatures[i];

        if (memcmp((const char *)bytes + s->offset, s->bytes, s->size) == 0) {
            return s->format;
        }
    }
    if (is_vmdk_descriptor(bytes)) {
        return "vmdk";
    }
    /* A disk copy has its signature at the end; the stock tool goes by the name. */
    return g_str_has_suffix(name, ".dmg") ? "dmg" : "raw";
}
