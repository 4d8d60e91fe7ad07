/*
 * Every kind of fault that a check can find.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/findings/kinds.h"

#include <assert.h>
#include <string.h>

#include "util/text.h"

/* so that a row of the table is mostly its text */
#define CORRUPTION IMAGE_CHECK_SEVERITY_CORRUPTION
#define LEAK       IMAGE_CHECK_SEVERITY_LEAK
#define ERROR      IMAGE_CHECK_SEVERITY_ERROR
#define NOTE       IMAGE_CHECK_SEVERITY_NOTE

/*
 * A text takes the values of the finding one after the other: %d decimal, %x hexadecimal, %X the same after "0x",
 * %# like %X, but a bare 0 for zero; %s the next text, made safe for a terminal; %p the name of the program; %a ends a
 * message without advice.
 */
static const struct {
    ImageCheckSeverity severity;
    const char *text;
} finding_table[QCOW2_FINDING__MAX] = {
    [QCOW2_FINDING_SNAPSHOTS_TOO_MANY] =
        {ERROR, "%p: ERROR snapshot table too large%a\n"
                "You can force-remove all %d overhanging snapshots with qemu-img check -r all"},
    [QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED] = {ERROR, "%p: ERROR snapshot table offset invalid"},
    [QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE] =
        {ERROR, "%p: ERROR failed to read the snapshot table: Too much extra metadata in snapshot table entry %d%a\n"
                "You can force-remove this extra metadata with qemu-img check -r all"},
    [QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG] =
        {ERROR, "%p: ERROR failed to read the snapshot table: Snapshot table is too big%a\n"
                "You can force-remove all %d overhanging snapshots with qemu-img check -r all"},
    [QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE] =
        {ERROR, "%p: ERROR failed to read the snapshot table: Failed to read snapshot table: %s"},
    [QCOW2_FINDING_SNAPSHOT_INCOMPLETE] = {CORRUPTION, "ERROR snapshot table entry %d is incomplete"},
    [QCOW2_FINDING_REGION_BEYOND_END] =
        {CORRUPTION, "ERROR: counting reference for region exceeding the end of the file by one cluster or more: "
                     "offset %X size %X"},
    [QCOW2_FINDING_REFCOUNT_OVERFLOW] =
        {CORRUPTION, "ERROR: overflow cluster offset=%X\n"
                     "Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a "
                     "clean copy if the image cannot be opened for writing"},
    [QCOW2_FINDING_SNAPSHOTS_WITH_DATA_FILE] = {CORRUPTION, "ERROR %d snapshots in image with data file"},
    [QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED] =
        {CORRUPTION, "ERROR snapshot %s (%s) l1_offset=%#: L1 table is not cluster aligned; snapshot table entry "
                     "corrupted"},
    [QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE] =
        {CORRUPTION, "ERROR snapshot %s (%s) l1_size=%#: L1 table is too large; snapshot table entry corrupted"},
    [QCOW2_FINDING_L1_UNREADABLE] = {ERROR, "ERROR: I/O error in check_refcounts_l1"},
    [QCOW2_FINDING_L1_RESERVED_BITS] = {CORRUPTION, "ERROR found L1 entry with reserved bits set: %x"},
    [QCOW2_FINDING_L2_TABLE_UNALIGNED] = {CORRUPTION,
                                          "ERROR l2_offset=%x: Table is not cluster aligned; L1 entry corrupted"},
    [QCOW2_FINDING_L2_UNREADABLE] = {ERROR, "ERROR: I/O error in check_refcounts_l2"},
    [QCOW2_FINDING_L2_RESERVED_BITS] = {CORRUPTION, "ERROR found l2 entry with reserved bits set: %x"},
    [QCOW2_FINDING_COMPRESSED_COPIED] = {CORRUPTION,
                                         "ERROR: coffset=%X: copied flag must never be set for compressed clusters"},
    [QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE] = {CORRUPTION, "ERROR compressed cluster %d with data file, entry=%X"},
    [QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS] =
        {CORRUPTION, "ERROR compressed cluster %d with non-zero subcluster allocation bitmap, entry=%X"},
    [QCOW2_FINDING_SUBCLUSTERS_CONTRADICT] =
        {CORRUPTION, "ERROR offset=%x: Allocated cluster has corrupted subcluster allocation bitmap"},
    [QCOW2_FINDING_DATA_UNALIGNED] = {CORRUPTION,
                                      "ERROR offset=%x: Data cluster is not properly aligned; L2 entry corrupted."},
    [QCOW2_FINDING_PREALLOCATED_UNALIGNED] =
        {CORRUPTION, "ERROR offset=%x: Preallocated cluster is not properly aligned; L2 entry corrupted."},
    [QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS] =
        {CORRUPTION, "ERROR: Unallocated cluster has non-zero subcluster allocation map"},
    [QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED] = {CORRUPTION, "ERROR bitmap directory at %X: %s"},
    [QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE] = {ERROR, "ERROR bitmap directory at %X: %s"},
    [QCOW2_FINDING_BITMAP_DAMAGED] = {CORRUPTION, "ERROR bitmap '%s' (directory entry at %X): %s"},
    [QCOW2_FINDING_BITMAP_TABLE_UNREADABLE] = {ERROR, "ERROR bitmap '%s': I/O error in its table at %X"},
    [QCOW2_FINDING_BITMAP_TABLE_ENTRY] = {CORRUPTION, "ERROR bitmap '%s': table entry %d (%X) %s"},
    [QCOW2_FINDING_L2_TABLES_OVERLAPPING] = {NOTE, "%d unaligned L2 tables that overlap others were skipped."},
    [QCOW2_FINDING_HEADER_EXTENSIONS_UNREADABLE] =
        {ERROR, "ERROR header extensions from %X on: %s; bitmaps and an encryption header may be missing"},
    [QCOW2_FINDING_REFCOUNT_TABLE_UNREADABLE] =
        {ERROR, "ERROR refcount table at %X: %s; reference counts behind it are unknown"},
    [QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS] = {CORRUPTION, "ERROR refcount table entry %d has reserved bits set"},
    [QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED] =
        {CORRUPTION, "ERROR refcount block %d is not cluster aligned; refcount table entry corrupted"},
    [QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE] = {CORRUPTION, "ERROR refcount block %d is outside image"},
    [QCOW2_FINDING_REFCOUNT_BLOCK_SHARED] = {CORRUPTION, "ERROR refcount block %d refcount=%d"},
    [QCOW2_FINDING_REFCOUNT_BLOCK_CORRUPT] =
        {NOTE, "qcow2: Image is corrupt: Refblock offset %# unaligned (reftable index: %#); further non-fatal "
               "corruption events will be suppressed"},
    [QCOW2_FINDING_REFCOUNT_UNREADABLE] = {ERROR, "Can't get refcount for cluster %d: %s"},
    [QCOW2_FINDING_REFCOUNT_TOO_LOW] = {CORRUPTION, "ERROR cluster %d refcount=%d reference=%d"},
    [QCOW2_FINDING_LEAK] = {LEAK, "Leaked cluster %d refcount=%d reference=%d"},
    [QCOW2_FINDING_L1_COPIED_WRONG] = {CORRUPTION,
                                       "ERROR OFLAG_COPIED L2 cluster: l1_index=%d l1_entry=%x refcount=%d"},
    [QCOW2_FINDING_L2_COPIED_WRONG] = {CORRUPTION, "ERROR OFLAG_COPIED data cluster: l2_entry=%x refcount=%d"},
    [QCOW2_FINDING_DIRTY] = {NOTE, "The image is marked dirty: it was not closed cleanly, and reference counts may be "
                                   "stale until a program that writes to it has recomputed them."},
    [QCOW2_FINDING_CORRUPT_BIT] = {NOTE, "The image is marked corrupt: programs refuse to write to it until it has "
                                         "been repaired."},
    [QCOW2_FINDING_STALE_BITMAPS] = {NOTE, "The bitmaps extension is stale: its bitmaps were not counted, and their "
                                           "clusters appear as leaks."},
    [QCOW2_FINDING_CHANGED_DURING_CHECK] = {NOTE,
                                            "The image was written to while it was checked: errors and leaks may be "
                                            "transient."},
    [QCOW2_FINDING_METADATA_SHARED] = {NOTE, "Metadata clusters have another user that their reference counts include: "
                                             "a write to one destroys the other."},
    [QCOW2_FINDING_LEAKED_L2] = {NOTE, "A leaked cluster looks like an L2 table: %d of the %d clusters that it names "
                                       "are leaked too.%s"},
    [QCOW2_FINDING_L2_REFERENCE_LOST] = {NOTE, "An L2 table and %d of its %d clusters have one more reference in their "
                                               "counts than there are.%s"},
    [QCOW2_FINDING_LEAKED_L1] = {NOTE, "A leaked cluster looks like an L1 table: %d of the %d L2 tables that it names "
                                       "are leaked too.%s"},
    [QCOW2_FINDING_LEAKED_SNAPSHOT_TABLE] = {NOTE, "A leaked cluster looks like a snapshot table.%s"},
    [QCOW2_FINDING_EMPTIED_L2] = {NOTE, "Entries of an L2 table are zeros, and %d leaked clusters may be what they "
                                        "mapped.%s"},
    [QCOW2_FINDING_TABLE_CUT_OFF] = {NOTE, "A table goes on behind the end of the file, and its entries there are "
                                           "lost.%s"},
    [QCOW2_FINDING_LEAKED_REFCOUNT_BLOCK] = {NOTE, "A leaked cluster looks like the missing refcount block for %X to "
                                                   "%X of the file."},
    [QCOW2_FINDING_EMPTY_L2] = {NOTE, "An L2 table is all zeros between two that are full."},
    [QCOW2_FINDING_UNMAPPED_DATA] = {NOTE, "The file has data here that nothing uses and no reference count covers."},
    [QCOW2_FINDING_GUEST_READ_FAILS] = {NOTE, "The guest gets an I/O error where it reads this: %s."},
    [QCOW2_FINDING_COMPRESSED_CUT_OFF] = {NOTE,
                                          "The file ends before the end of this compressed data: the guest cannot "
                                          "read it."},
    [QCOW2_FINDING_COMPRESSED_DAMAGED] = {NOTE, "This compressed data cannot be read: %s."},
    [QCOW2_FINDING_DATA_CUT_OFF] = {NOTE, "The file ends within this cluster: the rest of it reads as zeros."},
    [QCOW2_FINDING_DATA_SHARED] = {NOTE, "Two ranges of one disk are stored in the same cluster: at most one of them "
                                         "reads what was written to it."},
    [QCOW2_FINDING_BITMAP_IN_USE] = {NOTE,
                                     "Bitmap '%s' is marked as in use: unless a program has it open now, it lacks "
                                     "writes, and the next backup has to be a full one."},
    [QCOW2_FINDING_BITMAP_DATA_SHARED] = {NOTE,
                                          "The bits of bitmap '%s' lie in a cluster that something else uses: they "
                                          "are not to be trusted, and the next backup has to be a full one."},
    [QCOW2_FINDING_ENCRYPTION_HEADER_DAMAGED] = {NOTE, "The encryption header %s: no program can open the image with "
                                                       "its key."},
};

