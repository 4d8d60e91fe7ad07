/*
 * Prefetch: every range is examined once with its own bytes, however the reads arrive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "block/io/prefetch.h"

#define LENGTH  (8u << 20)
#define RANGE   4096u
#define HOLE    (2u << 20) /* the first hole begins here */
#define DATA    (5u << 20) /* and ends here */
#define BROKEN  (6u << 20) /* a range that cannot be read */
#define WORKERS 3

/* A source whose bytes tell where they are, with a hole, a bad range, and readers that answer in random order. */
typedef struct Scrambled {
    BlockSource base;
    gint reads_in_hole;
    gint unaligned; /* requests below the end that are not blocks of the source's alignment, read to such an address */
} Scrambled;

typedef struct ScrambledReader {
    BlockReader base;
    GPtrArray *waiting;
    GRand *rand;
} ScrambledReader;

static bool in_hole(uint64_t offset)
{
    return offset >= HOLE && offset < DATA;
}

static ssize_t scrambled_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    uint8_t *bytes = buffer;

    for (size_t i = 0; i < size; i++) {
        uint64_t at = offset + i;

        if (at >= BROKEN && at < BROKEN + RANGE) {
            return -EIO;
        }
        bytes[i] = in_hole(at) ? 0 : (uint8_t)(1 + at / RANGE % 251);
    }
    if (in_hole(offset) && in_hole(offset + size - 1)) {
        g_atomic_int_inc(&((Scrambled *)source)->reads_in_hole);
    }
    return size;
}

static bool scrambled_submit(BlockReader *base, BlockRequest *request)
{
    size_t alignment = MAX(base->source->alignment, 1);
    bool aligned = (request->offset | request->size | (uintptr_t)request->buffer) % alignment == 0;

    g_atomic_int_add(&((Scrambled *)base->source)->unaligned, !aligned);
    g_ptr_array_add(((ScrambledReader *)base)->waiting, request);
    return false;
}

static BlockRequest *scrambled_wait(BlockReader *base)
{
    ScrambledReader *reader = (ScrambledReader *)base;
    guint which = g_rand_int_range(reader->rand, 0, reader->waiting->len);
    BlockRequest *request = g_ptr_array_steal_index_fast(reader->waiting, which);

    g_assert_cmpuint(reader->waiting->len, <, base->max_in_flight);
    block_request_finish(base->source, request, 0);
    return request;
}

static void scrambled_reader_close(BlockReader *base)
{
    ScrambledReader *reader = (ScrambledReader *)base;

    g_assert_cmpuint(reader->waiting->len, ==, 0);
    g_ptr_array_unref(reader->waiting);
    g_rand_free(reader->rand);
    g_free(reader);
}

static const BlockReaderOps scrambled_reader_ops = {
    .submit = scrambled_submit,
    .wait = scrambled_wait,
    .close = scrambled_reader_close,
};

static BlockReader *scrambled_reader_new(BlockSource *source)
{
    ScrambledReader *reader = g_new0(ScrambledReader, 1);

    reader->base = (BlockReader){.ops = &scrambled_reader_ops, .source = source, .max_in_flight = 7};
    reader->waiting = g_ptr_array_new();
    reader->rand = g_rand_new();
    return &reader->base;
}

static uint64_t scrambled_next_data(BlockSource *source, uint64_t offset)
{
    return in_hole(offset) ? DATA : offset;
}

static const BlockSourceOps scrambled_ops = {
    .read_at = scrambled_read_at,
    .reader_new = scrambled_reader_new,
    .next_data = scrambled_next_data,
};

/* What the workers see, and what becomes of their states. */
typedef struct Seen {
    unsigned step;   /* bytes from one range to the next */
    gint *times;     /* by range */
    gint wrong;      /* ranges with bytes of another */
    gint errors;     /* ranges that came with an error */
    gint give_up_at; /* the range at which to say that memory is short; -1 = none */

    bool states;        /* each worker has one */
    int no_state_for;   /* the worker for which memory is short; -1 = none */
    bool fail_to_merge; /* say at each end that memory is short */
    unsigned begun;     /* states */
    unsigned ended;
    size_t merged; /* ranges that states have counted */
} Seen;

/* The state of one worker. */
typedef struct Part {
    Seen *seen;
    unsigned number;
    size_t ranges;
} Part;

static BlockRange range_at(const void *opaque, size_t i)
{
    return (BlockRange){.offset = (uint64_t)i * ((const Seen *)opaque)->step, .size = RANGE};
}

