/*
 * Option strings to JSON trees, as qapi/keyval.h describes them.
 *
 * A tree is built of objects alone; at the end, those whose keys are all numbers become lists.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/keyval.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "qapi/util.h"

#define MAX_INDEX_DIGITS 4

static bool G_GNUC_PRINTF(2, 3) fail(GError **errp, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (errp) {
        *errp = g_error_new_valist(QAPI_ERROR, QAPI_ERROR_SYNTAX, format, args);
    }
    va_end(args);
    return false;
}

static bool is_index(const char *part)
{
    size_t length = strspn(part, "0123456789");

    return length > 0 && length <= MAX_INDEX_DIGITS && !part[length];
}

static bool is_name(const char *part)
{
    static const char *const others = "-_" G_CSET_DIGITS G_CSET_a_2_z G_CSET_A_2_Z;

    return g_ascii_isalpha(*part) && !part[strspn(part, others)];
}

/* @key taken apart at its dots; NULL and @errp set unless each part is a name or, but for the first, an index. */
static char **split_key(const char *key, GError **errp)
{
    g_auto(GStrv) parts = g_strsplit(key, ".", -1);

    if (strlen(key) > KEYVAL_MAX_KEY) {
        fail(errp, "Parameter '%s' is too long", key);
        return NULL;
    }
    if (!*parts) {
        fail(errp, "Invalid parameter ''");
        return NULL;
    }
    for (char **part = parts; *part; part++) {
        if (!is_name(*part) && (part == parts || !is_index(*part))) {
            fail(errp, "Invalid parameter '%s'", key);
            return NULL;
        }
    }
    return g_steal_pointer(&parts);
}

static bool fail_inconsistent(char **parts, char **last, GError **errp)
{
    g_autofree char *rest = g_strjoinv(".", last + 1);
    g_autofree char *whole = g_strjoinv(".", parts);

    whole[strlen(whole) - strlen(rest) - (*rest ? 1 : 0)] = '\0';
    return fail(errp, "Parameters '%s.*' used inconsistently", whole);
}

/* Puts @value, which it takes over, where @key leads to below @root. */
static bool insert(JsonObject *root, const char *key, JsonNode *value, GError **errp)
{
    g_autoptr(JsonNode) owned = value;
    g_auto(GStrv) parts = split_key(key, errp);
    JsonObject *object = root;
    char **part = parts;

    if (!parts) {
        return false;
    }
    for (; part[1]; part++) {
        JsonNode *child = json_object_get_member(object, *part);

        if (!child) {
            json_object_set_object_member(object, *part, json_object_new());
        } else if (!JSON_NODE_HOLDS_OBJECT(child)) {
            return fail_inconsistent(parts, part, errp);
        }
        object = json_object_get_object_member(object, *part);
    }

    JsonNode *before = json_object_get_member(object, *part);

    if (before && JSON_NODE_HOLDS_OBJECT(before)) {
        return fail_inconsistent(parts, part, errp);
    }
    json_object_set_member(object, *part, g_steal_pointer(&owned));
    return true;
}

static JsonNode *make_lists(JsonNode *node, const char *path, GError **errp);

static JsonNode *object_to_list(JsonObject *object, const char *path, GError **errp)
{
    g_autoptr(JsonArray) array = json_array_new();
    guint size = json_object_get_size(object);

    for (guint i = 0; i < size; i++) {
        g_autofree char *key = g_strdup_printf("%u", i);
        g_autofree char *below = g_strdup_printf("%s.%u", path, i);
        JsonNode *item = json_object_get_member(object, key);

        if (!item) {
            fail(errp, "Parameter '%s' missing", below);
            return NULL;
        }
        item = make_lists(item, below, errp);
        if (!item) {
            return NULL;
        }
        json_array_add_element(array, item);
    }

    JsonNode *list = json_node_new(JSON_NODE_ARRAY);

    json_node_set_array(list, array);
    return list;
}