/* A message on its way to a file or a string, collected: it comes in small parts. */
typedef struct Sink {
    FILE *file;      /* NULL: to @string */
    GString *string; /* NULL until something is written to it */
    uint64_t total;  /* bytes flushed */
    size_t used;
    char bytes[QCOW2_USUAL_MESSAGE];
} Sink;

static void flush(Sink *to)
{
    if (to->file) {
        fwrite_unlocked(to->bytes, 1, to->used, to->file);
    } else {
        to->string = to->string ? to->string : g_string_new(NULL);
        g_string_append_len(to->string, to->bytes, (gssize)to->used);
    }
    to->total += to->used;
    to->used = 0;
}

static void put(Sink *to, const char *bytes, size_t size)
{
    while (size > sizeof(to->bytes) - to->used) {
        size_t part = sizeof(to->bytes) - to->used;

        memcpy(to->bytes + to->used, bytes, part);
        to->used += part;
        flush(to);
        bytes += part;
        size -= part;
    }
    memcpy(to->bytes + to->used, bytes, size);
    to->used += size;
}

static void put_text(Sink *to, const char *text)
{
    put(to, text, strlen(text));
}

/* printf() would do, at several times the cost; there may be millions of lines. */
static void put_number(Sink *to, uint64_t value, bool hexadecimal)
{
    char digits[20];
    char *p = digits + sizeof(digits);

    do {
        *--p = "0123456789abcdef"[hexadecimal ? value % 16 : value % 10];
        value = hexadecimal ? value / 16 : value / 10;
    } while (value);
    put(to, p, (size_t)(digits + sizeof(digits) - p));
}

