/*
 * Every kind of fault that a check can find.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-findings.h"

#include <string.h>

#include "util/text.h"

typedef enum Counts {
    COUNTS_NOTHING,
    COUNTS_CORRUPTION,
    COUNTS_LEAK,
    COUNTS_ERROR,
} Counts;

/*
 * A text takes the values of the finding one after the other: %d decimal, %x hexadecimal, %X the same after "0x",
 * %# like %X, but a bare 0 for zero; %s the next text, made safe for a terminal; %p the name of the program.
 */
static const struct {
    Counts counts;
    const char *text;
} finding_table[QCOW2_FINDING__MAX] = {
    [QCOW2_FINDING_SNAPSHOTS_TOO_MANY] = {COUNTS_ERROR, "%p: ERROR snapshot table too large"},
    [QCOW2_FINDING_SNAPSHOTS_TOO_MANY_HINT] =
        {COUNTS_NOTHING, "You can force-remove all %d overhanging snapshots with qemu-img check -r all"},
    [QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED] = {COUNTS_ERROR, "%p: ERROR snapshot table offset invalid"},
    [QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE] =
        {COUNTS_ERROR,
         "%p: ERROR failed to read the snapshot table: Too much extra metadata in snapshot table entry %d\n"
         "You can force-remove this extra metadata with qemu-img check -r all"},
    [QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG] =
        {COUNTS_ERROR, "%p: ERROR failed to read the snapshot table: Snapshot table is too big\n"
                       "You can force-remove all %d overhanging snapshots with qemu-img check -r all"},
    [QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE] =
        {COUNTS_ERROR, "%p: ERROR failed to read the snapshot table: Failed to read snapshot table: %s"},
    [QCOW2_FINDING_SNAPSHOT_INCOMPLETE] = {COUNTS_CORRUPTION, "ERROR snapshot table entry %d is incomplete"},
    [QCOW2_FINDING_REGION_BEYOND_END] =
        {COUNTS_CORRUPTION,
         "ERROR: counting reference for region exceeding the end of the file by one cluster or more: "
         "offset %X size %X"},
    [QCOW2_FINDING_REFCOUNT_OVERFLOW] =
        {COUNTS_CORRUPTION, "ERROR: overflow cluster offset=%X\n"
                            "Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a "
                            "clean copy if the image cannot be opened for writing"},
    [QCOW2_FINDING_SNAPSHOTS_WITH_DATA_FILE] = {COUNTS_CORRUPTION, "ERROR %d snapshots in image with data file"},
    [QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED] =
        {COUNTS_CORRUPTION,
         "ERROR snapshot %s (%s) l1_offset=%#: L1 table is not cluster aligned; snapshot table entry "
         "corrupted"},
    [QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE] =
        {COUNTS_CORRUPTION, "ERROR snapshot %s (%s) l1_size=%#: L1 table is too large; snapshot table entry corrupted"},
    [QCOW2_FINDING_L1_UNREADABLE] = {COUNTS_ERROR, "ERROR: I/O error in check_refcounts_l1"},
    [QCOW2_FINDING_L1_RESERVED_BITS] = {COUNTS_CORRUPTION, "ERROR found L1 entry with reserved bits set: %x"},
    [QCOW2_FINDING_L2_TABLE_UNALIGNED] = {COUNTS_CORRUPTION,
                                          "ERROR l2_offset=%x: Table is not cluster aligned; L1 entry corrupted"},
    [QCOW2_FINDING_L2_UNREADABLE] = {COUNTS_ERROR, "ERROR: I/O error in check_refcounts_l2"},
    [QCOW2_FINDING_L2_RESERVED_BITS] = {COUNTS_CORRUPTION, "ERROR found l2 entry with reserved bits set: %x"},
    [QCOW2_FINDING_COMPRESSED_COPIED] = {COUNTS_CORRUPTION,
                                         "ERROR: coffset=%X: copied flag must never be set for compressed clusters"},
    [QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE] = {COUNTS_CORRUPTION,
                                                 "ERROR compressed cluster %d with data file, entry=%X"},
    [QCOW2_FINDING_COMPRESSED_WITH_BITMAP] =
        {COUNTS_CORRUPTION, "ERROR compressed cluster %d with non-zero subcluster allocation bitmap, entry=%X"},
    [QCOW2_FINDING_SUBCLUSTERS_CONTRADICT] =
        {COUNTS_CORRUPTION, "ERROR offset=%x: Allocated cluster has corrupted subcluster allocation bitmap"},
    [QCOW2_FINDING_DATA_UNALIGNED] = {COUNTS_CORRUPTION,
                                      "ERROR offset=%x: Data cluster is not properly aligned; L2 entry corrupted."},
    [QCOW2_FINDING_PREALLOCATED_UNALIGNED] =
        {COUNTS_CORRUPTION, "ERROR offset=%x: Preallocated cluster is not properly aligned; L2 entry corrupted."},
    [QCOW2_FINDING_UNALLOCATED_WITH_BITMAP] = {COUNTS_CORRUPTION,
                                               "ERROR: Unallocated cluster has non-zero subcluster allocation map"},
    [QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED] = {COUNTS_CORRUPTION, "ERROR bitmap directory at %X: %s"},
    [QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE] = {COUNTS_ERROR, "ERROR bitmap directory at %X: %s"},
    [QCOW2_FINDING_BITMAP_DAMAGED] = {COUNTS_CORRUPTION, "ERROR bitmap '%s' (directory entry at %X): %s"},
    [QCOW2_FINDING_BITMAP_TABLE_UNREADABLE] = {COUNTS_ERROR, "ERROR bitmap '%s': I/O error in its table at %X"},
    [QCOW2_FINDING_BITMAP_TABLE_ENTRY] = {COUNTS_CORRUPTION, "ERROR bitmap '%s': table entry %d (%X) %s"},
    [QCOW2_FINDING_REFTABLE_RESERVED_BITS] = {COUNTS_CORRUPTION, "ERROR refcount table entry %d has reserved bits set"},
    [QCOW2_FINDING_REFBLOCK_UNALIGNED] =
        {COUNTS_CORRUPTION, "ERROR refcount block %d is not cluster aligned; refcount table entry corrupted"},
    [QCOW2_FINDING_REFBLOCK_OUTSIDE] = {COUNTS_CORRUPTION, "ERROR refcount block %d is outside image"},
    [QCOW2_FINDING_REFBLOCK_SHARED] = {COUNTS_CORRUPTION, "ERROR refcount block %d refcount=%d"},
    [QCOW2_FINDING_REFBLOCK_CORRUPT] =
        {COUNTS_NOTHING,
         "qcow2: Image is corrupt: Refblock offset %# unaligned (reftable index: %#); further non-fatal "
         "corruption events will be suppressed"},
    [QCOW2_FINDING_REFCOUNT_UNREADABLE] = {COUNTS_ERROR, "Can't get refcount for cluster %d: %s"},
    [QCOW2_FINDING_REFCOUNT_TOO_LOW] = {COUNTS_CORRUPTION, "ERROR cluster %d refcount=%d reference=%d"},
    [QCOW2_FINDING_LEAK] = {COUNTS_LEAK, "Leaked cluster %d refcount=%d reference=%d"},
    [QCOW2_FINDING_L1_COPIED_WRONG] = {COUNTS_CORRUPTION,
                                       "ERROR OFLAG_COPIED L2 cluster: l1_index=%d l1_entry=%x refcount=%d"},
    [QCOW2_FINDING_L2_COPIED_WRONG] = {COUNTS_CORRUPTION, "ERROR OFLAG_COPIED data cluster: l2_entry=%x refcount=%d"},
};

