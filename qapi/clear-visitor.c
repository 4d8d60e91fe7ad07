/*
 * The clear visitor: strings are freed here, lists and optional objects by the generated code around it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/clear-visitor.h"
#include "qapi/visitor-impl.h"

static bool clear_str(Visitor *v, const char *name, char **obj, GError **errp)
{
    g_clear_pointer(obj, g_free);
    return true;
}

static bool clear_bool(Visitor *v, const char *name, bool *obj, GError **errp)
{
    return true;
}

static bool clear_number(Visitor *v, const char *name, double *obj, GError **errp)
{
    return true;
}

static bool clear_int(Visitor *v, const char *name, int64_t *obj, int64_t min, int64_t max, GError **errp)
{
    return true;
}

static bool clear_uint(Visitor *v, const char *name, uint64_t *obj, uint64_t max, GError **errp)
{
    return true;
}

static bool clear_size(Visitor *v, const char *name, uint64_t *obj, GError **errp)
{
    return true;
}

static bool clear_enum(Visitor *v, const char *name, int *obj, const QapiEnumLookup *lookup, GError **errp)
{
    return true;
}

static bool clear_null(Visitor *v, const char *name, GError **errp)
{
    return true;
}

Visitor *clear_visitor(void)
{
    static const VisitorOps ops = {
        .clearing = true,
        .type_str = clear_str,
        .type_bool = clear_bool,
        .type_number = clear_number,
        .type_int = clear_int,
        .type_uint = clear_uint,
        .type_size = clear_size,
        .type_enum = clear_enum,
        .type_null = clear_null,
    };
    static Visitor visitor = {&ops};

    return &visitor;
}
