/*
 * A chain of images, for people: see ui/chain/text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/chain/text.h"

#include <inttypes.h>

#include "ui/output/escape.h"
#include "util/size.h"

static void print_commit(FILE *out, const ChainMember *member)
{
    const ChainCommit *c = &member->commit;
    uint64_t room = c->commit.has_room ? c->commit.room : c->free;
    g_autofree char *bytes = size_format(c->commit.bytes);
    g_autofree char *room_text = size_format(room);

    if (!member->has_commit) {
        fputs("     commit: not known what it would take\n", out);
        return;
    }
    if (c->commit.cannot_be_larger) {
        fputs("     commit: does not fit: the image below has no room for so large a disk\n", out);
        return;
    }
    fprintf(out, "     commit: needs at most %s", bytes);
    if (c->commit.has_room || c->has_free) {
        fprintf(out, ", %s are free: %s", room_text, chain_commit_fits(member) ? "fits" : "may not fit");
    }
    fputc('\n', out);
}

static void print_notes(FILE *out, const ChainMember *member, const ChainMember *next)
{
    uint64_t size = member->link.backing.size;

    if (!next->format) {
        fputs("     note: the format of the next image is not stored, and was guessed\n", out);
    }
    if (next->known && next->link.backing.size > size) {
        fputs("     note: the disk of the next image is larger; its end is not seen here\n", out);
    } else if (next->known && next->link.backing.size < size) {
        fputs("     note: the disk of the next image is smaller; behind it zeros are read\n", out);
    }
}

void print_chain_text(FILE *out, const Chain *chain)
{
    fprintf(out, "\nThe chain, from the image that the guest has down:\n");
    for (size_t depth = 0; depth < chain->members->len; depth++) {
        const ChainMember *member = chain_member(chain, depth);
        g_autofree char *size = size_format(member->link.backing.size);

        fprintf(out, "%3zu  ", depth);
        print_escaped(out, member->filename, 0);
        if (member->refusal) {
            fputs("\n     not opened: see the messages\n", out);
        } else if (!member->known) {
            fputs("\n     not readable: see the messages\n", out);
        } else {
            fprintf(out, "\n     %s, disk of %s\n", member->link.format, size);
        }
        if (depth + 1 < chain->members->len) {
            print_commit(out, member);
            print_notes(out, member, chain_member(chain, depth + 1));
        }
    }
}
