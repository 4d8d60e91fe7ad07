/*
 * What disks may have on them after a crash: see states.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "states.h"

#include <stdlib.h>
#include <string.h>

/* A part of an operation that happens wholly or not at all: bytes [from, from + size) of its range. */
typedef struct Part {
    const CrashOp *op;
    uint64_t from;
    uint64_t size;
} Part;

typedef struct Walk {
    const CrashPlan *plan;
    CrashVisitor *visit;
    void *opaque;
    GByteArray *durable[CRASH_DISKS];
    GByteArray *disks[CRASH_DISKS]; /* of the state that is visited */
    GArray *pending;                /* of Part */
    GString *text;
    guint done;
    guint64 states;
    bool ended;
} Walk;

static void set_length(GByteArray *disk, uint64_t length)
{
    guint before = disk->len;

    g_byte_array_set_size(disk, (guint)length);
    if (length > before) {
        memset(disk->data + before, 0, length - before);
    }
}

static void apply(const Part *part, GByteArray *disk)
{
    uint64_t offset = part->op->offset + part->from;

    switch (part->op->kind) {
    case CRASH_WRITE:
        set_length(disk, MAX(disk->len, offset + part->size));
        memcpy(disk->data + offset, part->op->bytes + part->from, part->size);
        break;
    case CRASH_TRUNCATE:
        set_length(disk, part->op->offset);
        break;
    case CRASH_PUNCH:
        if (offset < disk->len) {
            memset(disk->data + offset, 0, MIN(part->size, disk->len - offset));
        }
        break;
    case CRASH_FLUSH:
        break;
    }
}

static void add_parts(Walk *walk, const CrashOp *op)
{
    uint64_t from = 0;

    do {
        uint64_t to_edge = CRASH_SECTOR - (op->offset + from) % CRASH_SECTOR;
        Part part = {.op = op, .from = from, .size = MIN(to_edge, op->size - from)};

        g_array_append_val(walk->pending, part);
        from += part.size;
    } while (from < op->size);
}

/* Visits the state in which the parts that @chosen marks are there. */
static void visit(Walk *walk, const bool *chosen)
{
    CrashState state = {.done = walk->done};

    if (walk->ended) {
        return;
    }
    g_string_truncate(walk->text, 0);
    for (unsigned i = 0; i < CRASH_DISKS; i++) {
        if (walk->durable[i]) {
            g_byte_array_set_size(walk->disks[i], 0);
            g_byte_array_append(walk->disks[i], walk->durable[i]->data, walk->durable[i]->len);
        }
        state.disks[i] = walk->disks[i];
    }
    for (guint i = 0; i < walk->pending->len; i++) {
        const Part *part = &g_array_index(walk->pending, Part, i);

        g_string_append_c(walk->text, chosen[i] ? '1' : '0');
        if (chosen[i]) {
            apply(part, walk->disks[part->op->disk]);
        }
    }
    state.parts = walk->text->str;
    walk->states++;
    walk->ended = !walk->visit(&state, walk->opaque);
}

static void visit_all_sets(Walk *walk, bool *chosen)
{
    guint n = walk->pending->len;

    for (guint set = 0; set < 1u << n; set++) {
        for (guint i = 0; i < n; i++) {
            chosen[i] = set >> i & 1;
        }
        visit(walk, chosen);
    }
}

/* Prefixes, each part by itself, and all but each; where there are too many, those of some parts. */
static void visit_regular_sets(Walk *walk, bool *chosen)
{
    guint n = walk->pending->len;
    guint step = MAX(n / MAX(walk->plan->samples, 1), 1);

    for (guint i = 0; i <= n; i += step) {
        memset(chosen, true, i);
        memset(chosen + i, false, n - i);
        visit(walk, chosen);
        if (i < n) {
            memset(chosen, false, n);
            chosen[i] = true;
            visit(walk, chosen);
            memset(chosen, true, n);
            chosen[i] = false;
            visit(walk, chosen);
        }
    }
    memset(chosen, true, n);
    visit(walk, chosen);
}

static void visit_random_sets(Walk *walk, bool *chosen)
{
    for (unsigned s = 0; s < walk->plan->samples; s++) {
        double density = g_rand_double(walk->plan->random);

        for (guint i = 0; i < walk->pending->len; i++) {
            chosen[i] = g_rand_double(walk->plan->random) < density;
        }
        visit(walk, chosen);
    }
}

static void visit_states(Walk *walk)
{
    g_autofree bool *chosen = g_new0(bool, walk->pending->len + 1);

    if (walk->pending->len <= walk->plan->max_exhaustive) {
        visit_all_sets(walk, chosen);
    } else {
        visit_regular_sets(walk, chosen);
        visit_random_sets(walk, chosen);
    }
}

/* All that is pending for @disk is there for good. */
static void settle(Walk *walk, unsigned disk)
{
    GArray *left = g_array_new(false, false, sizeof(Part));

    for (guint i = 0; i < walk->pending->len; i++) {
        const Part *part = &g_array_index(walk->pending, Part, i);

        if (part->op->disk == disk) {
            apply(part, walk->durable[disk]);
        } else {
            g_array_append_val(left, *part);
        }
    }
    g_array_unref(walk->pending);
    walk->pending = left;
}

guint64 crash_states(const CrashJournal *journal, const GByteArray *const initial[CRASH_DISKS], const CrashPlan *plan,
                     CrashVisitor *visitor, void *opaque, bool *ended)
{
    Walk walk = {.plan = plan, .visit = visitor, .opaque = opaque};

    walk.pending = g_array_new(false, false, sizeof(Part));
    walk.text = g_string_new(NULL);
    for (unsigned i = 0; i < CRASH_DISKS; i++) {
        if (initial[i]) {
            walk.durable[i] = g_byte_array_new();
            walk.disks[i] = g_byte_array_new();
            g_byte_array_append(walk.durable[i], initial[i]->data, initial[i]->len);
        }
    }
    for (guint i = 0; i < journal->ops->len && !walk.ended; i++) {
        const CrashOp *op = &g_array_index(journal->ops, CrashOp, i);

        walk.done = i;
        if (op->kind == CRASH_FLUSH) {
            visit_states(&walk);
            settle(&walk, op->disk);
        } else {
            add_parts(&walk, op);
        }
    }
    walk.done = journal->ops->len;
    visit_states(&walk);
    for (unsigned i = 0; i < CRASH_DISKS; i++) {
        g_clear_pointer(&walk.durable[i], g_byte_array_unref);
        g_clear_pointer(&walk.disks[i], g_byte_array_unref);
    }
    g_array_unref(walk.pending);
    g_string_free(walk.text, TRUE);
    *ended = walk.ended;
    return walk.states;
}

unsigned crash_scale(void)
{
    const char *text = g_getenv("CRASH_SCALE");

    return text ? MAX(atoi(text), 1) : 1;
}
