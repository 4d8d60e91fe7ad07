/*
 * Visitors: one walk over the values of a schema type, many things to do on the way.
 *
 * The generator writes a function visit_type_X() for each type X of the schema. It leads a Visitor through a
 * value of that type, member by member in schema order. What happens is up to the visitor:
 *
 *   an output visitor reads the value and writes it somewhere (qapi/json-output.h);
 *   an input visitor fills the value, which must be all zero before (qapi/json-input.h);
 *   the clear visitor frees what the value owns (qapi/clear-visitor.h).
 *
 * @name is the name of the member in the object that is being visited, NULL for an item of a list and for the
 * value at the root. Values hold other values as the schema has them: a required member lies in its owner, an
 * optional one is a pointer where its type is a struct, union, alternate or string (NULL: absent), and has a
 * flag has_NAME beside it otherwise.
 *
 * Errors: false is returned and @errp set. Only input visitors fail half way; the value is then partly filled
 * and must be cleared like any other. An output visitor remembers that writing failed, and visit_complete()
 * reports it. The functions from visit_start_struct() on are for generated code and for hand-written walks that
 * have no type in the schema.
 *
 * Not thread safe: one visitor belongs to one thread. A value that output visitors alone are shown is not written to, so
 * several may be shown it at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_VISITOR_H
#define QAPI_VISITOR_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qapi/util.h"

typedef struct Visitor Visitor;

/* Ends the visit: flushes what was written and says whether all of it arrived. To be called once, last. */
bool visit_complete(Visitor *v, GError **errp);

/* Frees @v; NULL is fine. Output that visit_complete() has not flushed is lost. */
void visit_free(Visitor *v);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Visitor, visit_free)

/* An object: start, its members, check (has the input members that were not visited?), end. */
bool visit_start_struct(Visitor *v, const char *name, GError **errp);
bool visit_check_struct(Visitor *v, GError **errp);
void visit_end_struct(Visitor *v);

/* A list: start, *@len items (input sets it) visited without a name, end. */
bool visit_start_list(Visitor *v, const char *name, size_t *len, GError **errp);
void visit_end_list(Visitor *v);

/*
 * An alternate called @type: input sets *@kind to one of the kinds in the bit set @accepted, which tells what
 * to visit next under the same name.
 */
bool visit_start_alternate(Visitor *v, const char *name, const char *type, unsigned accepted, QapiKind *kind,
                           GError **errp);

/* Whether the optional member @name is there. Input sets *@present; it is returned in any case. */
bool visit_optional(Visitor *v, const char *name, bool *present);

/* An optional string, NULL when absent. */
bool visit_optional_str(Visitor *v, const char *name, char **obj, GError **errp);

/* True where the visit frees the value, so that whoever holds a pointer to it lets go of that too. */
bool visit_is_clearing(const Visitor *v);

/* An enum; *@obj is an index into @lookup. */
bool visit_enum(Visitor *v, const char *name, int *obj, const QapiEnumLookup *lookup, GError **errp);

/* null */
bool visit_null(Visitor *v, const char *name, GError **errp);

/* The built-in types of the schema language. Numbers that do not fit their type are an error, never cut. */
bool visit_type_str(Visitor *v, const char *name, char **obj, GError **errp);
bool visit_type_bool(Visitor *v, const char *name, bool *obj, GError **errp);
bool visit_type_number(Visitor *v, const char *name, double *obj, GError **errp);
bool visit_type_int(Visitor *v, const char *name, int64_t *obj, GError **errp);
bool visit_type_int8(Visitor *v, const char *name, int8_t *obj, GError **errp);
bool visit_type_int16(Visitor *v, const char *name, int16_t *obj, GError **errp);
bool visit_type_int32(Visitor *v, const char *name, int32_t *obj, GError **errp);
bool visit_type_int64(Visitor *v, const char *name, int64_t *obj, GError **errp);
bool visit_type_uint8(Visitor *v, const char *name, uint8_t *obj, GError **errp);
bool visit_type_uint16(Visitor *v, const char *name, uint16_t *obj, GError **errp);
bool visit_type_uint32(Visitor *v, const char *name, uint32_t *obj, GError **errp);
bool visit_type_uint64(Visitor *v, const char *name, uint64_t *obj, GError **errp);

/* A number of bytes; in an option string it may have a suffix (64K). */
bool visit_type_size(Visitor *v, const char *name, uint64_t *obj, GError **errp);

#endif
