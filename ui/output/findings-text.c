/*
 * The findings of a check in words: see ui/output/findings-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/findings-text.h"

#include <inttypes.h>
#include <string.h>

#include "ui/output/wrap.h"
#include "util/size.h"
#include "util/text.h"

#define COLUMNS 79
#define INDENT  4

/* What is wrong, for kinds that are no notes: the message of a note says it. */
static const char *const descriptions[QCOW2_FINDING__MAX] = {
    [QCOW2_FINDING_SNAPSHOTS_TOO_MANY] = "the header claims too many snapshots",
    [QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED] = "the offset of the snapshot table is invalid",
    [QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE] = "a snapshot claims too much extra data",
    [QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG] = "the snapshot table is too long",
    [QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE] = "the snapshot table cannot be read",
    [QCOW2_FINDING_SNAPSHOT_INCOMPLETE] = "a snapshot lacks extra data that version 3 requires",
    [QCOW2_FINDING_REGION_BEYOND_END] = "a reference beyond the end of the file",
    [QCOW2_FINDING_REFCOUNT_OVERFLOW] = "more references than the reference count can hold",
    [QCOW2_FINDING_SNAPSHOTS_WITH_DATA_FILE] = "snapshots in an image with an external data file",
    [QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED] = "the L1 table of a snapshot is not cluster aligned",
    [QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE] = "the L1 table of a snapshot is too large",
    [QCOW2_FINDING_L1_UNREADABLE] = "an L1 table cannot be read",
    [QCOW2_FINDING_L1_RESERVED_BITS] = "an L1 entry has reserved bits set",
    [QCOW2_FINDING_L2_TABLE_UNALIGNED] = "an L1 entry names an L2 table that is not cluster aligned",
    [QCOW2_FINDING_L2_UNREADABLE] = "an L2 table cannot be read",
    [QCOW2_FINDING_L2_RESERVED_BITS] = "an L2 entry has reserved bits set",
    [QCOW2_FINDING_COMPRESSED_COPIED] = "a compressed cluster has the COPIED flag",
    [QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE] = "a compressed cluster in an image with an external data file",
    [QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS] = "a compressed cluster has a subcluster bitmap",
    [QCOW2_FINDING_SUBCLUSTERS_CONTRADICT] = "a subcluster bitmap contradicts itself",
    [QCOW2_FINDING_DATA_UNALIGNED] = "an L2 entry names data that is not cluster aligned",
    [QCOW2_FINDING_PREALLOCATED_UNALIGNED] = "an L2 entry names a preallocated cluster that is not cluster aligned",
    [QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS] = "a cluster without a place in the file has subclusters",
    [QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED] = "the bitmap directory is damaged",
    [QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE] = "the bitmap directory cannot be read",
    [QCOW2_FINDING_BITMAP_DAMAGED] = "a bitmap's directory entry is damaged",
    [QCOW2_FINDING_BITMAP_TABLE_UNREADABLE] = "the table of a bitmap cannot be read",
    [QCOW2_FINDING_BITMAP_TABLE_ENTRY] = "a bitmap table entry is damaged",
    [QCOW2_FINDING_L2_TABLES_OVERLAPPING] = "L2 tables were skipped",
    [QCOW2_FINDING_HEADER_EXTENSIONS_UNREADABLE] = "the end of the header cannot be read",
    [QCOW2_FINDING_REFCOUNT_TABLE_UNREADABLE] = "a part of the refcount table cannot be read",
    [QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS] = "a refcount table entry has reserved bits set",
    [QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED] = "a refcount block is not cluster aligned",
    [QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE] = "a refcount block lies beyond the end of the file",
    [QCOW2_FINDING_REFCOUNT_BLOCK_SHARED] = "a refcount block has another user",
    [QCOW2_FINDING_REFCOUNT_UNREADABLE] = "reference counts cannot be read",
    [QCOW2_FINDING_REFCOUNT_TOO_LOW] = "reference count lower than the number of users",
    [QCOW2_FINDING_LEAK] = "reference count higher than the number of users",
};

/* What a wrong COPIED flag means, by the stored count of the cluster. */
static const char *copied_text(const ImageCheckFinding *f)
{
    switch (f->has_refcount ? f->refcount : UINT64_MAX) {
    case 1:
        return "the COPIED flag is missing, which does no harm";
    case 0:
        return "the COPIED flag is set, but the cluster counts as free";
    default:
        return "the COPIED flag is set on a shared cluster: a write damages what its other users have";
    }
}

static const char *description(const ImageCheckFinding *f)
{
    return f->kind == QCOW2_FINDING_L1_COPIED_WRONG || f->kind == QCOW2_FINDING_L2_COPIED_WRONG ? copied_text(f)
                                                                                                : descriptions[f->kind];
}

