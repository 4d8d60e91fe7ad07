/*
 * The argument of --object: see ui/options/object.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/object.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "block/source.h"
#include "ui/options/object-definition.h"
#include "util/module.h"

/* What a user can create with --object in a program that has block devices only. */
static const char *const object_types[] = {
    "authz-list",        "authz-list-file",
    "authz-simple",      "main-loop",
    "pr-manager-helper", "secret",
    "secret_keyring",    "thread-context",
    "throttle-group",    "tls-cipher-suites",
    "tls-creds-anon",    "tls-creds-psk",
    "tls-creds-x509",    NULL,
};

static bool asks_for_help(const char *definition)
{
    g_auto(GStrv) words = g_strsplit(definition, ",", -1);

    return g_strv_contains((const char *const *)words, "help") || g_strv_contains((const char *const *)words, "?");
}

static bool is_identifier(const char *id)
{
    return g_ascii_isalpha(*id) &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == strlen(id);
}

UserObject user_object_add(GHashTable *ids, const char *definition, GError **errp)
{
    g_autofree char *type = NULL;
    g_autofree char *id = NULL;
    ObjectDefinitionRead *read;

    if (asks_for_help(definition)) {
        return USER_OBJECT_FOREIGN;
    }
    read = module_function(OBJECT_DEFINITION_MODULE, OBJECT_DEFINITION_FUNCTION, errp);
    if (!read || !read(definition, &type, &id, errp)) {
        return USER_OBJECT_REFUSED;
    }
    if (!type) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Parameter 'qom-type' is missing");
    } else if (!g_strv_contains(object_types, type)) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Parameter 'qom-type' does not accept value '%s'", type);
    } else if (!id) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Parameter 'id' is missing");
    } else if (!is_identifier(id)) {
        g_set_error(errp, BLOCK_ERROR, EINVAL,
                    "Parameter 'id' expects an identifier\n"
                    "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.");
    } else if (!g_hash_table_add(ids, g_strdup(id))) {
        g_set_error(errp, BLOCK_ERROR, EEXIST, "attempt to add duplicate property '%s' to object (type 'container')",
                    id);
    } else {
        return USER_OBJECT_ACCEPTED;
    }
    return USER_OBJECT_REFUSED;
}
