/*
 * Image options: see ui/image/options.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/image/options.h"

#include <string.h>

#include "qapi/json-input.h"
#include "qapi/keyval.h"
#include "qapi/qapi-visit.h"

static JsonNode *parse(const char *text, bool json, GError **errp)
{
    g_autoptr(JsonNode) root = NULL;

    if (!json) {
        return keyval_parse(text, "file", errp);
    }
    root = qapi_json_parse(text, errp);
    if (!root) {
        g_prefix_error(errp, "Could not parse the JSON options: ");
        return NULL;
    }
    if (!JSON_NODE_HOLDS_OBJECT(root)) {
        g_set_error_literal(errp, QAPI_ERROR, QAPI_ERROR_VALUE, "Invalid JSON object given");
        return NULL;
    }
    return keyval_expand(root, errp);
}

/*
 * Options without a driver leave the format to be guessed. They are read like those of a qcow2 image, since
 * a format that is guessed cannot have been given options of its own. Returns whether there was a driver.
 */
static bool complete_driver(JsonNode *root)
{
    JsonObject *options = json_node_get_object(root);

    if (json_object_has_member(options, "driver")) {
        return true;
    }
    json_object_set_string_member(options, "driver", BlockdevDriver_str(BLOCKDEV_DRIVER_QCOW2));
    return false;
}

static bool refuse(GError **errp, const char *message)
{
    g_set_error_literal(errp, QAPI_ERROR, QAPI_ERROR_VALUE, message);
    return false;
}

/* Options of a file or device that those of a part of it do not have, and the other way round. */
static bool has_right_options(const BlockdevFile *file, GError **errp)
{
    if (file->has_offset || file->has_size || file->file) {
        g_set_error(errp, QAPI_ERROR, QAPI_ERROR_VALUE, "Block protocol 'file' doesn't support the option '%s'",
                    file->has_offset ? "offset"
                    : file->has_size ? "size"
                                     : "file");
        return false;
    }
    return file->filename || refuse(errp, "Parameter 'file.filename' is missing");
}

static bool take_part(bool has_offset, uint64_t offset, bool has_size, uint64_t size, ImageTarget *target,
                      GError **errp)
{
    if (has_size && size % 512 != 0) {
        return refuse(errp, "Specified size is not multiple of 512");
    }
    target->is_window = has_offset || has_size;
    target->window_start = offset;
    target->window_size = has_size ? size : BLOCK_WINDOW_TO_END;
    return true;
}

static bool is_part(const BlockdevFile *file)
{
    return file->has_driver && file->driver == BLOCKDEV_PROTOCOL_RAW;
}

/* The file below @file, a part; NULL and @errp set if there is none that this program reads. */
static const BlockdevFile *file_of_part(const BlockdevFile *file, ImageTarget *target, GError **errp)
{
    if (!file->file || file->filename || file->file->kind == QAPI_KIND_STRING) {
        refuse(errp, "A block device must be specified for \"file\"");
        return NULL;
    }
    if (target->is_window || is_part(&file->file->u.definition)) {
        refuse(errp, "This program reads no part of a part of a file");
        return NULL;
    }
    target->file.force_share |= file->force_share;
    target->file.direct |= file->cache && file->cache->direct;
    target->file.no_flush |= file->cache && file->cache->no_flush;
    target->read_only |= file->read_only;
    return take_part(file->has_offset, file->offset, file->has_size, file->size, target, errp)
               ? &file->file->u.definition
               : NULL;
}

static bool take_file(const BlockdevFileRef *ref, ImageTarget *target, GError **errp)
{
    const BlockdevFile *file = &ref->u.definition;

    if (ref->kind == QAPI_KIND_STRING) {
        g_set_error(errp, QAPI_ERROR, QAPI_ERROR_VALUE, "Cannot find device='%s' nor node-name='%s'", ref->u.reference,
                    ref->u.reference);
        return false;
    }
    if (is_part(file)) {
        file = file_of_part(file, target, errp);
    }
    if (!file || !has_right_options(file, errp)) {
        return false;
    }
    target->path = g_strdup(file->filename);
    target->driver = file->has_driver ? g_strdup(BlockdevProtocol_str(file->driver)) : NULL;
    target->file.no_locking = file->has_locking && file->locking == BLOCKDEV_LOCKING_OFF;
    target->file.force_share |= file->force_share;
    target->file.direct |= file->cache && file->cache->direct;
    target->file.no_flush |= file->cache && file->cache->no_flush;
    target->read_only |= file->read_only;
    return true;
}

static bool take_options(const BlockdevOptions *options, ImageTarget *target, GError **errp)
{
    bool qcow2 = options->driver == BLOCKDEV_DRIVER_QCOW2;

    target->forbids_share = options->has_force_share && !options->force_share;
    target->file.force_share |= options->force_share;
    target->file.direct |= options->cache && options->cache->direct;
    target->file.no_flush |= options->cache && options->cache->no_flush;
    target->read_only |= options->read_only;
    if (!qcow2 && !take_part(options->u.raw.has_offset, options->u.raw.offset, options->u.raw.has_size,
                             options->u.raw.size, target, errp)) {
        return false;
    }
    return take_file(qcow2 ? &options->u.qcow2.file : &options->u.raw.file, target, errp);
}

/* Says of an option that there is none of this name what the stock tool says; other errors stay. */
static void name_unknown_option(GError *error)
{
    g_autofree char *name = NULL;
    const char *in_file;
    const char *quoted = strchr(error->message, '\'');

    if (!g_str_has_suffix(error->message, " is unexpected") || !quoted) {
        return;
    }
    name = g_strndup(quoted + 1, strcspn(quoted + 1, "'"));
    in_file = g_str_has_prefix(name, "file.") ? name + strlen("file.") : NULL;
    g_free(error->message);
    error->message = in_file ? g_strdup_printf("Block protocol 'file' doesn't support the option '%s'", in_file)
                             : g_strdup_printf("Block format 'qcow2' does not support the option '%s'", name);
}

bool image_options_read(const char *text, bool json, ImageTarget *target, GError **errp)
{
    g_autoptr(JsonNode) root = parse(text, json, errp);
    g_autoptr(Visitor) visitor = NULL;
    g_auto(BlockdevOptions) options = {0};
    g_autoptr(GError) error = NULL;
    bool has_driver;

    if (!root) {
        return false;
    }
    if (json_object_get_size(json_node_get_object(root)) == 0) {
        g_set_error_literal(errp, QAPI_ERROR, QAPI_ERROR_VALUE, "Must specify either driver or file");
        return false;
    }
    has_driver = complete_driver(root);
    visitor = keyval_input_visitor_new(root);
    if (!visit_type_BlockdevOptions(visitor, NULL, &options, &error) || !visit_complete(visitor, &error)) {
        name_unknown_option(error);
        g_propagate_error(errp, g_steal_pointer(&error));
        return false;
    }
    if (has_driver) {
        target->format = g_strdup(BlockdevDriver_str(options.driver));
    }
    return take_options(&options, target, errp);
}
