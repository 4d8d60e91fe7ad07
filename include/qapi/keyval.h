/*
 * Option strings: `driver=qcow2,file.filename=a,,b` as a JSON tree.
 *
 * Each parameter is KEY=VALUE; parameters are separated by commas, and two commas in a value are one comma of
 * it. Dots in a key lead into objects; a part of a key that is a number is an index into a list, and the indexes
 * of a list must be complete. Of a key that is there twice, the last value counts. All values are strings:
 * keyval_input_visitor_new() knows how to read them.
 *
 * Errors are of the domain QAPI_ERROR, code QAPI_ERROR_SYNTAX, and have the stock tool's texts.
 *
 * Thread safe: nothing here has state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_KEYVAL_H
#define QAPI_KEYVAL_H

#include <json-glib/json-glib.h>

/* A key is at most so long, dots included. */
#define KEYVAL_MAX_KEY 127

/*
 * Parses @text into an object. When @implied_key is not NULL, the first parameter may be a value alone, which gets
 * that key. The caller frees the tree with json_node_unref().
 */
JsonNode *keyval_parse(const char *text, const char *implied_key, GError **errp);

/*
 * The tree that @root stands for when dots in its keys are read as in an option string, so that
 * {"file.filename": "x"} is {"file": {"filename": "x"}}. @root must be an object and stays as it is.
 */
JsonNode *keyval_expand(JsonNode *root, GError **errp);

#endif