static void put_escaped(Sink *to, const char *text)
{
    g_autofree char *safe = text_escape(text, strlen(text));

    put_text(to, safe);
}

/* The message of what is being repaired has "Repairing" instead of its first word. */
static void put_message(Sink *to, const Qcow2Finding *finding, bool repairing)
{
    const uint64_t *value = finding->values;
    const char *const *text = finding->texts;
    const char *p = finding_table[finding->kind].text;

    if (repairing) {
        assert(*p != '%');
        put_text(to, "Repairing");
        p += strcspn(p, " ");
    }
    for (;;) {
        const char *end = strchrnul(p, '%');

        put(to, p, (size_t)(end - p));
        p = end;
        if (!*p) {
            return;
        }
        switch (*++p) {
        case 'd':
            assert(value < finding->values + G_N_ELEMENTS(finding->values));
            put_number(to, *value++, false);
            break;
        case '#':
            if (*value == 0) {
                put_text(to, "0");
                value++;
                break;
            }
            G_GNUC_FALLTHROUGH;
        case 'X':
            put_text(to, "0x");
            G_GNUC_FALLTHROUGH;
        case 'x':
            put_number(to, *value++, true);
            break;
        case 's':
            assert(text < finding->texts + G_N_ELEMENTS(finding->texts));
            put_escaped(to, *text++);
            break;
        case 'a':
            if (finding->no_advice) {
                return;
            }
            break;
        case 'p':
            put_text(to, g_get_prgname() ? g_get_prgname() : "qemu-img");
            break;
        }
        p++;
    }
}

