/*
 * What a rescue finds in a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/found.h"

#include <errno.h>

#include "block/qcow2/inspect/evidence-forms.h"
#include "qapi/util.h"
#include "util/number.h"
#include "util/zeros.h"

uint64_t qcow2_found_count(const Qcow2Found *found, uint64_t offset)
{
    uint64_t count;

    if (!found->counts ||
        !qcow2_stored_count(found->counts, offset >> qcow2_found_header(found)->cluster_bits, &count)) {
        return UINT64_MAX;
    }
    return count;
}

static Qcow2Referent read_referent(const Qcow2Found *found, uint64_t offset)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    g_autofree uint8_t *bytes = g_malloc(h->cluster_size);

    if (block_source_read(found->in->source, bytes, h->cluster_size, offset)) {
        return QCOW2_REFERENT_OTHER;
    }
    if (is_zeros(bytes, h->cluster_size)) {
        return QCOW2_REFERENT_BLANK;
    }
    return qcow2_may_be_l2(bytes, h->cluster_size, h, found->in->source->length) ? QCOW2_REFERENT_TABLE
                                                                                 : QCOW2_REFERENT_OTHER;
}

/* No cluster is read twice, however many entries refer to it. */
Qcow2Referent qcow2_found_referent(const Qcow2Found *found, uint64_t offset)
{
    const Qcow2FoundTable *t = qcow2_table_at(found->geometry.tables, offset);
    gpointer known;

    if (t) {
        return t->is_l2 ? QCOW2_REFERENT_TABLE : QCOW2_REFERENT_OTHER;
    }
    if (!g_hash_table_lookup_extended(found->referents, &offset, NULL, &known)) {
        known = GUINT_TO_POINTER(read_referent(found, offset));
        g_hash_table_insert(found->referents, g_memdup2(&offset, sizeof(offset)), known);
    }
    return GPOINTER_TO_UINT(known);
}

uint64_t *qcow2_read_l1(BlockSource *source, const Qcow2HeaderFields *h, uint64_t offset, uint32_t n)
{
    uint64_t held = offset < source->length ? MIN((uint64_t)n * 8, source->length - offset) : 0;
    g_autofree uint64_t *entries = n && n <= QCOW2_MAX_L1_ENTRIES && held ? g_new0(uint64_t, n) : NULL;

    if (!entries || block_source_read(source, entries, held, offset)) {
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t entry = GUINT64_FROM_BE(entries[i]);

        entries[i] = qcow2_may_be_l1_entry(entry, h, source->length) ? entry : 0;
    }
    return g_steal_pointer(&entries);
}

static bool load_counts(Qcow2Found *found, GError **errp)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    Qcow2RefcountEntries table = {0};

    if (!found->geometry.confirmed) {
        return true;
    }
    if (qcow2_read_refcount_table(found->in->source, h, &table)) {
        return qapi_set_out_of_memory(errp);
    }
    found->counts = qcow2_stored_counts_load(found->in->source, h, &table, &found->in->options, errp);
    qcow2_refcount_table_clear(&table);
    return found->counts != NULL;
}

/* The copy is of an image with the same clusters. */
static bool check_metadata(const Qcow2Found *found, GError **errp)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found), *other = &found->metadata_remains.header;

    if (found->in->metadata && (!found->metadata_remains.is_qcow2 || other->cluster_bits != h->cluster_bits ||
                                (other->incompatible_features & QCOW2_INCOMPAT_EXTENDED_L2) !=
                                    (h->incompatible_features & QCOW2_INCOMPAT_EXTENDED_L2))) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL,
                            "The metadata is not that of this image: its clusters or L2 entries have another size");
        return false;
    }
    return true;
}

/* Tables alone tell nothing of data that lie elsewhere, and their offsets would be taken for those of the source. */
static bool has_own_data(const Qcow2Found *found, GError **errp)
{
    if (found->remains.has_data_file || found->metadata_remains.has_data_file) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOTSUP,
                            "The guest's data lie in an external data file, of which a rescue makes no image. If that "
                            "is raw, it is the disk; else see qemu-img check -r all --restore");
        return false;
    }
    return true;
}

bool qcow2_find(const Qcow2RescueInput *in, Qcow2Found *found, GError **errp)
{
    const Qcow2Remains *hints[] = {&found->remains, &found->metadata_remains};
    size_t n_hints = in->metadata ? 2 : 1;

    *found = (Qcow2Found){.in = in};
    found->referents = g_hash_table_new_full(hash_u64, g_int64_equal, g_free, NULL);
    found->snapshots = g_array_new(FALSE, FALSE, sizeof(Qcow2FoundSnapshot));
    qcow2_read_remains(in->source, &found->remains);
    if (in->metadata) {
        qcow2_read_remains(in->metadata, &found->metadata_remains);
    }
    return has_own_data(found, errp) && qcow2_scan(in->source, &in->options, &found->scan, errp) &&
           qcow2_find_geometry(in->source, &in->options, &found->scan, hints, n_hints, &found->geometry, errp) &&
           load_counts(found, errp) && check_metadata(found, errp);
}

void qcow2_found_clear(Qcow2Found *found)
{
    qcow2_remains_clear(&found->remains);
    qcow2_remains_clear(&found->metadata_remains);
    qcow2_scan_clear(&found->scan);
    qcow2_geometry_clear(&found->geometry);
    g_clear_pointer(&found->counts, qcow2_stored_counts_free);
    g_clear_pointer(&found->snapshots, g_array_unref);
    g_clear_pointer(&found->referents, g_hash_table_unref);
}