static JsonNode *members_with_lists(JsonObject *object, const char *path, GError **errp)
{
    g_autoptr(JsonObject) result = json_object_new();
    g_autoptr(GList) names = json_object_get_members(object);

    for (GList *name = names; name; name = name->next) {
        g_autofree char *below = g_strdup_printf("%s%s%s", path, *path ? "." : "", (char *)name->data);
        JsonNode *member = make_lists(json_object_get_member(object, name->data), below, errp);

        if (!member) {
            return NULL;
        }
        json_object_set_member(result, name->data, member);
    }

    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_set_object(node, result);
    return node;
}

/* A copy of @node in which objects whose keys are indexes are lists. @path is for error messages. */
static JsonNode *make_lists(JsonNode *node, const char *path, GError **errp)
{
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        return json_node_copy(node);
    }

    JsonObject *object = json_node_get_object(node);
    g_autoptr(GList) names = json_object_get_members(object);
    guint indexes = 0;

    for (GList *name = names; name; name = name->next) {
        indexes += is_index(name->data);
    }
    if (indexes == 0) {
        return members_with_lists(object, path, errp);
    }
    if (indexes < json_object_get_size(object)) {
        fail(errp, "Parameters '%s.*' used inconsistently", path);
        return NULL;
    }
    return object_to_list(object, path, errp);
}

static JsonNode *finish(JsonObject *root, GError **errp)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);

    json_node_set_object(node, root);
    return make_lists(node, "", errp);
}

/* The value at *@text up to a single comma or the end, with double commas made single. Moves *@text behind it. */
static char *take_value(const char **text)
{
    GString *value = g_string_new(NULL);
    const char *s = *text;

    for (; *s && (*s != ',' || s[1] == ','); s++) {
        s += *s == ',';
        g_string_append_c(value, *s);
    }
    *text = *s ? s + 1 : s;
    return g_string_free(value, FALSE);
}

/* One KEY=VALUE, or VALUE alone where @implied_key may be left out. Moves *@text to the next parameter. */
static bool parse_parameter(JsonObject *root, const char **text, const char *implied_key, GError **errp)
{
    size_t length = strcspn(*text, "=,");
    g_autofree char *key = NULL;

    if ((*text)[length] == '=') {
        key = g_strndup(*text, length);
        *text += length + 1;
    } else if (implied_key) {
        key = g_strdup(implied_key);
    } else if (length == 0) {
        return fail(errp, "Invalid parameter ''");
    } else {
        return fail(errp, "Expected '=' after parameter '%.*s'", (int)length, *text);
    }

    g_autofree char *value = take_value(text);
    JsonNode *node = json_node_new(JSON_NODE_VALUE);

    json_node_set_string(node, value);
    return insert(root, key, node, errp);
}

JsonNode *keyval_parse(const char *text, const char *implied_key, GError **errp)
{
    g_autoptr(JsonObject) root = json_object_new();

    while (*text) {
        if (!parse_parameter(root, &text, implied_key, errp)) {
            return NULL;
        }
        implied_key = NULL;
    }
    return finish(root, errp);
}

/* Inserts @node, and the members of objects one by one, under @key. */
static bool expand(JsonObject *root, const char *key, JsonNode *node, GError **errp)
{
    if (!JSON_NODE_HOLDS_OBJECT(node) || (*key && json_object_get_size(json_node_get_object(node)) == 0)) {
        return insert(root, key, json_node_copy(node), errp);
    }

    JsonObject *object = json_node_get_object(node);
    g_autoptr(GList) names = json_object_get_members(object);

    for (GList *name = names; name; name = name->next) {
        g_autofree char *below = g_strdup_printf("%s%s%s", key, *key ? "." : "", (char *)name->data);

        if (!expand(root, below, json_object_get_member(object, name->data), errp)) {
            return false;
        }
    }
    return true;
}

JsonNode *keyval_expand(JsonNode *root, GError **errp)
{
    g_autoptr(JsonObject) object = json_object_new();

    return expand(object, "", root, errp) ? finish(object, errp) : NULL;
}