static const char *const structures[IMAGE_CHECK_STRUCTURE__MAX] = {
    [IMAGE_CHECK_STRUCTURE_HEADER] = "header",
    [IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE] = "refcount table",
    [IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK] = "refcount block",
    [IMAGE_CHECK_STRUCTURE_L1] = "L1 table",
    [IMAGE_CHECK_STRUCTURE_L2] = "L2 table",
    [IMAGE_CHECK_STRUCTURE_DATA] = "data",
    [IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA] = "compressed data",
    [IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE] = "snapshot table",
    [IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY] = "bitmap directory",
    [IMAGE_CHECK_STRUCTURE_BITMAP_TABLE] = "bitmap table",
    [IMAGE_CHECK_STRUCTURE_BITMAP_DATA] = "bitmap data",
    [IMAGE_CHECK_STRUCTURE_CRYPT_HEADER] = "LUKS header",
    [IMAGE_CHECK_STRUCTURE_NONE] = "unused",
};

/* Appends the first and the last byte of a range. */
static void append_range(GString *text, const char *separator, const char *what, const Qcow2Allocation *range)
{
    if (range) {
        g_string_append_printf(text, "%s%s 0x%" PRIx64 "-0x%" PRIx64, separator, what, range->offset,
                               range->offset + (range->size - 1));
    }
}

static void append_name(GString *text, const char *separator, const char *what, const char *name)
{
    size_t left = name ? strlen(name) : 0;

    if (!name) {
        return;
    }
    g_string_append_printf(text, "%s%s \"", separator, what);
    for (size_t taken; left; name += taken, left -= taken) {
        taken = text_append_escaped(text, name, left, true);
    }
    g_string_append_c(text, '"');
}

/* Appends what is used as what, and the word for it. */
static void append_structure(GString *text, const char *before, ImageCheckStructure structure, bool has_entry,
                             uint64_t entry_offset)
{
    g_string_append_printf(text, "; %s%s", before, structures[structure]);
    if (has_entry) {
        g_string_append_printf(text, ", entry at 0x%" PRIx64, entry_offset);
    }
}

static void append_user(GString *text, const ImageCheckUser *user)
{
    append_structure(text, "also used as ", user->structure, user->has_entry_offset, user->entry_offset);
    append_range(text, ", ", "guest", user->guest);
    append_name(text, ", ", "snapshot", user->snapshot);
    append_name(text, ", ", "bitmap", user->bitmap);
}

static GString *finding_text(const ImageCheckFinding *f)
{
    GString *text = g_string_new(NULL);
    g_autofree char *message = text_escape(f->message, strlen(f->message));

    /* the rest of a long list has no place, and says so itself */
    bool placed = f->cluster || f->guest || f->has_entry_offset;

    /* the sentence goes on */
    if (g_str_has_suffix(message, ".")) {
        message[strlen(message) - 1] = '\0';
    }
    g_string_printf(text, "%s: %s", ImageCheckSeverity_str(f->severity),
                    placed && description(f) ? description(f) : message);
    if (f->count > 1) {
        g_string_append_printf(text, ", %" PRId64 " times", f->count);
    }
    append_structure(text, "", f->structure, f->has_entry_offset, f->entry_offset);
    append_range(text, "; ", "file", f->cluster);
    append_range(text, "; ", "guest", f->guest);
    append_name(text, "; ", "snapshot", f->snapshot);
    if (f->severity != IMAGE_CHECK_SEVERITY_NOTE) { /* the message of a note names it */
        append_name(text, "; ", "bitmap", f->bitmap);
    }
    if (f->has_refcount) {
        g_string_append_printf(text, "; stored count %" PRIu64, f->refcount);
    }
    if (f->has_reference) {
        g_string_append_printf(text, "; references %" PRIu64, f->reference);
    }
    for (size_t i = 0; i < f->other_users.len; i++) {
        append_user(text, &f->other_users.items[i]);
    }
    if (f->fixed) {
        g_string_append(text, "; repaired");
    }
    return text;
}

/* How many of each kind there are, in the order of the list. */
static void print_totals(FILE *out, const QapiSequence *findings)
{
    g_auto(QapiIterator) each = qapi_iterate(findings);
    g_auto(QapiIterator) again = qapi_iterate(findings);
    uint64_t counts[QCOW2_FINDING__MAX] = {0}, bytes[QCOW2_FINDING__MAX] = {0};
    g_autoptr(GString) text = g_string_new("Findings: ");
    const char *separator = "";

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        counts[f->kind] += f->count ? f->count : 1;
        bytes[f->kind] += f->kind == QCOW2_FINDING_LEAK && f->cluster ? f->cluster->size : 0;
    }
    for (const ImageCheckFinding *f; (f = qapi_next(&again));) {
        ImageCheckFindingKind kind = f->kind;
        g_autofree char *size = size_format(bytes[kind]);

        if (counts[kind]) {
            g_string_append_printf(text, "%s%" PRIu64 " %s%s%s%s", separator, counts[kind],
                                   ImageCheckFindingKind_str(kind), bytes[kind] ? " (" : "", bytes[kind] ? size : "",
                                   bytes[kind] ? ")" : "");
            separator = ", ";
            counts[kind] = 0;
        }
    }
    print_wrapped(out, text->str, 0, INDENT, COLUMNS);
}

void print_findings_text(FILE *out, const QapiSequence *findings)
{
    g_auto(QapiIterator) each = qapi_iterate(findings);

    if (findings->len) {
        fputc('\n', out);
    }
    if (findings->len > 1) {
        print_totals(out, findings);
    }
    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        g_autoptr(GString) text = finding_text(f);

        print_wrapped(out, text->str, 0, INDENT, COLUMNS);
    }
}