/* printf() would do, at several times the cost; there may be millions of lines. */
static void write_number(FILE *file, uint64_t value, unsigned base)
{
    char digits[20];
    char *p = digits + sizeof(digits);

    do {
        *--p = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    fwrite_unlocked(p, 1, digits + sizeof(digits) - p, file);
}

static void write_text(FILE *file, const char *text)
{
    g_autofree char *safe = text_escape(text, strlen(text));

    fputs(safe, file);
}

static void write_message(FILE *file, const Qcow2Finding *finding)
{
    const uint64_t *value = finding->values;
    const char *const *text = finding->texts;

    for (const char *p = finding_table[finding->kind].text; *p; p++) {
        if (*p != '%') {
            putc_unlocked(*p, file);
            continue;
        }
        switch (*++p) {
        case 'd':
            write_number(file, *value++, 10);
            break;
        case '#':
            if (*value == 0) {
                putc_unlocked('0', file);
                value++;
                break;
            }
            G_GNUC_FALLTHROUGH;
        case 'X':
            fputs("0x", file);
            G_GNUC_FALLTHROUGH;
        case 'x':
            write_number(file, *value++, 16);
            break;
        case 's':
            write_text(file, *text++);
            break;
        case 'p':
            fputs(g_get_prgname() ? g_get_prgname() : "qemu-img", file);
            break;
        }
    }
    putc_unlocked('\n', file);
}

void qcow2_report(Qcow2Report *report, const Qcow2Finding *finding)
{
    switch (finding_table[finding->kind].counts) {
    case COUNTS_CORRUPTION:
        report->corruptions++;
        break;
    case COUNTS_LEAK:
        report->leaks++;
        break;
    case COUNTS_ERROR:
        report->check_errors++;
        break;
    case COUNTS_NOTHING:
        break;
    }
    if (report->messages) {
        write_message(report->messages, finding);
    }
}

void qcow2_report_failure(Qcow2Report *report, int error)
{
    if (!report->failure) {
        report->failure = error;
    }
}
