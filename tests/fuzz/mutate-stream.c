/*
 * Breaking metadata streams for a fuzzer: lengths, records and their bytes are changed, and the digest made right
 * again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "fuzz.h"
#include "random.h"
#include "stream-format.h"

#define MAX_RECORDS 64
#define FEW_BYTES   4096u /* that a record grows to */

/* libFuzzer's names. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size);

/* A record with its payload, in memory of its own. */
typedef GByteArray Record;

typedef struct Stream {
    uint8_t header[STREAM_HEADER_SIZE];
    GPtrArray *records; /* of Record; without the last one */
    uint8_t last[STREAM_RECORD_SIZE];
} Stream;

static void free_record(gpointer record)
{
    g_byte_array_unref(record);
}

/* As many records as are there in one piece. */
static Stream take_apart(const uint8_t *bytes, size_t size)
{
    Stream stream = {.records = g_ptr_array_new_with_free_func(free_record)};
    size_t at = STREAM_HEADER_SIZE;

    memcpy(stream.header, bytes, STREAM_HEADER_SIZE);
    stream_put(stream.last, 8, STREAM_LAST);
    stream_put(stream.last + 8, 4, STREAM_DIGEST_SIZE);
    while (stream.records->len < MAX_RECORDS && size - at >= STREAM_RECORD_SIZE) {
        uint64_t offset = stream_get(bytes + at, 8);
        guint payload = (guint)stream_get(bytes + at + 8, 4);

        if (offset == STREAM_LAST || payload > size - at - STREAM_RECORD_SIZE) {
            break;
        }
        g_ptr_array_add(stream.records,
                        g_byte_array_append(g_byte_array_new(), bytes + at, STREAM_RECORD_SIZE + payload));
        at += STREAM_RECORD_SIZE + payload;
    }
    return stream;
}

/* The stream with a digest that is right; 0 where there is no room for it. */
static size_t put_together(const Stream *stream, uint8_t *bytes, size_t max_size)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize digest_size = STREAM_DIGEST_SIZE;
    size_t at = STREAM_HEADER_SIZE;

    memcpy(bytes, stream->header, STREAM_HEADER_SIZE);
    for (guint i = 0; i < stream->records->len; i++) {
        const Record *record = stream->records->pdata[i];

        if (record->len > max_size - at) {
            return 0;
        }
        memcpy(bytes + at, record->data, record->len);
        at += record->len;
    }
    if (max_size - at < STREAM_RECORD_SIZE + STREAM_DIGEST_SIZE) {
        return 0;
    }
    memcpy(bytes + at, stream->last, STREAM_RECORD_SIZE);
    at += STREAM_RECORD_SIZE;
    g_checksum_update(checksum, bytes, at);
    g_checksum_get_digest(checksum, bytes + at, &digest_size);
    return at + STREAM_DIGEST_SIZE;
}

static void change_number(Random *random, uint8_t *bytes, unsigned size)
{
    stream_put(bytes, size, random_instead_of(random, stream_get(bytes, size), 8 * size));
}

/* The image ends with the record, or near its end. */
static void end_image_at(Random *random, Stream *stream, const Record *record)
{
    uint64_t end = stream_get(record->data, 8) + stream_get(record->data + 8, 4);

    stream_put(stream->header + STREAM_MAGIC_SIZE, 8, end + random_below(random, 3) - 1);
}

/* The payload gets another size, and the record says so. */
static void resize(Random *random, Record *record)
{
    guint before = record->len, size = (guint)random_below(random, FEW_BYTES);

    g_byte_array_set_size(record, STREAM_RECORD_SIZE + size);
    if (record->len > before) {
        memset(record->data + before, (int)random_below(random, 256), record->len - before);
    }
    stream_put(record->data + 8, 4, size);
}

static void change_record(Random *random, const Stream *stream, Record *record)
{
    switch (random_below(random, 8)) {
    case 0:
        change_number(random, record->data + 8, 4);
        break;
    case 1:
        change_number(random, record->data + 12, 4);
        break;
    case 2:
        resize(random, record);
        break;
    case 3: /* within the image */
        stream_put(record->data, 8, random_below(random, stream_get(stream->header + STREAM_MAGIC_SIZE, 8)));
        break;
    case 4: /* over another */
        memcpy(record->data, ((Record *)stream->records->pdata[random_below(random, stream->records->len)])->data, 8);
        stream_put(record->data, 8, stream_get(record->data, 8) + random_below(random, 16));
        break;
    case 5:
        if (record->len > STREAM_RECORD_SIZE) {
            record->data[STREAM_RECORD_SIZE + random_below(random, record->len - STREAM_RECORD_SIZE)] ^= 1;
        }
        break;
    default:
        change_number(random, record->data, 8);
        break;
    }
}

static void change(Random *random, Stream *stream)
{
    guint n = stream->records->len, i = (guint)random_below(random, n), j = (guint)random_below(random, n);
    Record *record = n ? stream->records->pdata[i] : NULL;

    if (!record || random_one_in(random, 8)) {
        change_number(random, stream->header + STREAM_MAGIC_SIZE, 8);
        return;
    }
    switch (random_below(random, 8)) {
    case 0:
        g_ptr_array_remove_index(stream->records, i);
        break;
    case 1:
        stream->records->pdata[i] = stream->records->pdata[j];
        stream->records->pdata[j] = record;
        break;
    case 2:
        g_ptr_array_insert(stream->records, j, g_byte_array_append(g_byte_array_new(), record->data, record->len));
        break;
    case 3:
        end_image_at(random, stream, record);
        break;
    case 4:
        change_number(random, stream->last + 4 * random_below(random, 4), 4);
        break;
    default:
        change_record(random, stream, record);
        break;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned int seed)
{
    Random random = random_from(seed);
    Stream stream;
    size_t new_size;

    if (size < STREAM_HEADER_SIZE || max_size < STREAM_HEADER_SIZE || random_one_in(&random, 16)) {
        return LLVMFuzzerMutate(bytes, size, max_size);
    }
    stream = take_apart(bytes, size);
    do {
        change(&random, &stream);
    } while (!random_one_in(&random, 2));
    new_size = put_together(&stream, bytes, max_size);
    g_ptr_array_unref(stream.records);
    return new_size ? new_size : size;
}
