/*
 * The input visitor over a json-glib tree, for JSON and for option strings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/json-input.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "json-scan.h"
#include "option-text.h"
#include "qapi/visitor-impl.h"

/* An object or list that is being visited. */
typedef struct Frame {
    const char *name;      /* in the object around it; NULL for an item of a list and for the root */
    JsonNode *node;        /* borrowed */
    GHashTable *unvisited; /* object: names of its members, borrowed; NULL for a list */
    guint next;            /* list: index of the item that is visited next */
} Frame;

typedef struct JsonInputVisitor {
    Visitor visitor;
    JsonNode *root;
    bool keyval;    /* scalars may be strings */
    GArray *frames; /* of Frame, the innermost last */
} JsonInputVisitor;

static JsonInputVisitor *input(Visitor *v)
{
    return (JsonInputVisitor *)v;
}

static Frame *innermost(JsonInputVisitor *in)
{
    return in->frames->len ? &g_array_index(in->frames, Frame, in->frames->len - 1) : NULL;
}

static void append_step(const JsonInputVisitor *in, GString *path, const Frame *around, const char *name)
{
    if (name) {
        g_string_append_printf(path, "%s%s", path->len ? "." : "", name);
    } else if (around && !around->unvisited) {
        /* The item was already taken from its list. */
        g_string_append_printf(path, in->keyval ? ".%u" : "[%u]", around->next - 1);
    }
}

/* Where the value called @name in the innermost object is: `file.filename`, `list[0]`; `value` for the root. The caller
 * frees it. */
static char *path_of(const JsonInputVisitor *in, const char *name)
{
    GString *path = g_string_new(NULL);
    const Frame *around = NULL;

    for (guint i = 0; i < in->frames->len; i++) {
        const Frame *frame = &g_array_index(in->frames, Frame, i);

        append_step(in, path, around, frame->name);
        around = frame;
    }
    append_step(in, path, around, name);
    if (!path->len) {
        g_string_append(path, "value");
    }
    return g_string_free(path, FALSE);
}

/* Sets the error "Parameter 'PATH' " and @format. Always false. */
static bool G_GNUC_PRINTF(4, 5) fail(JsonInputVisitor *in, const char *name, GError **errp, const char *format, ...)
{
    g_autofree char *path = path_of(in, name);
    g_autofree char *rest = NULL;
    va_list args;

    va_start(args, format);
    rest = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(errp, QAPI_ERROR, QAPI_ERROR_VALUE, "Parameter '%s' %s", path, rest);
    return false;
}

static bool fail_type(JsonInputVisitor *in, const char *name, const char *expected, GError **errp)
{
    g_autofree char *path = path_of(in, name);

    g_set_error(errp, QAPI_ERROR, QAPI_ERROR_VALUE, "Invalid parameter type for '%s', expected: %s", path, expected);
    return false;
}

static JsonNode *find(JsonInputVisitor *in, const char *name)
{
    Frame *frame = innermost(in);

    if (!frame) {
        return in->root;
    }
    if (!frame->unvisited) {
        return json_array_get_element(json_node_get_array(frame->node), frame->next);
    }
    return json_object_get_member(json_node_get_object(frame->node), name);
}

/* The value called @name, which counts as visited from now on. NULL and @errp set when there is none. */
static JsonNode *take(JsonInputVisitor *in, const char *name, GError **errp)
{
    Frame *frame = innermost(in);
    JsonNode *node = find(in, name);

    if (!node) {
        fail(in, name, errp, "is missing");
    } else if (frame && frame->unvisited) {
        g_hash_table_remove(frame->unvisited, name);
    } else if (frame) {
        frame->next++;
    }
    return node;
}

static QapiKind kind_of(JsonNode *node)
{
    switch (json_node_get_node_type(node)) {
    case JSON_NODE_OBJECT:
        return QAPI_KIND_OBJECT;
    case JSON_NODE_ARRAY:
        return QAPI_KIND_ARRAY;
    case JSON_NODE_NULL:
        return QAPI_KIND_NULL;
    case JSON_NODE_VALUE:
    default:
        break;
    }

    GType type = json_node_get_value_type(node);

    return type == G_TYPE_STRING ? QAPI_KIND_STRING : type == G_TYPE_BOOLEAN ? QAPI_KIND_BOOL : QAPI_KIND_NUMBER;
}

/* Takes a value that must be of @kind, of which people say @expected. */
static JsonNode *take_kind(JsonInputVisitor *in, const char *name, QapiKind kind, const char *expected, GError **errp)
{
    JsonNode *node = take(in, name, errp);
    bool right = node && kind_of(node) == kind;

    if (node && !right) {
        fail_type(in, name, expected, errp);
    }
    return right ? node : NULL;
}

/* The text of a scalar that is a string, NULL for anything else. */
static const char *text_of(JsonNode *node)
{
    return kind_of(node) == QAPI_KIND_STRING ? json_node_get_string(node) : NULL;
}

