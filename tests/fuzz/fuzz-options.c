/*
 * Image options, as a user or a service hands them over: --image-opts if the first byte is 'o', json: if it is 'j'.
 *
 * They are refused with a text, or name a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "fuzz.h"
#include "ui/image/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autofree char *text = size ? g_strndup((const char *)bytes + 1, size - 1) : NULL;
    g_autoptr(GError) error = NULL;
    ImageTarget target = {0};
    bool accepted;

    if (!text) {
        return 0;
    }
    limits_begin();
    accepted = image_options_read(text, bytes[0] == 'j', &target, &error);
    limits_end("reading image options");
    g_assert_true(accepted == !error);
    g_assert_true(!accepted || target.path);
    g_assert_true(!error || error->message[0]);
    image_target_clear(&target);
    return 0;
}
