/*
 * The clear visitor frees what a value owns: strings, optional objects, lists. The value itself stays, and what
 * it held is gone.
 *
 * Generated code uses it for qapi_clear_X() and qapi_free_X(), which are what you want to call. It cannot fail.
 * There is one for all threads, which nobody frees.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_CLEAR_VISITOR_H
#define QAPI_CLEAR_VISITOR_H

#include "qapi/visitor.h"

Visitor *clear_visitor(void);

#endif