static void sink_init(Sink *to, FILE *file)
{
    to->file = file;
    to->string = NULL;
    to->total = 0;
    to->used = 0;
}

uint64_t qcow2_finding_write(const Qcow2Finding *finding, bool repairing, FILE *file)
{
    Sink to;

    sink_init(&to, file);
    put_message(&to, finding, repairing);
    put(&to, "\n", 1);
    flush(&to);
    return to.total;
}

/* Puts the text of @finding, which is short, and @end into @room, of QCOW2_USUAL_MESSAGE bytes. Returns the length. */
static size_t put_short(const Qcow2Finding *finding, bool repairing, char end, char *room)
{
    Sink to;

    sink_init(&to, NULL);
    put_message(&to, finding, repairing);
    put(&to, &end, 1);
    assert(!to.string);
    memcpy(room, to.bytes, to.used);
    return to.used;
}

size_t qcow2_finding_put_message(const Qcow2Finding *finding, char room[QCOW2_USUAL_MESSAGE])
{
    return put_short(finding, false, '\0', room) - 1;
}

/* Where the number of a cluster ends in @text, its first number. */
static size_t cluster_end(const char *text)
{
    size_t begin = strcspn(text, "0123456789");

    return begin + strspn(text + begin, "0123456789");
}

/* Adds 1 to the number that ends before @end of @text. False where it gets another digit. */
static bool count_up(char *text, size_t end)
{
    while (end > 0 && text[end - 1] == '9') {
        text[--end] = '0';
    }
    if (!end || !g_ascii_isdigit(text[end - 1])) {
        return false;
    }
    text[end - 1]++;
    return true;
}

/* A line differs from the one before in the number of the cluster, mostly in its last digit. */
void qcow2_finding_write_clusters(const Qcow2Finding *first, uint64_t n, bool repairing, FILE *file)
{
    char line[QCOW2_USUAL_MESSAGE], lines[16 * QCOW2_USUAL_MESSAGE];
    size_t length = 0, end = 0, used = 0;
    Qcow2Finding f = *first;

    assert(strchr(finding_table[f.kind].text, '%')[1] == 'd');
    for (uint64_t last = f.values[0] + n; f.values[0] < last; f.values[0]++) {
        if (!length || !count_up(line, end)) {
            length = put_short(&f, repairing, '\n', line);
            end = cluster_end(line);
        }
        if (length > sizeof(lines) - used) {
            fwrite_unlocked(lines, 1, used, file);
            used = 0;
        }
        memcpy(lines + used, line, length);
        used += length;
    }
    fwrite_unlocked(lines, 1, used, file);
}

char *qcow2_finding_message(const Qcow2Finding *finding)
{
    Sink to;

    sink_init(&to, NULL);
    put_message(&to, finding, false);
    if (!to.string) {
        return g_strndup(to.bytes, to.used);
    }
    flush(&to);
    return g_string_free(to.string, FALSE);
}

const char *qcow2_finding_add_message(const Qcow2Finding *finding, GStringChunk *texts)
{
    g_autofree char *message = NULL;
    Sink to;

    sink_init(&to, NULL);
    put_message(&to, finding, false);
    if (!to.string) {
        return g_string_chunk_insert_len(texts, to.bytes, (gssize)to.used);
    }
    flush(&to);
    message = g_string_free(to.string, FALSE);
    return g_string_chunk_insert(texts, message);
}

ImageCheckSeverity qcow2_finding_severity(ImageCheckFindingKind kind)
{
    return finding_table[kind].severity;
}
