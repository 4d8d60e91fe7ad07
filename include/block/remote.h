/*
 * Images on servers: NBD and HTTP.
 *
 * Each protocol is a module (util/module.h) with one function, since the library behind it is large. What it
 * opens is an ordinary source; its readers keep many requests in flight.
 *
 * Nothing waits for ever. A connection must be there within a time, and an answer that is due must go on arriving;
 * a server that is silent for longer than that ends the source, and its reads fail with -ETIMEDOUT. A connection
 * that is lost is made again, and what was in flight is asked again, as long as something was read since the last
 * time; after that reads fail with -EIO. It is not made again while something was written that was not flushed, since
 * it may be gone with the server: all fails from then on. One of several connections that only makes reading faster is
 * not made again: what it owed is asked on another one. Looking up a host name keeps the times of the system's
 * resolver.
 *
 * While a source is open the program must ignore SIGPIPE.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_REMOTE_H
#define BLOCK_REMOTE_H

#include "block/source.h"

#define REMOTE_CONNECT_SECONDS 30 /* for a connection, where RemoteOptions says nothing else */
#define REMOTE_SILENCE_SECONDS 60 /* between two pieces of an answer, likewise */
#define REMOTE_MAX_SECONDS     86400

typedef struct RemoteOptions {
    unsigned timeout; /* seconds, 1 .. REMOTE_MAX_SECONDS, instead of both times above; 0: those */
    bool writable;    /* refuse what cannot be written, and what cannot be flushed */

    /*
     * Is told once, from any thread, why the reads of a source fail from now on. The source's errors are errno
     * values, and cannot say it.
     */
    void (*report)(const char *name, const char *message);
} RemoteOptions;

/*
 * Opens the image at @name: a URI, or for NBD the older nbd:HOST:PORT[:exportname=NAME] and
 * nbd:unix:PATH[:exportname=NAME]. NULL and @errp set on failure; the message is what follows the colon in
 * "Could not open 'NAME': ".
 */
typedef BlockSource *BlockSourceOpenRemote(const char *name, const RemoteOptions *options, GError **errp);

#define NBD_MODULE   "qemu-img-nbd"
#define NBD_FUNCTION "block_source_open_nbd"
BlockSourceOpenRemote block_source_open_nbd;

#define CURL_MODULE   "qemu-img-curl"
#define CURL_FUNCTION "block_source_open_curl"
BlockSourceOpenRemote block_source_open_curl;

#endif
