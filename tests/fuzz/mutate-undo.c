/*
 * Breaking undo files for a fuzzer: fields and bytes are changed, records exchanged, and the checksums made right
 * again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "block/undo/format.h"
#include "fuzz.h"
#include "random.h"
#include "undo-image.h"

#define MAX_RECORDS 64

/* libFuzzer's names. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size);

/* A record with its payload and without its checksum, in memory of its own. */
typedef GByteArray Record;

typedef struct Undo {
    UndoHeader header;
    GPtrArray *records; /* of Record */
} Undo;

static uint64_t old_part(const UndoHeader *header, const UndoRecord *r)
{
    uint64_t length = GUINT64_FROM_BE(header->image_length), offset = GUINT64_FROM_BE(r->offset);

    return offset < length ? MIN(GUINT64_FROM_BE(r->size), length - offset) : 0;
}

static uint64_t payload_size(const UndoHeader *header, const UndoRecord *r)
{
    if (GUINT32_FROM_BE(r->type) == UNDO_RECORD_NAME) {
        return GUINT64_FROM_BE(r->size);
    }
    if (GUINT32_FROM_BE(r->type) != UNDO_RECORD_RANGE) {
        return 0;
    }
    return old_part(header, r) + (GUINT32_FROM_BE(r->flags) & UNDO_FLAG_NEW ? GUINT64_FROM_BE(r->size) : 0);
}

static void free_record(gpointer record)
{
    g_byte_array_unref(record);
}

/* As many records as are there in one piece. */
static Undo take_apart(const uint8_t *bytes, size_t size)
{
    Undo undo = {.records = g_ptr_array_new_with_free_func(free_record)};
    size_t at = sizeof(undo.header);

    memcpy(&undo.header, bytes, sizeof(undo.header));
    while (undo.records->len < MAX_RECORDS && size - at >= sizeof(UndoRecord) + UNDO_DIGEST_SIZE) {
        UndoRecord head;
        size_t left = size - at - sizeof(head) - UNDO_DIGEST_SIZE;
        Record *record;

        memcpy(&head, bytes + at, sizeof(head));
        if (payload_size(&undo.header, &head) > left) {
            break;
        }
        record = g_byte_array_append(g_byte_array_new(), bytes + at,
                                     (guint)(sizeof(head) + payload_size(&undo.header, &head)));
        g_ptr_array_add(undo.records, record);
        at += record->len + UNDO_DIGEST_SIZE;
    }
    return undo;
}

static void seal(GChecksum *checksum, const void *bytes, size_t size, uint8_t *digest)
{
    gsize digest_size = UNDO_DIGEST_SIZE;

    g_checksum_update(checksum, bytes, size);
    g_checksum_get_digest(checksum, digest, &digest_size);
    g_checksum_reset(checksum);
    g_checksum_update(checksum, digest, UNDO_DIGEST_SIZE);
}

/* The file with checksums that are right; 0 where there is no room for it. */
static size_t put_together(Undo *undo, uint8_t *bytes, size_t max_size)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    size_t at = sizeof(undo->header);

    seal(checksum, &undo->header, offsetof(UndoHeader, digest), undo->header.digest);
    memcpy(bytes, &undo->header, sizeof(undo->header));
    for (guint i = 0; i < undo->records->len; i++) {
        const Record *record = undo->records->pdata[i];

        if (max_size - at < record->len + UNDO_DIGEST_SIZE) {
            return 0;
        }
        memcpy(bytes + at, record->data, record->len);
        seal(checksum, record->data, record->len, bytes + at + record->len);
        at += record->len + UNDO_DIGEST_SIZE;
    }
    return at;
}

static void change_number(Random *random, void *at, unsigned size)
{
    uint8_t *bytes = at;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | bytes[i];
    }
    value =
        random_one_in(random, 3) ? random_below(random, 2 * IMAGE_LENGTH) : random_instead_of(random, value, 8 * size);
    for (unsigned i = size; i > 0; i--, value >>= 8) {
        bytes[i - 1] = value & 0xff;
    }
}

/* The payload of a record whose head was changed is as long as the head says, if that is no more than it may be. */
static void fit_payload(const Undo *undo, Record *record)
{
    UndoRecord head;

    memcpy(&head, record->data, sizeof(head));
    if (payload_size(&undo->header, &head) < 4 * IMAGE_LENGTH) {
        guint before = record->len;

        g_byte_array_set_size(record, (guint)(sizeof(head) + payload_size(&undo->header, &head)));
        if (record->len > before) {
            memset(record->data + before, 0, record->len - before);
        }
    }
}

static void change_record(Random *random, const Undo *undo, Record *record)
{
    static const struct {
        uint8_t offset, size;
    } fields[] = {
        {offsetof(UndoRecord, type), 4},
        {offsetof(UndoRecord, flags), 4},
        {offsetof(UndoRecord, offset), 8},
        {offsetof(UndoRecord, size), 8},
    };
    size_t field = random_below(random, G_N_ELEMENTS(fields) + 1);

    if (field < G_N_ELEMENTS(fields)) {
        change_number(random, record->data + fields[field].offset, fields[field].size);
        fit_payload(undo, record);
    } else if (record->len > sizeof(UndoRecord)) {
        record->data[sizeof(UndoRecord) + random_below(random, record->len - sizeof(UndoRecord))] ^=
            1 << random_below(random, 8);
    }
}

static void change(Random *random, Undo *undo)
{
    guint n = undo->records->len, i = (guint)random_below(random, n), j = (guint)random_below(random, n);

    if (n == 0 || random_one_in(random, 12)) {
        change_number(random, &undo->header.image_length, 8);
        return;
    }
    switch (random_below(random, 8)) {
    case 0:
        g_ptr_array_remove_index(undo->records, i);
        break;
    case 1: {
        gpointer record = undo->records->pdata[i];

        undo->records->pdata[i] = undo->records->pdata[j];
        undo->records->pdata[j] = record;
        break;
    }
    case 2: {
        const Record *record = undo->records->pdata[i];

        g_ptr_array_insert(undo->records, j, g_byte_array_append(g_byte_array_new(), record->data, record->len));
        break;
    }
    default:
        change_record(random, undo, undo->records->pdata[i]);
        break;
    }
}

/* The number of records in the end record becomes right. */
static void count_records(Undo *undo)
{
    for (guint i = 0; i < undo->records->len; i++) {
        Record *record = undo->records->pdata[i];
        uint32_t type;
        uint64_t count = GUINT64_TO_BE(i);

        memcpy(&type, record->data, sizeof(type));
        if (GUINT32_FROM_BE(type) == UNDO_RECORD_END) {
            memcpy(record->data + offsetof(UndoRecord, offset), &count, sizeof(count));
        }
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned int seed)
{
    Random random = random_from(seed);
    Undo undo;
    size_t new_size;

    if (size < sizeof(undo.header) || max_size < sizeof(undo.header) || random_one_in(&random, 16)) {
        return LLVMFuzzerMutate(bytes, size, max_size);
    }
    undo = take_apart(bytes, size);
    do {
        change(&random, &undo);
    } while (!random_one_in(&random, 2));
    if (!random_one_in(&random, 8)) {
        count_records(&undo);
    }
    new_size = put_together(&undo, bytes, max_size);
    g_ptr_array_unref(undo.records);
    return new_size ? new_size : size;
}
