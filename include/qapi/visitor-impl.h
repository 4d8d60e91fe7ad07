/*
 * The implementation side of visitors, for the author of one.
 *
 * A visitor is a structure that begins with a Visitor. The functions of qapi/visitor.h call its operations. An
 * operation that is NULL does nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_VISITOR_IMPL_H
#define QAPI_VISITOR_IMPL_H

#include "qapi/visitor.h"

typedef struct VisitorOps {
    bool clearing; /* the result of visit_is_clearing() */

    bool (*start_struct)(Visitor *v, const char *name, GError **errp);            /* may be NULL */
    bool (*check_struct)(Visitor *v, GError **errp);                              /* may be NULL */
    void (*end_struct)(Visitor *v);                                               /* may be NULL */
    bool (*start_list)(Visitor *v, const char *name, size_t *len, GError **errp); /* may be NULL */
    void (*end_list)(Visitor *v);                                                 /* may be NULL */
    bool (*start_alternate)(Visitor *v, const char *name, const char *type, unsigned accepted, QapiKind *kind,
                            GError **errp);                        /* may be NULL */
    void (*optional)(Visitor *v, const char *name, bool *present); /* may be NULL */

    /* Scalars. Input enforces @min .. @max; other visitors may ignore them. */
    bool (*type_str)(Visitor *v, const char *name, char **obj, GError **errp);
    bool (*type_bool)(Visitor *v, const char *name, bool *obj, GError **errp);
    bool (*type_number)(Visitor *v, const char *name, double *obj, GError **errp);
    bool (*type_int)(Visitor *v, const char *name, int64_t *obj, int64_t min, int64_t max, GError **errp);
    bool (*type_uint)(Visitor *v, const char *name, uint64_t *obj, uint64_t max, GError **errp);
    bool (*type_size)(Visitor *v, const char *name, uint64_t *obj, GError **errp);
    bool (*type_enum)(Visitor *v, const char *name, int *obj, const QapiEnumLookup *lookup, GError **errp);
    bool (*type_null)(Visitor *v, const char *name, GError **errp);

    bool (*complete)(Visitor *v, GError **errp); /* may be NULL */
    void (*free)(Visitor *v);                    /* may be NULL */
} VisitorOps;

struct Visitor {
    const VisitorOps *ops;
};

#endif
