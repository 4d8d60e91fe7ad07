/*
 * What a guest reads from a qcow2 image: an independent reader for tests.
 *
 * It shares nothing with the program under test. It maps every guest cluster of the active disk and of each
 * snapshot, and keeps a digest of what is read there; of compressed clusters that of the compressed bytes. It is
 * tolerant: what cannot be read is noted as such and passed over.
 *
 * What is found through a table that is two things at once may change with the other, and is noted as overlapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_CRASH_GUEST_H
#define TESTS_CRASH_GUEST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct GuestView GuestView;

/*
 * The view of an image of @length bytes at @bytes; NULL where its header is of no use. With @mapped_only what is not
 * mapped at all may change later; else it is read as what it is, zeros or what is in the backing file.
 */
GuestView *guest_view_new(const uint8_t *bytes, uint64_t length, bool mapped_only);
void guest_view_free(GuestView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestView, guest_view_free)

/* How many guest clusters have data of their own that can be read, in all trees. */
uint64_t guest_view_readable(const GuestView *view);

/* Whether all that could be read in @before is the same in @after, NULL included. Otherwise *@difference, to be freed.
 */
bool guest_view_same(const GuestView *before, const GuestView *after, char **difference);

/* A digest of @size bytes; different ones for different seeds. With seed 0, that of zeros is 0. */
uint64_t guest_digest(uint64_t seed, const uint8_t *bytes, uint64_t size);

#endif
