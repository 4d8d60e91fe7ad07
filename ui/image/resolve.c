/*
 * From the file name of a command line to the file that is to be opened: see ui/image/resolve.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/image/resolve.h"

#include <errno.h>
#include <string.h>

#include "ui/image/options.h"
#include "util/error-report.h"
#include "util/module.h"

#define JSON_PREFIX "json:"

/* What the stock tool takes for -f. */
static const char *const stock_formats[] = {
    "blkdebug",
    "blklogwrites",
    "blkverify",
    "bochs",
    "cloop",
    "compress",
    "copy-before-write",
    "copy-on-read",
    "dmg",
    "file",
    "ftp",
    "ftps",
    "gluster",
    "host_cdrom",
    "host_device",
    "http",
    "https",
    "iscsi",
    "iser",
    "luks",
    "nbd",
    "nfs",
    "null-aio",
    "null-co",
    "nvme",
    "parallels",
    "preallocate",
    "qcow",
    "qed",
    "quorum",
    "rbd",
    "replication",
    "snapshot-access",
    "ssh",
    "throttle",
    "vdi",
    "vhdx",
    "vmdk",
    "vpc",
    "vvfat",
    NULL,
};

/* What the stock tool takes in front of a colon. */
static const char *const stock_protocols[] = {
    "blkdebug",     "blklogwrites", "blkverify",    "fat",        "ftp",         "ftps", "gluster",
    "gluster+rdma", "gluster+tcp",  "gluster+unix", "host_cdrom", "host_device", "http", "https",
    "iscsi",        "iser",         "nbd",          "nbd+tcp",    "nbd+unix",    "nfs",  "null-aio",
    "null-co",      "nvme",         "rbd",          "ssh",        NULL,
};

/* What a module reads. Its libraries are large, so the module is loaded when a name asks for it. */
static const struct {
    const char *protocol;
    const char *module;
    const char *function;
} remote_protocols[] = {
    {"nbd", NBD_MODULE, NBD_FUNCTION},       {"nbd+tcp", NBD_MODULE, NBD_FUNCTION},
    {"nbd+unix", NBD_MODULE, NBD_FUNCTION},  {"nbds", NBD_MODULE, NBD_FUNCTION},
    {"nbds+unix", NBD_MODULE, NBD_FUNCTION}, {"http", CURL_MODULE, CURL_FUNCTION},
    {"https", CURL_MODULE, CURL_FUNCTION},
};

/* Whether this program checks images of @format; otherwise *@kind and @errp say whose business it is. */
static bool is_our_format(const char *name, const char *format, ImageTargetKind *kind, GError **errp)
{
    if (g_str_equal(format, "qcow2") || g_str_equal(format, "raw")) {
        return true;
    }
    if (g_strv_contains(stock_formats, format)) {
        *kind = IMAGE_TARGET_FOREIGN;
        g_set_error(errp, BLOCK_ERROR, ENOTSUP, "A check of '%s' (format '%s')", name, format);
    } else {
        *kind = IMAGE_TARGET_UNKNOWN;
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Could not open '%s': Unknown driver '%s'", name, format);
    }
    return false;
}

static ImageTargetKind resolve_options(const CheckOptions *options, bool json, ImageTarget *target, GError **errp)
{
    const char *text = options->filename + (json ? strlen(JSON_PREFIX) : 0);
    ImageOptionsRead *read = module_function(IMAGE_OPTIONS_MODULE, IMAGE_OPTIONS_FUNCTION, errp);
    g_autoptr(GError) error = NULL;

    if (!read) {
        return IMAGE_TARGET_REFUSED;
    }
    if (!read(text, json, target, &error)) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Could not open '%s': %s", options->filename, error->message);
        return IMAGE_TARGET_UNKNOWN;
    }
    if (options->force_share && options->image_opts && target->forbids_share) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "--force-share/-U conflicts with image options");
        return IMAGE_TARGET_REFUSED;
    }
    if (!target->format) {
        target->format = g_strdup(options->format);
    } else if (options->format && !g_str_equal(options->format, target->format)) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Could not open '%s': Driver specified twice", options->filename);
        return IMAGE_TARGET_UNKNOWN;
    }
    return IMAGE_TARGET_OURS;
}

/* NULL where the protocol is none of these, or this program was built without the module. */
static BlockSourceOpenRemote *remote_opener(const char *protocol)
{
    for (size_t i = 0; i < G_N_ELEMENTS(remote_protocols); i++) {
        if (g_str_equal(remote_protocols[i].protocol, protocol)) {
            return module_function(remote_protocols[i].module, remote_protocols[i].function, NULL);
        }
    }
    return NULL;
}

static void report_remote_failure(const char *name, const char *message)
{
    error_report("%s: %s", name, message);
}

static ImageTargetKind resolve_protocol(const char *name, size_t length, ImageTarget *target, GError **errp)
{
    g_autofree char *protocol = g_strndup(name, length);

    if (g_str_equal(protocol, "file")) {
        target->path = g_strdup(name + length + 1);
        target->driver = g_strdup("file");
        return IMAGE_TARGET_OURS;
    }
    target->open_remote = remote_opener(protocol);
    if (target->open_remote) {
        target->path = g_strdup(name);
        return IMAGE_TARGET_OURS;
    }
    if (g_strv_contains(stock_protocols, protocol)) {
        g_set_error(errp, BLOCK_ERROR, ENOTSUP, "A check of '%s' (protocol '%s')", name, protocol);
        return IMAGE_TARGET_FOREIGN;
    }
    g_set_error(errp, BLOCK_ERROR, EINVAL, "Could not open '%s': Unknown protocol '%s'", name, protocol);
    return IMAGE_TARGET_UNKNOWN;
}

ImageTargetKind image_target_resolve(const CheckOptions *options, ImageTarget *target, GError **errp)
{
    const char *name = options->filename;
    size_t protocol = strcspn(name, ":/");
    ImageTargetKind kind = IMAGE_TARGET_OURS;

    *target = (ImageTarget){
        .file = {.force_share = options->force_share,
                 .direct = options->direct,
                 .sync = options->sync,
                 .no_flush = options->no_flush,
                 .reader = options->reader},
        .remote = {.timeout = options->timeout, .report = report_remote_failure},
    };
    if (options->format && !is_our_format(name, options->format, &kind, errp)) {
        return kind;
    }
    if (options->image_opts) {
        return resolve_options(options, false, target, errp);
    }
    if (g_str_has_prefix(name, JSON_PREFIX)) {
        return resolve_options(options, true, target, errp);
    }
    target->format = g_strdup(options->format);
    if (name[protocol] == ':') {
        return resolve_protocol(name, protocol, target, errp);
    }
    target->path = g_strdup(name);
    return IMAGE_TARGET_OURS;
}
