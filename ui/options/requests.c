/*
 * What --attach, --drop and --zero ask for: see ui/options/requests.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/requests.h"

#include <glib.h>
#include <string.h>

#include "util/size.h"

/* Returns true if @text begins with @prefix; *rest is what follows. */
static bool after_prefix(const char *text, const char *prefix, const char **rest)
{
    *rest = text + strlen(prefix);
    return g_str_has_prefix(text, prefix);
}

static bool parse_index(const char *text, uint64_t *index)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX, &value, NULL)) {
        return false;
    }
    *index = value;
    return true;
}

/* ID:l1:INDEX; an ID may have colons in it. */
static bool parse_snapshot_place(const char *text, Qcow2Request *q)
{
    const char *end = g_strrstr(text, ":l1:");

    if (!end || end == text || !parse_index(end + strlen(":l1:"), &q->index)) {
        return false;
    }
    q->kind = QCOW2_REQUEST_ATTACH_L2;
    q->name = g_strndup(text, (gsize)(end - text));
    return true;
}

static bool parse_place(const char *text, Qcow2Request *q)
{
    const char *rest;

    if (g_str_equal(text, "header:l1")) {
        q->kind = QCOW2_REQUEST_ATTACH_L1;
        return true;
    }
    if (after_prefix(text, "snapshot:", &rest)) {
        return parse_snapshot_place(rest, q);
    }
    if (after_prefix(text, "l1:", &rest)) {
        q->kind = QCOW2_REQUEST_ATTACH_L2;
        return parse_index(rest, &q->index);
    }
    q->kind = QCOW2_REQUEST_ATTACH_REFBLOCK;
    return after_prefix(text, "reftable:", &rest) && parse_index(rest, &q->index);
}

bool request_parse_attach(const char *text, Qcow2Request *q)
{
    const char *equals = strchr(text, '=');
    g_autofree char *offset = equals ? g_strndup(text, (gsize)(equals - text)) : NULL;

    *q = (Qcow2Request){0};
    return equals && size_parse(offset, &q->offset) && parse_place(equals + 1, q);
}

bool request_parse_drop(const char *text, Qcow2Request *q)
{
    static const struct {
        const char *name;
        Qcow2RequestKind kind;
    } things[] = {
        {"bitmaps", QCOW2_REQUEST_DROP_BITMAPS},
        {"snapshots", QCOW2_REQUEST_DROP_SNAPSHOTS},
        {"backing-name", QCOW2_REQUEST_DROP_BACKING_NAME},
        {"encryption-header", QCOW2_REQUEST_DROP_ENCRYPTION_HEADER},
    };
    const char *rest;

    *q = (Qcow2Request){0};
    for (size_t i = 0; i < G_N_ELEMENTS(things); i++) {
        if (g_str_equal(text, things[i].name)) {
            q->kind = things[i].kind;
            return true;
        }
    }
    if (after_prefix(text, "bitmap:", &rest)) {
        q->kind = QCOW2_REQUEST_DROP_BITMAP;
    } else if (after_prefix(text, "snapshot:", &rest)) {
        q->kind = QCOW2_REQUEST_DROP_SNAPSHOT;
    } else {
        return false;
    }
    q->name = g_strdup(rest);
    return *rest;
}

bool request_parse_zero(const char *text, Qcow2Request *q)
{
    const char *rest, *plus = strchr(text, '+');
    g_autofree char *offset = NULL;

    *q = (Qcow2Request){.kind = QCOW2_REQUEST_ZERO};
    if (!plus || !after_prefix(text, "guest:", &rest) || plus < rest) {
        return false;
    }
    offset = g_strndup(rest, (gsize)(plus - rest));
    return size_parse(offset, &q->offset) && size_parse(plus + 1, &q->length);
}
