/*
 * An image in memory that is counted and reported, for what looks further into it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_COUNTED_IMAGE_H
#define TESTS_UNIT_BLOCK_COUNTED_IMAGE_H

#include "block/qcow2/inspect/users.h"

typedef struct CountedImage {
    BlockSource *source;
    Qcow2Image *image;
    Qcow2CheckOptions options;
    Qcow2Check check;
} CountedImage;

/* Opens the image in @source, which is given away. */
static inline void counted_image_open_source(CountedImage *c, BlockSource *source, unsigned workers)
{
    g_autoptr(GError) error = NULL;

    c->source = source;
    c->options = (Qcow2CheckOptions){.workers = workers};
    c->image = qcow2_open(c->source, NULL, &error);
    g_assert_no_error(error);
}

/* The same for the @size bytes at @bytes, which the caller keeps. */
static inline void counted_image_open(CountedImage *c, const uint8_t *bytes, size_t size, unsigned workers)
{
    counted_image_open_source(c, block_source_new_memory(bytes, size), workers);
}

static inline void counted_image_count(CountedImage *c, const Qcow2TableVisitor *visitor)
{
    g_autoptr(GError) error = NULL;

    qcow2_check_count(&c->check, c->image, &c->options, (const Qcow2TableVisitor *[]){visitor, NULL}, &error);
    g_assert_no_error(error);
    qcow2_check_report(&c->check, &error);
    g_assert_no_error(error);
}

/* Every Qcow2User in the @n @ranges. */
static inline GArray *counted_image_users(CountedImage *c, const Qcow2ClusterRange *ranges, size_t n)
{
    g_autoptr(GError) error = NULL;
    GArray *users = g_array_new(FALSE, FALSE, sizeof(Qcow2User));

    qcow2_find_users(&c->check, ranges, n, users, &error);
    g_assert_no_error(error);
    return users;
}

static inline void counted_image_clear(CountedImage *c)
{
    qcow2_check_clear(&c->check);
    qcow2_close(c->image);
    block_source_close(c->source);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CountedImage, counted_image_clear)

#endif