static bool bytes_right(const uint8_t *bytes, uint64_t offset)
{
    for (size_t i = 0; i < RANGE; i++) {
        uint64_t at = offset + i;
        uint8_t expected = at >= LENGTH || in_hole(at) ? 0 : (uint8_t)(1 + at / RANGE % 251);

        if ((bytes ? bytes[i] : 0) != expected) {
            return false;
        }
    }
    return true;
}

static bool examine(void *state, size_t i, const uint8_t *bytes, int error)
{
    Seen *seen = state;

    g_atomic_int_inc(&seen->times[i]);
    if (error) {
        g_assert_cmpint(error, ==, -EIO);
        g_atomic_int_inc(&seen->errors);
    } else if (!bytes_right(bytes, (uint64_t)i * seen->step)) {
        g_atomic_int_inc(&seen->wrong);
    }
    return (gint)i != seen->give_up_at;
}

static void *begin(void *opaque, unsigned number)
{
    Seen *seen = opaque;
    Part *part;

    g_assert_cmpuint(number, ==, seen->begun);
    g_assert_cmpuint(number, <, WORKERS);
    if ((int)number == seen->no_state_for) {
        return NULL;
    }
    part = g_new(Part, 1);
    *part = (Part){.seen = seen, .number = number};
    seen->begun++;
    return part;
}

static bool end(void *opaque, void *state)
{
    Seen *seen = opaque;
    Part *part = state;

    g_assert_true(part->seen == seen);
    g_assert_cmpuint(part->number, ==, seen->ended);
    seen->ended++;
    seen->merged += part->ranges;
    g_free(part);
    return !seen->fail_to_merge;
}

static bool examine_with_state(void *state, size_t i, const uint8_t *bytes, int error)
{
    Part *part = state;

    part->ranges++;
    return examine(part->seen, i, bytes, error);
}

static bool run(Seen *seen, size_t n, CheckProgress *progress, Scrambled *source)
{
    BlockPrefetch prefetch = {
        .source = &source->base,
        .options = {.workers = WORKERS, .progress = progress},
        .n = n,
        .range = range_at,
        .examine = seen->states ? examine_with_state : examine,
        .begin = seen->states ? begin : NULL,
        .end = seen->states ? end : NULL,
        .opaque = seen,
    };

    seen->times = g_new0(gint, n);
    return block_prefetch(&prefetch);
}

static Scrambled new_source(uint32_t alignment)
{
    return (Scrambled){.base = {.ops = &scrambled_ops, .length = LENGTH, .alignment = alignment}};
}

/* Of @n ranges, each @step bytes behind the one before, how many cannot be read. */
static int broken_ranges(size_t n, unsigned step)
{
    int broken = 0;

    for (size_t i = 0; i < n; i++) {
        broken += i * step < BROKEN + RANGE && i * step + RANGE > BROKEN;
    }
    return broken;
}

/*
 * Neighbouring and scattered ranges, and some with small gaps, which are read through, to beyond the end: each is seen
 * once, and only what is broken is an error. Where the source has an @alignment, it reads nothing but whole blocks.
 */
static void check_all_ranges(uint32_t alignment)
{
    static const unsigned regions[] = {RANGE, RANGE + 512, 2 * RANGE, 3 * RANGE};

    for (size_t s = 0; s < G_N_ELEMENTS(regions); s++) {
        size_t n = LENGTH / regions[s] + 10;
        Seen seen = {.step = regions[s], .give_up_at = -1};
        CheckProgress progress = {0};
        Scrambled source = new_source(alignment);

        g_assert_true(run(&seen, n, &progress, &source));
        for (size_t i = 0; i < n; i++) {
            g_assert_cmpint(seen.times[i], ==, 1);
        }
        g_assert_cmpint(seen.wrong, ==, 0);
        g_assert_cmpint(seen.errors, ==, broken_ranges(n, regions[s]));
        g_assert_cmpint(source.unaligned, ==, 0);
        g_assert_cmpuint(progress.bytes_known, ==, n * RANGE);
        g_assert_cmpuint(progress.bytes_done, ==, n * RANGE);
        g_free(seen.times);
    }
}

static void test_all_ranges(void)
{
    check_all_ranges(0);
}

static void test_aligned(void)
{
    check_all_ranges(4096);
}

/* Once zeros were met, a hole costs no more reads: only those that were in flight then. */
static void test_hole(void)
{
    Seen seen = {.step = 2 * RANGE, .give_up_at = -1};
    Scrambled source = new_source(0);

    g_assert_true(run(&seen, LENGTH / seen.step, NULL, &source));
    g_assert_cmpint(source.reads_in_hole, <=, WORKERS * 8);
    g_free(seen.times);
}

