/*
 * The clear visitor: frees the members that a value owns (strings, optional objects, lists), but not the value itself.
 *
 * Generated code uses it for qapi_clear_X() and qapi_free_X(), which are the functions to call. It cannot fail. One
 * visitor serves all threads and is never freed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_CLEAR_VISITOR_H
#define QAPI_CLEAR_VISITOR_H

#include "qapi/visitor.h"

Visitor *clear_visitor(void);

#endif
