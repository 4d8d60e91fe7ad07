/*
 * Lost L2 tables that share clusters with tables whose place is known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/matches.h"

#include "block/qcow2/rescue/visit.h"
#include "util/search.h"

#define LOOKED_UP  32  /* clusters of each table */
#define MOST_ALIKE 64u /* samples of one cluster: hostile tables all map the same */

/* A cluster of a lost table. */
typedef struct Sample {
    uint64_t host;
    uint64_t table; /* offset of the table */
    uint32_t lost;  /* its number */
    uint32_t entry;
} Sample;

typedef struct Matching {
    const Qcow2HeaderFields *header;
    GArray *samples; /* Sample, sorted by host */
    GArray *matches;
} Matching;

void qcow2_add_known_tables(GArray *known, const uint64_t *entries, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        Qcow2TableToRead table = {entries[i] & QCOW2_OFFSET_MASK, i};

        if (table.offset) {
            g_array_append_val(known, table);
        }
    }
}

/* Takes every so many entries that have an offset. */
static void sample_table(void *opaque, const Qcow2TableToRead *table, const uint8_t *bytes)
{
    Matching *m = opaque;
    Qcow2Match *match = &g_array_index(m->matches, Qcow2Match, table->key);
    uint32_t n = 0, every, entries = 1u << m->header->l2_bits;

    for (uint32_t i = 0; bytes && i < entries; i++) {
        n += qcow2_entry_host(bytes, i, m->header) != 0;
    }
    every = MAX(1, n / LOOKED_UP);
    n = 0;
    for (uint32_t i = 0; bytes && i < entries; i++) {
        Sample sample = {qcow2_entry_host(bytes, i, m->header), table->offset, (uint32_t)table->key, i};

        if (sample.host && n++ % every == 0) {
            g_array_append_val(m->samples, sample);
            match->looked_up++;
        }
    }
}

static void count_match(Matching *m, const Sample *sample, const Qcow2TableToRead *known)
{
    Qcow2Match *match = &g_array_index(m->matches, Qcow2Match, sample->lost);

    if (match->shared && match->index != known->key) {
        match->conflict = true;
        return;
    }
    match->index = known->key;
    match->shared += match->shared < match->looked_up;
    match->same_table |= sample->table == known->offset;
}

static void compare_known(void *opaque, const Qcow2TableToRead *known, const uint8_t *bytes)
{
    Matching *m = opaque;

    for (uint32_t i = 0; bytes && i < 1u << m->header->l2_bits; i++) {
        uint64_t host = qcow2_entry_host(bytes, i, m->header);
        size_t first;

        if (!host) {
            continue;
        }
        first = ARRAY_FIRST_NOT_BELOW(m->samples, Sample, host, host);
        for (size_t k = first; k < MIN(first + MOST_ALIKE, m->samples->len); k++) {
            const Sample *sample = &g_array_index(m->samples, Sample, k);

            if (sample->host == host && sample->entry == i) {
                count_match(m, sample, known);
            }
        }
    }
}

GArray *qcow2_match_tables(const Qcow2Found *found, const GPtrArray *lost, BlockSource *source, GArray *known,
                           GError **errp)
{
    const BlockReadOptions *options = &found->in->options;
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    g_autoptr(GArray) tables = g_array_new(FALSE, FALSE, sizeof(Qcow2TableToRead));
    g_autoptr(GArray) samples = g_array_new(FALSE, FALSE, sizeof(Sample));
    g_autoptr(GArray) matches = g_array_new(FALSE, TRUE, sizeof(Qcow2Match));
    Matching m = {h, samples, matches};

    g_array_set_size(matches, lost->len);
    for (guint i = 0; i < lost->len; i++) {
        Qcow2TableToRead table = {((const Qcow2FoundTable *)g_ptr_array_index(lost, i))->offset, i};

        g_array_append_val(tables, table);
    }
    if (!qcow2_visit_tables(found->in->source, options, h, tables, sample_table, &m, errp)) {
        return NULL;
    }
    ARRAY_SORT(samples, Sample, host);
    if (!qcow2_visit_tables(source, options, h, known, compare_known, &m, errp)) {
        return NULL;
    }
    return g_steal_pointer(&matches);
}
