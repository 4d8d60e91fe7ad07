/*
 * The smallest items of many.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/smallest.h"

#define LEAST_SLACK 64u /* items beyond the limit that are sorted at once */

void smallest_init(Smallest *s, size_t item_size, guint most, GCompareFunc compare)
{
    g_assert(most);
    *s = (Smallest){
        .items = g_array_new(FALSE, FALSE, (guint)item_size),
        .bound = g_byte_array_new(),
        .most = most,
        .compare = compare,
    };
    pthread_mutex_init(&s->lock, NULL);
}

void smallest_clear(Smallest *s)
{
    if (s->items) {
        pthread_mutex_destroy(&s->lock);
        g_clear_pointer(&s->items, g_array_unref);
        g_clear_pointer(&s->bound, g_byte_array_unref);
    }
}

static void cut(Smallest *s)
{
    guint size = g_array_get_element_size(s->items);

    g_array_sort(s->items, s->compare);
    if (s->items->len > s->most) {
        s->more = true;
        g_array_set_size(s->items, s->most);
        g_byte_array_set_size(s->bound, 0);
        g_byte_array_append(s->bound, (const uint8_t *)s->items->data + (size_t)(s->most - 1) * size, size);
    }
}

void smallest_add(Smallest *s, const void *item)
{
    pthread_mutex_lock(&s->lock);
    if (!s->bound->len || s->compare(item, s->bound->data) < 0) {
        g_array_append_vals(s->items, item, 1);
        if (s->items->len - MIN(s->items->len, s->most) > MAX(s->most / 4, LEAST_SLACK)) {
            cut(s);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

GArray *smallest_end(Smallest *s)
{
    cut(s);
    return s->items;
}
