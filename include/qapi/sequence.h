/*
 * Sequences: lists whose items are made one at a time, when they are visited (`'sequence': true` in the schema).
 *
 * A list of 100,000 objects takes long to allocate, and memory. Whoever has their contents in another form shows them
 * as a sequence instead. An empty sequence is all zero. For items that lie in a list the generator writes
 * qapi_sequence_of_XList(): the sequence shows the list, which qapi_sequence_clear() clears and frees. Input visitors
 * make such sequences.
 *
 * Any number of threads may iterate over a sequence at once, while nobody changes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_SEQUENCE_H
#define QAPI_SEQUENCE_H

#include <glib.h>
#include <stddef.h>

typedef struct QapiSequenceOps {
    size_t view_size; /* memory that @look needs, bytes */

    /*
     * Returns item @index of @owner. It may lie in @view, with what it refers to, until the next call with that view.
     * Strings that are not in @view belong to @owner, and do not move. The caller changes nothing of it.
     */
    const void *(*look)(const void *owner, size_t index, void *view);

    void (*free)(void *owner);
} QapiSequenceOps;

typedef struct QapiSequence {
    const QapiSequenceOps *ops; /* NULL: the sequence is empty, and has no owner */
    void *owner;
    size_t len; /* items; a copy with a smaller number is the beginning of the sequence */
} QapiSequence;

/* Frees the owner, and empties the sequence. */
void qapi_sequence_clear(QapiSequence *sequence);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(QapiSequence, qapi_sequence_clear)

typedef struct QapiIterator {
    const QapiSequence *sequence;
    size_t next; /* index */
    void *view;
} QapiIterator;

/* Begins before the first item of @sequence, which is borrowed. */
QapiIterator qapi_iterate(const QapiSequence *sequence);

/* The next item, valid until the next call; NULL behind the last. */
const void *qapi_next(QapiIterator *iterator);

void qapi_iterator_clear(QapiIterator *iterator);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(QapiIterator, qapi_iterator_clear)

#endif
