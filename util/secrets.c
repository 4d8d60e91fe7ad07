/*
 * Secrets in names: see util/secrets.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/secrets.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define HIDDEN "..."

/* Parts of the keys under which stores have what grants access. In small letters. */
static const char *const secret_words[] = {"sig", "token", "key", "secret", "credential", "auth", "pass", "policy"};

/* Returns the size of "http://" or "https://" if @text begins with it, or 0. */
static size_t scheme_size(const char *text)
{
    static const char plain[] = "http://";
    static const char safe[] = "https://";

    if (g_ascii_strncasecmp(text, plain, strlen(plain)) == 0) {
        return strlen(plain);
    }
    return g_ascii_strncasecmp(text, safe, strlen(safe)) == 0 ? strlen(safe) : 0;
}

static bool ends_url(const char *at)
{
    if (*at == '\0' || *at == '"' || g_ascii_isspace(*at)) {
        return true;
    }
    return (*at == '\'' || *at == ':') && (at[1] == '\0' || strchr("\":,)]}'", at[1]) || g_ascii_isspace(at[1]));
}

/* Returns true if a key of the query of @size bytes is named like a secret. */
static bool has_secret(const char *query, size_t size)
{
    g_autofree char *small = g_ascii_strdown(query, (gssize)size);
    g_auto(GStrv) parts = g_strsplit_set(small, "&;?", 0);

    for (char **part = parts; *part; part++) {
        char *value = strchr(*part, '=');

        if (value) {
            *value = '\0';
        }
        for (size_t i = 0; i < G_N_ELEMENTS(secret_words); i++) {
            if (strstr(*part, secret_words[i])) {
                return true;
            }
        }
    }
    return false;
}

/* Appends what stands before the host, or nothing; returns its size. */
static size_t append_user(GString *out, const char *rest, size_t size)
{
    size_t place = strcspn(rest, "/?#");
    const char *at = g_strrstr_len(rest, (gssize)MIN(place, size), "@");
    const char *colon = at ? memchr(rest, ':', (size_t)(at - rest)) : NULL;

    if (!colon) {
        return 0;
    }
    g_string_append_len(out, rest, colon + 1 - rest);
    g_string_append(out, HIDDEN);
    return (size_t)(at - rest);
}

/* Appends the URL of @size bytes, the first @scheme of which are its scheme. */
static void append_url(GString *out, const char *url, size_t scheme, size_t size)
{
    const char *rest = url + scheme;
    size_t left = size - scheme;
    const char *query;
    size_t user;

    g_string_append_len(out, url, (gssize)scheme);
    user = append_user(out, rest, left);
    rest += user;
    left -= user;
    query = memchr(rest, '?', left);
    if (query && has_secret(query + 1, left - (size_t)(query + 1 - rest))) {
        g_string_append_len(out, rest, query + 1 - rest);
        g_string_append(out, HIDDEN);
    } else {
        g_string_append_len(out, rest, (gssize)left);
    }
}

char *secrets_hide(const char *text)
{
    GString *out = g_string_new(NULL);

    while (*text) {
        size_t scheme = scheme_size(text);
        size_t size = scheme;

        if (!scheme) {
            g_string_append_c(out, *text++);
            continue;
        }
        while (!ends_url(text + size)) {
            size++;
        }
        append_url(out, text, scheme, size);
        text += size;
    }
    return g_string_free(out, FALSE);
}
