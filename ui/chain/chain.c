/*
 * The images that an image stands on: see ui/chain/chain.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/chain/chain.h"

#include <string.h>
#include <sys/stat.h>

#include "ui/chain/name.h"
#include "ui/image/resolve.h"

static void member_free(void *opaque)
{
    ChainMember *member = opaque;

    g_free(member->filename);
    g_free(member->format);
    g_free(member->refusal);
    image_target_clear(&member->target);
    g_free(member);
}

void chain_free(Chain *chain)
{
    if (chain) {
        g_ptr_array_unref(chain->members);
        g_free(chain->filenames);
        g_free(chain);
    }
}

const ChainMember *chain_member(const Chain *chain, size_t depth)
{
    return g_ptr_array_index(chain->members, depth);
}

const char *chain_broken_off_at(const Chain *chain)
{
    const ChainMember *last = chain_member(chain, chain->members->len - 1);

    return last->known || last->refusal ? NULL : last->filename;
}

static ChainMember *add_member(Chain *chain, char *filename, const char *format)
{
    ChainMember *member = g_new0(ChainMember, 1);

    member->filename = filename;
    member->format = g_strdup(format);
    g_ptr_array_add(chain->members, member);
    return member;
}

/* ---- what may be opened ---- */

/* Opening a FIFO waits, and opening a character device may do anything; of a name from an image both are refused. */
static void look_at_file(ChainMember *member, bool named_by_image)
{
    struct stat st;

    if (member->target.open_remote || stat(member->target.path, &st) < 0) {
        return; /* whoever opens it says why not */
    }
    if (named_by_image && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        member->refusal =
            g_strdup_printf("Could not open '%s': it is no regular file and no block device", member->filename);
    }
    if (S_ISBLK(st.st_mode)) {
        member->place[1] = st.st_rdev;
    } else {
        member->place[0] = st.st_dev + 1; /* 0 is a device's */
        member->place[1] = st.st_ino;
    }
    member->place[2] = member->target.is_window ? member->target.window_start : 0;
}

static bool is_same_image(const ChainMember *a, const ChainMember *b)
{
    if (a->target.open_remote || b->target.open_remote) {
        return a->target.open_remote && b->target.open_remote && g_str_equal(a->target.path, b->target.path);
    }
    return a->place[1] && memcmp(a->place, b->place, sizeof(a->place)) == 0;
}

static void refuse_loop(const Chain *chain, ChainMember *member)
{
    for (size_t depth = 0; !member->refusal && depth + 1 < chain->members->len; depth++) {
        const ChainMember *above = chain_member(chain, depth);

        if (is_same_image(above, member)) {
            member->refusal = g_strdup_printf("The chain is a loop: '%s' is the image at depth %zu, '%s', again",
                                              member->filename, depth, above->filename);
        }
    }
}

/* Finds the file of the last member. Returns true if it may be opened, and is ours to read. */
static bool find_file(const Chain *chain, const CheckOptions *options)
{
    size_t depth = chain->members->len - 1;
    ChainMember *member = g_ptr_array_index(chain->members, depth);
    CheckOptions own = *options;

    chain_choose(chain, depth, &own);
    if (depth > 0 && backing_name_is_remote(member->filename) && !options->allow_remote_backing) {
        member->refusal = g_strdup_printf(
            "Could not open '%s': a name with a protocol, from an image, is opened with --allow-remote-backing only",
            member->filename);
        return false;
    }
    if (image_target_resolve(&own, &member->target, NULL) != IMAGE_TARGET_OURS) {
        return false;
    }
    look_at_file(member, depth > 0);
    refuse_loop(chain, member);
    return !member->refusal;
}

/* ---- following ---- */

/* The next member, from what the last one says. */
static void add_next(Chain *chain, const ChainMember *last)
{
    const Qcow2Backing *backing = &last->link.backing;
    const char *format = *backing->format ? backing->format : NULL;
    ChainMember *next;

    if (last->target.open_remote && !backing_name_is_remote(backing->name) && *backing->name != '/') {
        next = add_member(chain, g_strdup(backing->name), format);
        next->refusal =
            g_strdup_printf("Could not open '%s': '%s', which names it, is on a server", backing->name, last->filename);
        return;
    }
    next = add_member(chain, backing_name_resolve(backing->name, last->target.path), format);
    if (chain->members->len > CHAIN_MAX) {
        next->refusal = g_strdup_printf("The chain has more than %u images", CHAIN_MAX);
    }
}

static void ask_commits(const Chain *chain, const CheckOptions *options)
{
    for (size_t depth = 0; depth + 1 < chain->members->len; depth++) {
        ChainMember *member = g_ptr_array_index(chain->members, depth);
        const ChainMember *next = chain_member(chain, depth + 1);

        member->has_commit = next->known && chain_ask_commit(options, &member->target, &next->target, next->link.format,
                                                             &member->commit);
    }
}

Chain *chain_follow(const CheckOptions *options)
{
    Chain *chain = g_new0(Chain, 1);
    ChainMember *member;

    chain->members = g_ptr_array_new_with_free_func(member_free);
    member = add_member(chain, g_strdup(options->filename), options->format);
    while (!member->refusal && find_file(chain, options)) {
        member->known = chain_ask_link(options, &member->target, &member->link);
        if (!member->known || *member->link.backing.name == '\0') {
            break;
        }
        add_next(chain, member);
        member = g_ptr_array_index(chain->members, chain->members->len - 1);
    }
    ask_commits(chain, options);
    chain->filenames = g_new0(char *, chain->members->len + 1);
    for (size_t depth = 0; depth < chain->members->len; depth++) {
        chain->filenames[depth] = chain_member(chain, depth)->filename;
    }
    return chain;
}

/* ---- the members ---- */

void chain_choose(const Chain *chain, size_t depth, CheckOptions *options)
{
    const ChainMember *member = chain_member(chain, depth);

    options->filename = member->filename;
    options->format = member->format;
    options->image_opts &= depth == 0;
}

bool chain_commit_fits(const ChainMember *member)
{
    const ChainCommit *c = &member->commit;

    if (c->commit.cannot_be_larger) {
        return false;
    }
    return c->commit.has_room ? c->commit.bytes <= c->commit.room : !c->has_free || c->commit.bytes <= c->free;
}

void chain_describe(const Chain *chain, size_t depth, ImageCheck *check)
{
    const ChainMember *member = chain_member(chain, depth);
    const ChainMember *next = depth + 1 < chain->members->len ? chain_member(chain, depth + 1) : NULL;
    const ChainCommit *c = &member->commit;
    ImageCheckBacking *backing;

    check->has_depth = true;
    check->depth = (int64_t)depth;
    if (!next) {
        return;
    }
    backing = check->backing = g_new0(ImageCheckBacking, 1);
    backing->name = g_strdup(member->link.backing.name);
    backing->filename = g_strdup(next->filename);
    backing->format = g_strdup(next->format ? next->format : next->known ? next->link.format : NULL);
    backing->format_guessed = !next->format;
    backing->disk_size = member->link.backing.size;
    backing->has_backing_size = next->known;
    backing->backing_size = next->link.backing.size;
    if (member->has_commit) {
        backing->has_commit_bytes = true;
        backing->commit_bytes = c->commit.bytes;
        backing->has_commit_room = c->commit.has_room || c->has_free;
        backing->commit_room = c->commit.has_room ? c->commit.room : c->free;
        backing->has_commit_fits = true;
        backing->commit_fits = chain_commit_fits(member);
    }
}
