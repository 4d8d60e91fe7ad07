/*
 * The stock tool as oracle: see stock.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stock.h"

#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* A member of the JSON object on standard output; 0 where it is not there. */
static uint64_t member(const char *json, const char *name)
{
    g_autofree char *key = g_strdup_printf("\"%s\": ", name);
    const char *found = strstr(json, key);

    return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

static char *count_differs(const char *json, const char *name, uint64_t reader)
{
    uint64_t stock = member(json, name);

    return stock == reader
               ? NULL
               : g_strdup_printf("%s: the stock tool has %" PRIu64 ", the reader %" PRIu64, name, stock, reader);
}

static char *counts_differ(const char *json, const ReaderResult *reader)
{
    const struct {
        const char *name;
        uint64_t reader;
    } members[] = {
        {"corruptions", reader->corruptions},
        {"leaks", reader->leaks},
        {"check-errors", reader->errors},
        {"total-clusters", reader->total},
        {"allocated-clusters", reader->allocated},
        {"fragmented-clusters", reader->fragmented},
        {"compressed-clusters", reader->compressed},
        {"image-end-offset", reader->end},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        char *difference = count_differs(json, members[i].name, members[i].reader);

        if (difference) {
            return difference;
        }
    }
    return NULL;
}

/* The text of the reader, and behind it nothing but that the check failed. */
static char *text_differs(const char *text, const ReaderResult *reader)
{
    const char *rest = text + reader->text_size;

    if (reader->text_cut ||
        (g_str_has_prefix(text, reader->text) &&
         (*rest == '\0' || (reader->errors > 0 && g_str_has_prefix(rest, "qemu-img: Check failed"))))) {
        return NULL;
    }
    return g_strdup_printf("the stock tool prints:\n%sthe reader has:\n%s", text, reader->text);
}

static char *compare(int status, const char *json, const char *text, const ReaderResult *reader)
{
    const char *refusal = reader->refusal ? reader->refusal : reader->stock_refusal;
    int expected = reader->errors > 0 ? 1 : reader->corruptions > 0 ? 2 : reader->leaks > 0 ? 3 : 0;
    char *difference;

    if (refusal || reader->stock_aborts) {
        bool opens = strstr(text, "Could not open") == NULL;
        /* where it has a reason of its own as well, it gives the first */
        bool why = !reader->refusal || reader->stock_refusal || strstr(text, reader->refusal);

        return status == 1 && opens == !refusal && why
                   ? NULL
                   : g_strdup_printf("the stock tool exits with %d:\n%sthe reader: %s", status, text,
                                     refusal ? refusal : "a check that is given up");
    }
    if (status != expected) {
        return g_strdup_printf("the stock tool exits with %d, the reader expects %d:\n%s", status, expected, text);
    }
    difference = counts_differ(json, reader);
    return difference ? difference : text_differs(text, reader);
}

char *stock_differs(const char *program, const char *path, const ReaderResult *reader, bool *crashed)
{
    const char *argv[] = {program, "check", "-f", "qcow2", "--output=json", path, NULL};
    g_autofree char *json = NULL;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    *crashed = false;
    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &json, &text, &status,
                      &error)) {
        return g_strdup_printf("%s: %s", program, error->message);
    }
    if (!WIFEXITED(status)) {
        *crashed = true;
        return NULL;
    }
    return compare(WEXITSTATUS(status), json, text, reader);
}
