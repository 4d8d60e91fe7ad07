/*
 * The facts of an image: see block/qcow2/inspect/summary.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/summary.h"

#include "block/qcow2/format/format.h"
#include "block/qcow2/format/l2.h"

static bool add_feature(Qcow2Summary *facts, bool there, const char *name)
{
    char **item = there ? qapi_append_str(&facts->features) : NULL;

    if (item) {
        *item = g_strdup(name);
    }
    return item || !there;
}

static bool add_features(Qcow2Summary *facts, const Qcow2Image *image)
{
    const Qcow2HeaderFields *h = &image->header;
    uint64_t incompatible = h->incompatible_features;

    return add_feature(facts, incompatible & QCOW2_INCOMPAT_DIRTY, "marked dirty") &&
           add_feature(facts, incompatible & QCOW2_INCOMPAT_CORRUPT, "marked corrupt") &&
           add_feature(facts, h->backing_file_offset != 0, "backing file") &&
           add_feature(facts, facts->data_file, "external data file") &&
           add_feature(facts, incompatible & QCOW2_INCOMPAT_COMPRESSION, "compression other than zlib") &&
           add_feature(facts, qcow2_has_extended_l2(h), "extended L2 entries") &&
           add_feature(facts, h->crypt_method == QCOW2_CRYPT_AES, "encryption (AES)") &&
           add_feature(facts, h->crypt_method == QCOW2_CRYPT_LUKS, "encryption (LUKS)") &&
           add_feature(facts, h->nb_snapshots != 0, "internal snapshots") &&
           add_feature(facts, image->extensions.has_bitmaps, "persistent bitmaps") &&
           add_feature(facts, image->extensions.stale_bitmaps, "stale bitmaps");
}

bool qcow2_summary(const Qcow2Image *image, Qcow2Summary *facts)
{
    const Qcow2HeaderFields *h = &image->header;

    facts->version = h->version;
    facts->virtual_size = h->size;
    facts->file_size = image->source->length;
    facts->cluster_size = h->cluster_size;
    facts->refcount_bits = INT64_C(1) << h->refcount_order;
    facts->l2_entries = INT64_C(1) << h->l2_bits;
    facts->data_file = qcow2_has_data_file(h);
    return add_features(facts, image);
}
