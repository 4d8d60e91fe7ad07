/*
 * Reads all of an image on a server through readers, in a scattered order and with as many requests in flight as
 * they take, and compares it with a local copy.
 *
 *     read-remote NAME COPY THREADS SIZE
 *
 * The request at the end of the file goes beyond it. Prints "same", or how
 * many requests gave other bytes or failed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "block/remote.h"

#define STRIDE 7919 /* a prime: requests that follow each other are far apart */

typedef struct Work {
    BlockSource *source;
    GMappedFile *copy;
    size_t size; /* of a request */
    unsigned threads;
    unsigned number; /* of this thread */
    unsigned failed;
    unsigned different;
} Work;

static void judge(Work *work, BlockRequest *request)
{
    size_t length = g_mapped_file_get_length(work->copy);
    size_t there = MIN(request->size, length - request->offset);
    const char *bytes = request->buffer;

    if (request->error != 0) {
        work->failed++;
    } else if (memcmp(bytes, g_mapped_file_get_contents(work->copy) + request->offset, there) != 0) {
        work->different++;
    }
    for (size_t i = there; request->error == 0 && i < request->size; i++) {
        work->different += bytes[i] != 0;
    }
    g_free(request->buffer);
    g_free(request);
}

static void *read_share(void *opaque)
{
    Work *work = opaque;
    size_t length = g_mapped_file_get_length(work->copy);
    size_t pieces = (length + work->size - 1) / work->size;
    g_autoptr(BlockReader) reader = block_reader_new(work->source);
    unsigned in_flight = 0;

    for (size_t i = work->number; i < pieces; i += work->threads) {
        BlockRequest *request = g_new0(BlockRequest, 1);

        request->size = work->size;
        request->offset = (pieces % STRIDE ? i * STRIDE % pieces : i) * work->size;
        request->buffer = g_malloc(work->size);
        if (in_flight == reader->max_in_flight) {
            judge(work, block_reader_wait(reader));
            in_flight--;
        }
        if (block_reader_submit(reader, request)) {
            judge(work, request);
        } else {
            in_flight++;
        }
    }
    for (; in_flight > 0; in_flight--) {
        judge(work, block_reader_wait(reader));
    }
    return NULL;
}

static void report(const char *name, const char *message)
{
    fprintf(stderr, "%s: %s\n", name, message);
}

int main(int argc, char **argv)
{
    BlockSourceOpenRemote *open = g_str_has_prefix(argv[1], "http") ? block_source_open_curl : block_source_open_nbd;
    RemoteOptions options = {.timeout = 600, .report = report};
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSource) source = NULL;
    g_autoptr(GMappedFile) copy = g_mapped_file_new(argv[2], FALSE, NULL);
    unsigned threads = atoi(argv[3]);
    g_autofree Work *work = g_new0(Work, threads);
    g_autofree GThread **running = g_new0(GThread *, threads);
    unsigned failed = 0;
    unsigned different = 0;

    signal(SIGPIPE, SIG_IGN);
    source = open(argv[1], &options, &error);
    if (!source) {
        printf("%s\n", error->message);
        return 1;
    }
    for (unsigned i = 0; i < threads; i++) {
        work[i] = (Work){.source = source, .copy = copy, .size = atoi(argv[4]), .threads = threads, .number = i};
        running[i] = g_thread_new("reader", read_share, &work[i]);
    }
    for (unsigned i = 0; i < threads; i++) {
        g_thread_join(running[i]);
        failed += work[i].failed;
        different += work[i].different;
    }
    if (different || failed) {
        printf("%u different, %u failed\n", different, failed);
    } else {
        puts("same");
    }
    return different || failed;
}
