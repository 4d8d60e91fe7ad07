/*
 * The summary of an image: see block/qcow2/inspect/summary.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/summary.h"

#include "block/qcow2/format/format.h"
#include "block/qcow2/format/l2.h"

static bool add_feature(Qcow2Summary *summary, bool there, const char *name)
{
    char **item = there ? qapi_append_str(&summary->features) : NULL;

    if (item) {
        *item = g_strdup(name);
    }
    return item || !there;
}

static bool add_features(Qcow2Summary *summary, const Qcow2Image *image)
{
    const Qcow2HeaderFields *h = &image->header;
    uint64_t incompatible = h->incompatible_features;

    return add_feature(summary, incompatible & QCOW2_INCOMPAT_DIRTY, "marked dirty") &&
           add_feature(summary, incompatible & QCOW2_INCOMPAT_CORRUPT, "marked corrupt") &&
           add_feature(summary, h->backing_file_offset != 0, "backing file") &&
           add_feature(summary, summary->data_file, "external data file") &&
           add_feature(summary, incompatible & QCOW2_INCOMPAT_COMPRESSION, "compression other than zlib") &&
           add_feature(summary, qcow2_has_extended_l2(h), "extended L2 entries") &&
           add_feature(summary, h->crypt_method == QCOW2_CRYPT_AES, "encryption (AES)") &&
           add_feature(summary, h->crypt_method == QCOW2_CRYPT_LUKS, "encryption (LUKS)") &&
           add_feature(summary, h->nb_snapshots != 0, "internal snapshots") &&
           add_feature(summary, image->extensions.has_bitmaps, "persistent bitmaps") &&
           add_feature(summary, image->extensions.stale_bitmaps, "stale bitmaps");
}

bool qcow2_summary(const Qcow2Image *image, Qcow2Summary *summary)
{
    const Qcow2HeaderFields *h = &image->header;

    summary->version = h->version;
    summary->virtual_size = h->size;
    summary->file_size = image->source->length;
    summary->cluster_size = h->cluster_size;
    summary->refcount_bits = INT64_C(1) << h->refcount_order;
    summary->l2_entries = INT64_C(1) << h->l2_bits;
    summary->data_file = qcow2_has_data_file(h);
    return add_features(summary, image);
}
