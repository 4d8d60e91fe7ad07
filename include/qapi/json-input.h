/*
 * JSON input: fills values from untrusted JSON text.
 *
 * json-glib parses the text, behind a scanner that refuses input on which json-glib would crash or which it would
 * silently change: deep nesting, whole numbers of more than 64 bits, comments, NUL in strings. If an object has a key
 * twice, the last one counts. Strings may be in single quotes, like those of the stock tool.
 *
 * A visitor validates everything against the schema. A missing or unknown member, or one of the wrong type or out of
 * range, is an error that names the member with its path: "Invalid parameter type for 'file.filename', expected:
 * string". Texts are those of the stock tool, as far as it has them.
 *
 * Not thread safe: a tree and its visitors belong to one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_JSON_INPUT_H
#define QAPI_JSON_INPUT_H

#include <json-glib/json-glib.h>

#include "qapi/visitor.h"

/* The maximum depth of nested objects and lists in JSON text. */
#define QAPI_JSON_MAX_DEPTH 64

/*
 * Parses @text. The caller frees the tree with json_node_unref(). A whole number that does not fit into int64_t is
 * kept as a string of its digits, since json-glib has no type for it; visitors accept that.
 */
JsonNode *qapi_json_parse(const char *text, GError **errp);

/* Returns a visitor that fills values from @root, which it borrows: the tree must outlive it. @root may be NULL. */
Visitor *json_input_visitor_new(JsonNode *root);

/*
 * The same for the tree of an option string, or of JSON in its style: scalars may be strings. `on`,
 * `yes`, `true`, `y` and their opposites are booleans; sizes may have a suffix (64k, 1.5G) or be hexadecimal.
 */
Visitor *keyval_input_visitor_new(JsonNode *root);

#endif
