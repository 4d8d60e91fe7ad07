/*
 * The images that an image stands on: --backing-chain.
 *
 * A name from an image is opened because the user asked for it, and only if it leads to a regular file or a block
 * device; what has another protocol in front needs --allow-remote-backing as well. The chain ends where there is no
 * name, where a file comes a second time, and after CHAIN_MAX images.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHAIN_CHAIN_H
#define UI_CHAIN_CHAIN_H

#include "ui/chain/ask.h"

#define CHAIN_MAX 200u /* images; more than anybody has, and more files than a machine may open for the guest */

typedef struct ChainMember {
    char *filename; /* as on a command line */
    char *format;   /* as given or stored, NULL: guessed */
    char *refusal;  /* the reason why it is not opened, NULL: it is */
    bool known;     /* link is there */
    ChainLink link;
    bool has_commit; /* into the next image */
    ChainCommit commit;
    ImageTarget target;
    uint64_t place[3]; /* of a file or a device: where it lies, the same for all of its names; 0: not known */
} ChainMember;

typedef struct Chain {
    GPtrArray *members; /* ChainMember, from the image on top down; at least one */
    char **filenames;   /* theirs, borrowed, with NULL at the end */
} Chain;

/* Follows the chain of the image that @options name. Reads of each image its header, and L1 and L2 tables. */
Chain *chain_follow(const CheckOptions *options);
void chain_free(Chain *chain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Chain, chain_free)

const ChainMember *chain_member(const Chain *chain, size_t depth);

/* Changes @options, which are those of the chain, to a check of the member @depth. Strings stay the chain's. */
void chain_choose(const Chain *chain, size_t depth, CheckOptions *options);

/* The name of the last image if nobody could find out what it stands on, and it was not refused; NULL otherwise. */
const char *chain_broken_off_at(const Chain *chain);

/* Fills the members of @check that are about the chain. */
void chain_describe(const Chain *chain, size_t depth, ImageCheck *check);

/* Whether a commit of @member into the next fits; only if has_commit. */
bool chain_commit_fits(const ChainMember *member);

#endif
