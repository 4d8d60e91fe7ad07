/*
 * Lists whose items are made when they are visited.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/sequence.h"

void qapi_sequence_clear(QapiSequence *sequence)
{
    if (sequence->ops) {
        sequence->ops->free(sequence->owner);
    }
    *sequence = (QapiSequence){0};
}

QapiIterator qapi_iterate(const QapiSequence *sequence)
{
    return (QapiIterator){.sequence = sequence, .view = sequence->ops ? g_malloc(sequence->ops->view_size) : NULL};
}

const void *qapi_next(QapiIterator *iterator)
{
    const QapiSequence *s = iterator->sequence;

    return iterator->next < s->len ? s->ops->look(s->owner, iterator->next++, iterator->view) : NULL;
}

void qapi_iterator_clear(QapiIterator *iterator)
{
    g_clear_pointer(&iterator->view, g_free);
}
