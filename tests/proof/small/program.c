/*
 * The program under test: see program.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "program.h"

#include <inttypes.h>
#include <string.h>

#include "block/qcow2.h"
#include "block/source.h"

/* One stream for all checks: opening one costs as much as a check of a small image. */
typedef struct Messages {
    FILE *stream;
    char text[READER_MAX_TEXT];
    size_t size;
} Messages;

static Messages messages;

static ssize_t keep_message(void *opaque, const char *bytes, size_t size)
{
    size_t kept = MIN(size, sizeof(messages.text) - 1 - messages.size);

    memcpy(messages.text + messages.size, bytes, kept);
    messages.size += kept;
    return (ssize_t)size;
}

static FILE *begin_messages(void)
{
    if (!messages.stream) {
        messages.stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = keep_message});
        g_assert_nonnull(messages.stream);
    }
    messages.size = 0;
    return messages.stream;
}

static void take(ProgramResult *result, const ImageCheck *check)
{
    result->corruptions = check->corruptions;
    result->leaks = check->leaks;
    result->errors = check->check_errors;
    result->total = check->total_clusters;
    result->allocated = check->allocated_clusters;
    result->fragmented = check->fragmented_clusters;
    result->compressed = check->compressed_clusters;
    result->end = check->image_end_offset;
}

void program_check(const uint8_t *bytes, uint64_t length, ProgramResult *result)
{
    FILE *stream = begin_messages();
    g_autoptr(BlockSource) source = block_source_new_memory(bytes, length);
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, stream, &error);
    Qcow2CheckOptions options = {.messages = stream, .workers = 1};
    Qcow2CheckResult checked = {0};

    *result = (ProgramResult){0};
    if (image && qcow2_check(image, &options, &checked, &error)) {
        take(result, checked.check);
        qcow2_check_result_clear(&checked);
    } else {
        result->refusal = g_strdup(error->message);
    }
    fflush(stream);
    messages.text[messages.size] = '\0';
    result->text = messages.text;
}

void program_result_clear(ProgramResult *result)
{
    g_clear_pointer(&result->refusal, g_free);
}

static char *differs(const char *what, uint64_t program, uint64_t reader)
{
    return g_strdup_printf("%s: the program has %" PRIu64 ", the reader %" PRIu64, what, program, reader);
}

/* Statistics are those of the walk, which is the same whatever else is wrong. */
static char *statistics_differ(const ProgramResult *result, const ReaderResult *reader)
{
    if (result->total != (int64_t)reader->total) {
        return differs("total clusters", result->total, reader->total);
    }
    if (result->allocated != (int64_t)reader->allocated) {
        return differs("allocated clusters", result->allocated, reader->allocated);
    }
    if (result->fragmented != (int64_t)reader->fragmented) {
        return differs("fragmented clusters", result->fragmented, reader->fragmented);
    }
    if (result->compressed != (int64_t)reader->compressed) {
        return differs("compressed clusters", result->compressed, reader->compressed);
    }
    return NULL;
}

char *program_differs(const ProgramResult *result, const ReaderResult *reader)
{
    char *difference;

    if (result->refusal || reader->refusal) {
        bool same = result->refusal && reader->refusal && strstr(result->refusal, reader->refusal);

        return same ? NULL
                    : g_strdup_printf("the program: %s, the reader: %s", result->refusal ? result->refusal : "opens",
                                      reader->refusal ? reader->refusal : "opens");
    }
    difference = statistics_differ(result, reader);
    if (difference) {
        return difference;
    }
    if (!reader->exact) {
        bool aborted = reader->kinds & 1u << SNAPSHOT_TABLE_ABORTS;

        return result->errors > 0 || (!aborted && result->corruptions > 0)
                   ? NULL
                   : g_strdup("what the reader is sure of is not in the result");
    }
    if (result->corruptions != (int64_t)reader->corruptions) {
        return differs("corruptions", result->corruptions, reader->corruptions);
    }
    if (result->leaks != (int64_t)reader->leaks) {
        return differs("leaks", result->leaks, reader->leaks);
    }
    if (result->errors != (int64_t)reader->errors) {
        return differs("check errors", result->errors, reader->errors);
    }
    if (reader->errors == 0 && result->end != (int64_t)reader->end) {
        return differs("image end offset", result->end, reader->end);
    }
    if (!reader->text_cut && strcmp(result->text, reader->text) != 0) {
        return g_strdup_printf("the program prints:\n%sthe reader has:\n%s", result->text, reader->text);
    }
    return NULL;
}
