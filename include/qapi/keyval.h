/*
 * Option strings: `driver=qcow2,file.filename=a,,b` as a JSON tree.
 *
 * Each parameter is KEY=VALUE; commas separate parameters, and two commas in a value are one comma of it. Dots in a key
 * lead into objects. A number as a part of a key is an index into a list; the indexes of a list must be complete. If a
 * key is given twice, the last value counts. All values are strings, which keyval_input_visitor_new() reads.
 *
 * Errors have the domain QAPI_ERROR, the code QAPI_ERROR_SYNTAX, and the stock tool's texts.
 *
 * Thread safe: nothing here has state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_KEYVAL_H
#define QAPI_KEYVAL_H

#include <json-glib/json-glib.h>

/* The maximum length of a key, dots included. */
#define KEYVAL_MAX_KEY 127

/*
 * Parses @text into an object. If @implied_key is not NULL, the first parameter may be a value alone, which gets that
 * key. The caller frees the tree with json_node_unref().
 */
JsonNode *keyval_parse(const char *text, const char *implied_key, GError **errp);

/*
 * Returns the tree of @root with dots in its keys expanded as in an option string: {"file.filename": "x"} becomes
 * {"file": {"filename": "x"}}. @root must be an object, and is not changed.
 */
JsonNode *keyval_expand(JsonNode *root, GError **errp);

#endif