static bool input_start_struct(Visitor *v, const char *name, GError **errp)
{
    JsonInputVisitor *in = input(v);
    JsonNode *node = take_kind(in, name, QAPI_KIND_OBJECT, "object", errp);

    if (!node) {
        return false;
    }

    Frame frame = {.name = name, .node = node, .unvisited = g_hash_table_new(g_str_hash, g_str_equal)};
    JsonObjectIter iter;
    const char *member;

    json_object_iter_init(&iter, json_node_get_object(node));
    while (json_object_iter_next(&iter, &member, NULL)) {
        g_hash_table_add(frame.unvisited, (gpointer)member);
    }
    g_array_append_val(in->frames, frame);
    return true;
}

static bool input_check_struct(Visitor *v, GError **errp)
{
    JsonInputVisitor *in = input(v);
    Frame *frame = innermost(in);
    JsonObjectIter iter;
    const char *member;

    json_object_iter_init_ordered(&iter, json_node_get_object(frame->node));
    while (json_object_iter_next_ordered(&iter, &member, NULL)) {
        if (g_hash_table_contains(frame->unvisited, member)) {
            return fail(in, member, errp, "is unexpected");
        }
    }
    return true;
}

static void input_end_struct(Visitor *v)
{
    JsonInputVisitor *in = input(v);

    g_hash_table_unref(innermost(in)->unvisited);
    g_array_set_size(in->frames, in->frames->len - 1);
}

static bool input_start_list(Visitor *v, const char *name, size_t *len, GError **errp)
{
    JsonInputVisitor *in = input(v);
    JsonNode *node = take_kind(in, name, QAPI_KIND_ARRAY, "array", errp);

    if (!node) {
        return false;
    }

    Frame frame = {.name = name, .node = node};

    g_array_append_val(in->frames, frame);
    *len = json_array_get_length(json_node_get_array(node));
    return true;
}

static void input_end_list(Visitor *v)
{
    JsonInputVisitor *in = input(v);

    g_array_set_size(in->frames, in->frames->len - 1);
}

static bool input_start_alternate(Visitor *v, const char *name, const char *type, unsigned accepted, QapiKind *kind,
                                  GError **errp)
{
    static const unsigned scalars = 1u << QAPI_KIND_STRING | 1u << QAPI_KIND_BOOL | 1u << QAPI_KIND_NUMBER;
    JsonInputVisitor *in = input(v);
    JsonNode *node = find(in, name);

    if (!node) {
        return fail(in, name, errp, "is missing");
    }

    QapiKind found = kind_of(node);

    if (in->keyval && found == QAPI_KIND_STRING && accepted & scalars) {
        /* The schema checker made sure that there is just one. */
        found = (QapiKind)g_bit_nth_lsf(accepted & scalars, -1);
    }
    if (!(accepted & 1u << found)) {
        take(in, name, NULL);
        return fail_type(in, name, type, errp);
    }
    *kind = found;
    return true;
}

static void input_optional(Visitor *v, const char *name, bool *present)
{
    *present = find(input(v), name) != NULL;
}

static bool input_str(Visitor *v, const char *name, char **obj, GError **errp)
{
    JsonNode *node = take(input(v), name, errp);

    if (!node) {
        return false;
    }
    if (!text_of(node)) {
        return fail_type(input(v), name, "string", errp);
    }
    *obj = g_strdup(text_of(node));
    return true;
}

static bool input_bool(Visitor *v, const char *name, bool *obj, GError **errp)
{
    JsonInputVisitor *in = input(v);
    JsonNode *node = take(in, name, errp);

    if (!node) {
        return false;
    }
    if (kind_of(node) == QAPI_KIND_BOOL) {
        *obj = json_node_get_boolean(node);
        return true;
    }
    if (in->keyval) {
        return (text_of(node) && option_parse_bool(text_of(node), obj)) ||
               fail(in, name, errp, "expects 'on' or 'off'");
    }
    return fail_type(in, name, "boolean", errp);
}

static bool input_number(Visitor *v, const char *name, double *obj, GError **errp)
{
    JsonInputVisitor *in = input(v);
    JsonNode *node = take(in, name, errp);

    if (!node) {
        return false;
    }

    const char *text = text_of(node);
    char *end = NULL;

    if (kind_of(node) == QAPI_KIND_NUMBER) {
        *obj = json_node_get_double(node);
    } else if (text && (g_ascii_isdigit(*text) || *text == '-')) {
        *obj = g_ascii_strtod(text, &end);
    } else {
        return in->keyval ? fail(in, name, errp, "expects a number") : fail_type(in, name, "number", errp);
    }
    return (isfinite(*obj) && (!end || !*end)) || fail(in, name, errp, "expects a number");
}

/* Reads a whole number. In JSON a string can be one only as qapi_json_parse() makes it, beyond int64_t. */
static bool read_integer(const JsonInputVisitor *in, JsonNode *node, bool *negative, uint64_t *magnitude)
{
    const char *text = text_of(node);

    if (!text) {
        int64_t value;

        if (kind_of(node) != QAPI_KIND_NUMBER || json_node_get_value_type(node) != G_TYPE_INT64) {
            return false;
        }
        value = json_node_get_int(node);

        *negative = value < 0;
        *magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        return true;
    }
    return option_parse_integer(text, negative, magnitude) && (in->keyval || *magnitude > INT64_MAX);
}

