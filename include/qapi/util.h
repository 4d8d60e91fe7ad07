/*
 * The parts of generated types: enum tables, growing lists, kinds of JSON values.
 *
 * A list of a type X is an XList: { X *items; size_t len; size_t capacity; }, with adjacent items. An empty list is
 * all zero. qapi_append_X() returns a new item at the end, all zero, or NULL when memory is short. Items move when the
 * list grows, so a pointer to one is valid until the next is appended.
 *
 * Thread safe: nothing here has state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_UTIL_H
#define QAPI_UTIL_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* The kind of a value in JSON. In an alternate it selects the branch. */
typedef enum QapiKind {
    QAPI_KIND_NONE, /* no value */
    QAPI_KIND_NULL,
    QAPI_KIND_BOOL,
    QAPI_KIND_NUMBER,
    QAPI_KIND_STRING,
    QAPI_KIND_ARRAY,
    QAPI_KIND_OBJECT,
} QapiKind;

/* The names of an enum type: a value is the index of its name. */
typedef struct QapiEnumLookup {
    const char *const *names;
    int size;
} QapiEnumLookup;

/* The name of @value, which must be one of the type. */
const char *qapi_enum_name(const QapiEnumLookup *lookup, int value);

/* The value with the name @name, or -1. */
int qapi_enum_parse(const QapiEnumLookup *lookup, const char *name);

/*
 * Reallocates @items, an array of *@capacity elements of @size bytes, to hold at least one more. Returns the
 * array and sets *@capacity, or NULL with nothing changed when memory is short or the count would overflow.
 */
void *qapi_list_grow(void *items, size_t *capacity, size_t size);

/* The error domain of everything under qapi/. */
#define QAPI_ERROR (qapi_error_quark())
GQuark qapi_error_quark(void);

typedef enum QapiError {
    QAPI_ERROR_SYNTAX, /* malformed JSON or option string */
    QAPI_ERROR_VALUE,  /* a missing or unknown member, or one of the wrong type or out of range */
    QAPI_ERROR_MEMORY, /* memory is short */
    QAPI_ERROR_OUTPUT, /* output could not be written */
} QapiError;

/* Sets @errp to QAPI_ERROR_MEMORY, and returns false for the caller to return. */
bool qapi_set_out_of_memory(GError **errp);

#endif
