/*
 * What a guest reads from a small image, from its disk and from each snapshot, by the reader of this folder.
 *
 * What is read through a table that is another structure too may change with that one, and is not compared; nor is what
 * cannot be read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_GUEST_DISK_H
#define TESTS_PROOF_SMALL_GUEST_DISK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct GuestDisk GuestDisk;

/* NULL where the image does not open. */
GuestDisk *guest_disk_read(const uint8_t *bytes, uint64_t length);
void guest_disk_free(GuestDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestDisk, guest_disk_free)

/* Returns true if something is two structures of different kinds at the same time. */
bool guest_disk_overlapped(const GuestDisk *disk);

/* What reads otherwise in @after than in @before; to be freed, or NULL. */
char *guest_disk_differs(const GuestDisk *before, const GuestDisk *after);

#endif