/* When memory is short, the rest is left alone, and nothing is left in flight. */
static void test_give_up(void)
{
    Seen seen = {.step = 2 * RANGE, .give_up_at = 100};
    Scrambled source = new_source(0);

    g_assert_false(run(&seen, LENGTH / seen.step, NULL, &source));
    for (size_t i = 0; i < LENGTH / seen.step; i++) {
        g_assert_cmpint(seen.times[i], <=, 1);
    }
    g_assert_cmpint(seen.times[LENGTH / seen.step - 1], ==, 0);
    g_free(seen.times);
}

/* Each worker has a state of its own, and all of them together have examined each range once. */
static void test_states(void)
{
    Seen seen = {.step = RANGE, .give_up_at = -1, .states = true, .no_state_for = -1};
    Scrambled source = new_source(0);

    g_assert_true(run(&seen, LENGTH / RANGE, NULL, &source));
    g_assert_cmpuint(seen.begun, ==, WORKERS);
    g_assert_cmpuint(seen.ended, ==, WORKERS);
    g_assert_cmpuint(seen.merged, ==, LENGTH / RANGE);
    g_free(seen.times);
}

/* A worker is started for each mebibyte at the most, and a state made for no other. */
static void test_states_of_few(void)
{
    Seen seen = {.step = RANGE, .give_up_at = -1, .states = true, .no_state_for = -1};
    Scrambled source = new_source(0);

    g_assert_true(run(&seen, 2 * (1u << 20) / RANGE, NULL, &source));
    g_assert_cmpuint(seen.begun, ==, 2);
    g_assert_cmpuint(seen.ended, ==, 2);
    g_free(seen.times);
}

/* States that were made end also where memory is short: for another state, for a range, for what they have found. */
static void test_states_end(void)
{
    static const Seen cases[] = {
        {.step = RANGE, .states = true, .give_up_at = -1, .no_state_for = WORKERS - 1},
        {.step = RANGE, .states = true, .give_up_at = 100, .no_state_for = -1},
        {.step = RANGE, .states = true, .give_up_at = -1, .no_state_for = -1, .fail_to_merge = true},
    };
    static const unsigned states[] = {WORKERS - 1, WORKERS, WORKERS};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Seen seen = cases[i];
        Scrambled source = new_source(0);

        g_assert_false(run(&seen, LENGTH / RANGE, NULL, &source));
        g_assert_cmpuint(seen.begun, ==, states[i]);
        g_assert_cmpuint(seen.ended, ==, states[i]);
        g_free(seen.times);
    }
}

/* Nothing to read is no error, and needs no state. */
static void test_nothing(void)
{
    Seen seen = {.step = RANGE, .give_up_at = -1, .states = true, .no_state_for = -1};
    Scrambled source = new_source(0);

    g_assert_true(run(&seen, 0, NULL, &source));
    g_assert_cmpuint(seen.begun, ==, 0);
    g_free(seen.times);
}

static BlockRange first_and_last(const void *opaque, size_t i)
{
    return (BlockRange){.offset = i ? -(uint64_t)RANGE : 0, .size = RANGE};
}

static bool note_error(void *state, size_t i, const uint8_t *bytes, int error)
{
    ((int *)state)[i] = error;
    return true;
}

/* A range that ends at 2^64 cannot be read, also once zeros were met: it lies in no hole. */
static void test_last(void)
{
    static const uint8_t zeros[RANGE];
    g_autoptr(BlockSource) source = block_source_new_memory(zeros, sizeof(zeros));
    int errors[2] = {0};
    BlockPrefetch prefetch = {.source = source,
                              .options = {.workers = 1},
                              .n = G_N_ELEMENTS(errors),
                              .range = first_and_last,
                              .examine = note_error,
                              .opaque = errors};

    g_assert_true(block_prefetch(&prefetch));
    g_assert_cmpint(errors[0], ==, 0);
    g_assert_cmpint(errors[1], ==, -EIO);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/prefetch/all-ranges", test_all_ranges);
    g_test_add_func("/prefetch/aligned", test_aligned);
    g_test_add_func("/prefetch/hole", test_hole);
    g_test_add_func("/prefetch/give-up", test_give_up);
    g_test_add_func("/prefetch/states", test_states);
    g_test_add_func("/prefetch/states-of-few", test_states_of_few);
    g_test_add_func("/prefetch/states-end", test_states_end);
    g_test_add_func("/prefetch/nothing", test_nothing);
    g_test_add_func("/prefetch/last", test_last);
    return g_test_run();
}