static bool fail_integer(JsonInputVisitor *in, const char *name, GError **errp)
{
    return in->keyval ? fail(in, name, errp, "expects a number") : fail_type(in, name, "integer", errp);
}

static bool input_int(Visitor *v, const char *name, int64_t *obj, int64_t min, int64_t max, GError **errp)
{
    JsonInputVisitor *in = input(v);
    JsonNode *node = take(in, name, errp);
    bool negative;
    uint64_t magnitude;

    if (!node) {
        return false;
    }
    if (!read_integer(in, node, &negative, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative) {
        return fail_integer(in, name, errp);
    }

    int64_t value = (int64_t)(negative ? -magnitude : magnitude);

    if (value < min || value > max) {
        return fail(in, name, errp, "expects a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, min, max);
    }
    *obj = value;
    return true;
}

static bool input_uint(Visitor *v, const char *name, uint64_t *obj, uint64_t max, GError **errp)
{
    JsonInputVisitor *in = input(v);
    JsonNode *node = take(in, name, errp);
    bool negative;
    uint64_t magnitude;

    if (!node) {
        return false;
    }
    if (!read_integer(in, node, &negative, &magnitude)) {
        return fail_integer(in, name, errp);
    }
    if ((negative && magnitude) || magnitude > max) {
        return fail(in, name, errp, "expects a number from 0 to %" G_GUINT64_FORMAT, max);
    }
    *obj = magnitude;
    return true;
}

static bool input_size(Visitor *v, const char *name, uint64_t *obj, GError **errp)
{
    JsonInputVisitor *in = input(v);
    JsonNode *node = in->keyval ? find(in, name) : NULL;
    const char *text = node ? text_of(node) : NULL;

    if (!text) {
        return input_uint(v, name, obj, UINT64_MAX, errp);
    }
    take(in, name, NULL);
    switch (option_parse_size(text, obj)) {
    case OPTION_SIZE_GOOD:
        return true;
    case OPTION_SIZE_MALFORMED:
        return fail(in, name, errp, "expects a non-negative number below 2^64");
    case OPTION_SIZE_OUT_OF_RANGE:
    default:
        break;
    }

    g_autofree char *path = path_of(in, name);

    g_set_error(errp, QAPI_ERROR, QAPI_ERROR_VALUE, "Value '%s' is out of range for parameter '%s'", text, path);
    return false;
}

static bool input_enum(Visitor *v, const char *name, int *obj, const QapiEnumLookup *lookup, GError **errp)
{
    JsonInputVisitor *in = input(v);
    JsonNode *node = take(in, name, errp);

    if (!node) {
        return false;
    }

    const char *text = text_of(node);
    int value = text ? qapi_enum_parse(lookup, text) : -1;

    if (!text) {
        return fail_type(in, name, "string", errp);
    }
    if (value < 0) {
        return fail(in, name, errp, "does not accept value '%s'", text);
    }
    *obj = value;
    return true;
}

static bool input_null(Visitor *v, const char *name, GError **errp)
{
    return take_kind(input(v), name, QAPI_KIND_NULL, "null", errp);
}

static void input_free(Visitor *v)
{
    JsonInputVisitor *in = input(v);

    g_assert(in->frames->len == 0);
    g_array_unref(in->frames);
    g_free(in);
}

static Visitor *input_new(JsonNode *root, bool keyval)
{
    static const VisitorOps ops = {
        .start_struct = input_start_struct,
        .check_struct = input_check_struct,
        .end_struct = input_end_struct,
        .start_list = input_start_list,
        .end_list = input_end_list,
        .start_alternate = input_start_alternate,
        .optional = input_optional,
        .type_str = input_str,
        .type_bool = input_bool,
        .type_number = input_number,
        .type_int = input_int,
        .type_uint = input_uint,
        .type_size = input_size,
        .type_enum = input_enum,
        .type_null = input_null,
        .free = input_free,
    };
    JsonInputVisitor *in = g_new0(JsonInputVisitor, 1);

    in->visitor.ops = &ops;
    in->root = root;
    in->keyval = keyval;
    in->frames = g_array_new(FALSE, FALSE, sizeof(Frame));
    return &in->visitor;
}

Visitor *json_input_visitor_new(JsonNode *root)
{
    return input_new(root, false);
}

Visitor *keyval_input_visitor_new(JsonNode *root)
{
    return input_new(root, true);
}

JsonNode *qapi_json_parse(const char *text, GError **errp)
{
    g_autofree char *scanned = json_scan(text, errp);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;

    if (!scanned) {
        return NULL;
    }
    if (!json_parser_load_from_data(parser, scanned, -1, &error)) {
        g_set_error(errp, QAPI_ERROR, QAPI_ERROR_SYNTAX, "JSON parse error, %s", error->message);
        return NULL;
    }
    if (!json_parser_get_root(parser)) {
        g_set_error_literal(errp, QAPI_ERROR, QAPI_ERROR_SYNTAX, "Expecting a JSON value");
        return NULL;
    }
    return json_parser_steal_root(parser);
}
