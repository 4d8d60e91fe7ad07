/*
 * JSON input: fills values from JSON text that somebody gave us.
 *
 * The text is parsed by json-glib, behind a scanner of ours that refuses what json-glib would crash on or
 * quietly change: deep nesting, whole numbers of more than 64 bits, comments, NUL in strings. Where an object has
 * a key twice, the last one counts. As the stock tool has it, strings may stand in single quotes too.
 *
 * A visitor checks everything against the schema: a member that is missing, unknown, of the wrong type or out of
 * range is an error whose text names it with its path, as in "Invalid parameter type for 'file.filename',
 * expected: string". Texts are the stock tool's where it has one.
 *
 * Not thread safe: a tree and its visitors belong to one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_JSON_INPUT_H
#define QAPI_JSON_INPUT_H

#include <json-glib/json-glib.h>

#include "qapi/visitor.h"

/* Objects and lists of JSON text may be nested so deep. */
#define QAPI_JSON_MAX_DEPTH 64

/*
 * Parses @text. The caller frees the tree with json_node_unref(). A whole number that does not fit into int64_t is
 * kept as a string of its digits, since json-glib has no other place for it; visitors know that.
 */
JsonNode *qapi_json_parse(const char *text, GError **errp);

/* A visitor that fills values from @root, which may be NULL and which it borrows: the tree must outlive it. */
Visitor *json_input_visitor_new(JsonNode *root);

/*
 * The same for the tree of an option string, or of JSON that follows its habits: scalars may be strings. `on`,
 * `yes`, `true`, `y` and their opposites are booleans; sizes may have a suffix (64k, 1.5G) or be hexadecimal.
 */
Visitor *keyval_input_visitor_new(JsonNode *root);

#endif
