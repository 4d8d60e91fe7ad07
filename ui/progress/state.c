/*
 * How far a check has come, in numbers: see ui/progress/state.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/progress/state.h"

#include "block/memory-plan.h"

G_STATIC_ASSERT((int)CHECK_PHASE__MAX == (int)IMAGE_CHECK_PHASE__MAX);
G_STATIC_ASSERT((int)CHECK_PHASE_TABLES == (int)IMAGE_CHECK_PHASE_TABLES);

static uint64_t load(const uint64_t *number)
{
    return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static bool is_under_way(const CheckProgress *slot)
{
    return load(&slot->bytes_known) != 0;
}

static double slot_fraction(const CheckProgress *slot)
{
    uint64_t known = load(&slot->bytes_known);
    uint64_t done = load(&slot->bytes_done);

    return known ? MIN(1.0, (double)done / (double)known) : 0.0;
}

double progress_fraction(const ProgressState *state)
{
    double images = __atomic_load_n(&state->finished, __ATOMIC_RELAXED);

    for (unsigned i = 0; i < state->slots; i++) {
        images += slot_fraction(&state->slot[i]);
    }
    return MIN(1.0, images / state->images);
}

static void add_slots(ImageCheckProgress *progress, const ProgressState *state)
{
    unsigned under_way = 0;

    for (unsigned i = 0; i < state->slots; i++) {
        const CheckProgress *slot = &state->slot[i];

        if (is_under_way(slot) || state->images == 1) {
            progress->phase = (ImageCheckPhase)__atomic_load_n(&slot->phase, __ATOMIC_RELAXED);
            progress->bytes_done += load(&slot->bytes_done);
            progress->bytes_known += load(&slot->bytes_known);
            under_way++;
        }
    }
    progress->has_phase = under_way == 1 && progress->images_done < progress->images;
}

ImageCheckProgress progress_read(const ProgressState *state, double elapsed)
{
    double fraction = progress_fraction(state);
    ImageCheckProgress progress = {
        .images = state->images,
        .images_done = __atomic_load_n(&state->finished, __ATOMIC_RELAXED),
        .bytes_done = load(&state->finished_bytes),
        .bytes_known = load(&state->finished_bytes),
        .percent = 100 * fraction,
        .in_flight_limit = memory_plan()->in_flight,
        .elapsed = elapsed,
    };

    add_slots(&progress, state);
    progress.rate = elapsed > 0 ? (uint64_t)((double)progress.bytes_done / elapsed) : 0;
    progress.has_remaining = fraction > 0;
    progress.remaining = fraction > 0 ? elapsed * (1 - fraction) / fraction : 0;
    return progress;
}
