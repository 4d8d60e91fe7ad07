/*
 * The functions of qapi/visitor.h: each hands its call to the visitor's operation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/visitor.h"
#include "qapi/visitor-impl.h"

bool visit_complete(Visitor *v, GError **errp)
{
    return !v->ops->complete || v->ops->complete(v, errp);
}

void visit_free(Visitor *v)
{
    if (v && v->ops->free) {
        v->ops->free(v);
    }
}

bool visit_start_struct(Visitor *v, const char *name, GError **errp)
{
    return !v->ops->start_struct || v->ops->start_struct(v, name, errp);
}

bool visit_check_struct(Visitor *v, GError **errp)
{
    return !v->ops->check_struct || v->ops->check_struct(v, errp);
}

void visit_end_struct(Visitor *v)
{
    if (v->ops->end_struct) {
        v->ops->end_struct(v);
    }
}

bool visit_start_list(Visitor *v, const char *name, size_t *len, GError **errp)
{
    return !v->ops->start_list || v->ops->start_list(v, name, len, errp);
}

void visit_end_list(Visitor *v)
{
    if (v->ops->end_list) {
        v->ops->end_list(v);
    }
}

bool visit_start_alternate(Visitor *v, const char *name, const char *type, unsigned accepted, QapiKind *kind,
                           GError **errp)
{
    return !v->ops->start_alternate || v->ops->start_alternate(v, name, type, accepted, kind, errp);
}

bool visit_optional(Visitor *v, const char *name, bool *present)
{
    if (v->ops->optional) {
        v->ops->optional(v, name, present);
    }
    return *present;
}

bool visit_optional_str(Visitor *v, const char *name, char **obj, GError **errp)
{
    bool present = *obj != NULL;

    return !visit_optional(v, name, &present) || visit_type_str(v, name, obj, errp);
}

bool visit_is_clearing(const Visitor *v)
{
    return v->ops->clearing;
}

bool visit_enum(Visitor *v, const char *name, int *obj, const QapiEnumLookup *lookup, GError **errp)
{
    return v->ops->type_enum(v, name, obj, lookup, errp);
}

bool visit_null(Visitor *v, const char *name, GError **errp)
{
    return v->ops->type_null(v, name, errp);
}

bool visit_type_str(Visitor *v, const char *name, char **obj, GError **errp)
{
    return v->ops->type_str(v, name, obj, errp);
}

bool visit_type_bool(Visitor *v, const char *name, bool *obj, GError **errp)
{
    return v->ops->type_bool(v, name, obj, errp);
}

bool visit_type_number(Visitor *v, const char *name, double *obj, GError **errp)
{
    return v->ops->type_number(v, name, obj, errp);
}

bool visit_type_int(Visitor *v, const char *name, int64_t *obj, GError **errp)
{
    return visit_type_int64(v, name, obj, errp);
}

bool visit_type_int64(Visitor *v, const char *name, int64_t *obj, GError **errp)
{
    return v->ops->type_int(v, name, obj, INT64_MIN, INT64_MAX, errp);
}

bool visit_type_uint64(Visitor *v, const char *name, uint64_t *obj, GError **errp)
{
    return v->ops->type_uint(v, name, obj, UINT64_MAX, errp);
}

bool visit_type_size(Visitor *v, const char *name, uint64_t *obj, GError **errp)
{
    return v->ops->type_size(v, name, obj, errp);
}

bool visit_type_int8(Visitor *v, const char *name, int8_t *obj, GError **errp)
{
    int64_t value = *obj; /* NOLINT(bugprone-signed-char-misuse): a number */
    bool ok = v->ops->type_int(v, name, &value, INT8_MIN, INT8_MAX, errp);

    if (value != *obj) {
        *obj = (int8_t)value;
    }
    return ok;
}

bool visit_type_uint8(Visitor *v, const char *name, uint8_t *obj, GError **errp)
{
    uint64_t value = *obj;
    bool ok = v->ops->type_uint(v, name, &value, UINT8_MAX, errp);

    if (value != *obj) {
        *obj = (uint8_t)value;
    }
    return ok;
}

bool visit_type_int16(Visitor *v, const char *name, int16_t *obj, GError **errp)
{
    int64_t value = *obj;
    bool ok = v->ops->type_int(v, name, &value, INT16_MIN, INT16_MAX, errp);

    if (value != *obj) {
        *obj = (int16_t)value;
    }
    return ok;
}

bool visit_type_uint16(Visitor *v, const char *name, uint16_t *obj, GError **errp)
{
    uint64_t value = *obj;
    bool ok = v->ops->type_uint(v, name, &value, UINT16_MAX, errp);

    if (value != *obj) {
        *obj = (uint16_t)value;
    }
    return ok;
}

bool visit_type_int32(Visitor *v, const char *name, int32_t *obj, GError **errp)
{
    int64_t value = *obj;
    bool ok = v->ops->type_int(v, name, &value, INT32_MIN, INT32_MAX, errp);

    if (value != *obj) {
        *obj = (int32_t)value;
    }
    return ok;
}

bool visit_type_uint32(Visitor *v, const char *name, uint32_t *obj, GError **errp)
{
    uint64_t value = *obj;
    bool ok = v->ops->type_uint(v, name, &value, UINT32_MAX, errp);

    if (value != *obj) {
        *obj = (uint32_t)value;
    }
    return ok;
}
