/*
 * Visitors: one walk over a value of a schema type, with different actions on the way.
 *
 * The generator writes a function visit_type_X() for each type X of the schema. It passes a Visitor through a value of
 * that type, member by member in schema order. The visitor decides on the action:
 *
 *   an output visitor reads the value and writes it somewhere (qapi/json-output.h);
 *   an input visitor fills the value, which must be all zero before (qapi/json-input.h);
 *   the clear visitor frees the members that the value owns (qapi/clear-visitor.h).
 *
 * @name is the name of the member in its object; NULL for an item of a list and for the value at the root. A required
 * member lies in its owner. An optional one of a struct, union, alternate or string type is a pointer (NULL: absent);
 * one of another type has a flag has_NAME beside it.
 *
 * Errors: functions return false and set @errp. Only input visitors fail half-way; the value is then partly filled, and
 * must be cleared like any other. An output visitor keeps a write error, and visit_complete() reports it. The functions
 * from visit_start_struct() on are for generated code, and for hand-written walks over values without a schema type.
 *
 * Not thread safe: one visitor belongs to one thread. Output visitors do not write to a value, so several threads may
 * visit it with one each.
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

/* Ends the visit: flushes the output, and returns true if all of it was written. Call once, last. */
bool visit_complete(Visitor *v, GError **errp);

/* Frees @v, which may be NULL. Output that visit_complete() has not flushed is lost. */
void visit_free(Visitor *v);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Visitor, visit_free)

/* An object: start, its members, check (fails if the input has unvisited members), end. */
bool visit_start_struct(Visitor *v, const char *name, GError **errp);
bool visit_check_struct(Visitor *v, GError **errp);
void visit_end_struct(Visitor *v);

/* A list: start, *@len items visited without a name, end. Input sets *@len. */
bool visit_start_list(Visitor *v, const char *name, size_t *len, GError **errp);
void visit_end_list(Visitor *v);

/*
 * An alternate called @type: input sets *@kind to one of the kinds in the bit set @accepted. The branch of that kind is
 * visited next, under the same name.
 */
bool visit_start_alternate(Visitor *v, const char *name, const char *type, unsigned accepted, QapiKind *kind,
                           GError **errp);

/* Return *@present: whether the optional member @name is there. Input sets it first. */
bool visit_optional(Visitor *v, const char *name, bool *present);

/* An optional string, NULL when absent. */
bool visit_optional_str(Visitor *v, const char *name, char **obj, GError **errp);

/* Return true if the visit frees the value: its owner must then drop its pointer. */
bool visit_is_clearing(const Visitor *v);

/* An enum; *@obj is an index into @lookup. */
bool visit_enum(Visitor *v, const char *name, int *obj, const QapiEnumLookup *lookup, GError **errp);

/* null */
bool visit_null(Visitor *v, const char *name, GError **errp);

/* The built-in types of the schema language. A number that does not fit its type is an error. */
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
