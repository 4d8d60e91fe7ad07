/*
 * Object definitions: see ui/options/object-definition.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/object-definition.h"

#include "qapi/json-input.h"
#include "qapi/keyval.h"

static char *string_member(JsonNode *root, const char *name)
{
    return g_strdup(json_object_get_string_member_with_default(json_node_get_object(root), name, NULL));
}

bool object_definition_read(const char *text, char **type, char **id, GError **errp)
{
    g_autoptr(JsonNode) root = *text == '{' ? qapi_json_parse(text, errp) : keyval_parse(text, "qom-type", errp);

    if (!root) {
        return false;
    }
    *type = string_member(root, "qom-type");
    *id = string_member(root, "id");
    return true;
}
