/*
 * JSON for a schema that has a member of every kind: what is accepted is written, and reads back as the same.
 *
 * The first byte says whether strings may stand for numbers, as in option strings ('k'), or an option string itself is
 * given ('o').
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "qapi/json-input.h"
#include "qapi/json-output.h"
#include "qapi/keyval.h"
#include "test-qapi-visit.h"

static JsonNode *parse(char how, const char *text, GError **errp)
{
    g_autoptr(JsonNode) root = how == 'o' ? keyval_parse(text, NULL, errp) : qapi_json_parse(text, errp);

    if (how == 'k' && root && JSON_NODE_HOLDS_OBJECT(root)) {
        return keyval_expand(root, errp);
    }
    return g_steal_pointer(&root);
}

static char *write_json(Everything *value)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    g_autoptr(Visitor) visitor = json_output_visitor_new(out, true);

    visit_type_Everything(visitor, NULL, value, NULL);
    g_assert_true(visit_complete(visitor, NULL));
    fclose(out);
    return text;
}

static void reads_back(Everything *value)
{
    g_autofree char *text = write_json(value);
    g_autofree char *again = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = qapi_json_parse(text, &error);
    g_autoptr(Visitor) visitor = json_input_visitor_new(root);
    g_autoptr(Everything) back = g_new0(Everything, 1);

    g_assert_no_error(error);
    visit_type_Everything(visitor, NULL, back, &error);
    g_assert_no_error(error);
    again = write_json(back);
    g_assert_cmpstr(text, ==, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char how = size ? bytes[0] : 'j';
    g_autofree char *text = g_strndup((const char *)bytes + 1, size ? size - 1 : 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = NULL;
    g_autoptr(Visitor) visitor = NULL;
    g_autoptr(Everything) value = g_new0(Everything, 1);
    bool accepted;

    limits_begin();
    root = parse(how, text, &error);
    if (!root) {
        limits_end("parsing");
        g_assert_true(error && error->message[0]);
        return 0;
    }
    visitor = how == 'j' ? json_input_visitor_new(root) : keyval_input_visitor_new(root);
    accepted = visit_type_Everything(visitor, NULL, value, &error) && visit_complete(visitor, &error);
    limits_end("reading a value");
    g_assert_true(accepted == !error);
    if (accepted) {
        reads_back(value);
    }
    return 0;
}
