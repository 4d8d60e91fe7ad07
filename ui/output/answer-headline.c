/*
 * The first line of the answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/answer.h"

#include <inttypes.h>
#include <string.h>

#include "ui/output/judgement-text.h"
#include "ui/output/wrap.h"
#include "util/size.h"

#define KINDS_NAMED 3u
#define NEXT_LINES  6u /* indentation of the lines behind the first */

/* Faults of the snapshot table, though the faulty word may be in the header. */
#define SNAPSHOT_TABLE                                                                                                 \
    (KIND_BIT(SNAPSHOTS_TOO_MANY) | KIND_BIT(SNAPSHOT_TABLE_UNALIGNED) | KIND_BIT(SNAPSHOT_EXTRA_TOO_LARGE) |          \
     KIND_BIT(SNAPSHOT_TABLE_TOO_BIG) | KIND_BIT(SNAPSHOT_TABLE_UNREADABLE))

bool answer_has(const Answer *a, uint64_t kinds)
{
    return a->kinds & kinds;
}

char *answer_count(uint64_t n, const char *one, const char *several)
{
    return g_strdup_printf("%" PRIu64 " %s", n, n == 1 ? one : several);
}

void answer_append_range(GString *text, const Qcow2Allocation *range)
{
    g_autofree char *size = size_format(range->size);

    g_string_append_printf(text, "0x%" PRIx64 "-0x%" PRIx64 " (%s)", range->offset, range->offset + (range->size - 1),
                           size);
}

const char *answer_structure_name(ImageCheckStructure structure)
{
    static const char *const names[IMAGE_CHECK_STRUCTURE__MAX] = {
        [IMAGE_CHECK_STRUCTURE_HEADER] = "the header",
        [IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE] = "the refcount table",
        [IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK] = "refcount blocks",
        [IMAGE_CHECK_STRUCTURE_L1] = "an L1 table",
        [IMAGE_CHECK_STRUCTURE_L2] = "L2 tables",
        [IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE] = "the snapshot table",
        [IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY] = "the bitmap directory",
        [IMAGE_CHECK_STRUCTURE_BITMAP_TABLE] = "bitmap tables",
        [IMAGE_CHECK_STRUCTURE_BITMAP_DATA] = "bitmaps",
        [IMAGE_CHECK_STRUCTURE_CRYPT_HEADER] = "the encryption header",
    };

    return names[structure];
}

const char *answer_headword(const Answer *a, AnswerColour *colour)
{
    const ImageCheck *c = a->check;

    *colour = ANSWER_RED;
    if (answer_is_cut(a)) {
        return "truncated";
    }
    if (c->judgement == IMAGE_CHECK_JUDGEMENT_DATA_LOST && !c->corruptions) {
        return "data lost";
    }
    if (c->judgement == IMAGE_CHECK_JUDGEMENT_DATA_AT_RISK && !c->corruptions) {
        return "data at risk";
    }
    if (c->judgement == IMAGE_CHECK_JUDGEMENT_UNKNOWN) {
        return "unknown";
    }
    if (c->judgement == IMAGE_CHECK_JUDGEMENT_BOOKKEEPING) {
        *colour = ANSWER_AMBER;
    }
    if (c->corruptions) {
        return "corrupt";
    }
    if (c->leaks) {
        return "leaks";
    }
    if (c->judgement == IMAGE_CHECK_JUDGEMENT_BOOKKEEPING) {
        return "bookkeeping";
    }
    *colour = ANSWER_GREEN;
    return "clean";
}

static void say_cut(const Answer *a, GString *text)
{
    const ImageCheck *c = a->check;
    g_autofree char *length = size_format(c->file_length);
    g_autofree char *end = size_format(answer_missing_end(a));

    if (c->has_file_length_least && c->file_length_least >= c->file_length) {
        g_string_append_printf(text, "the file ends at %s, and its counts reach to %s", length, end);
    } else {
        g_string_append_printf(text, "the file ends at 0x%" PRIx64 ", within a table", c->file_length);
    }
}

/* The tables of the damaged entries: "one L2 table", or "3 L1 and L2 tables". */
static char *tables_of(const Causes *causes)
{
    const char *kind = causes->structure == IMAGE_CHECK_STRUCTURE_L2   ? "L2"
                       : causes->structure == IMAGE_CHECK_STRUCTURE_L1 ? "L1"
                                                                       : "L1 and L2";

    if (causes->n_tables == 1 || causes->structure == IMAGE_CHECK_STRUCTURE_L1) {
        return g_strdup_printf("%s %s table", causes->n_words == 1 ? "an" : "one", kind);
    }
    return g_strdup_printf("%" PRIu64 " %s tables", causes->n_tables, kind);
}

static void say_causes(const Answer *a, GString *text)
{
    const Causes *causes = &a->causes;
    uint64_t all = (uint64_t)a->check->corruptions;
    g_autofree char *entries = answer_count(causes->n_words, "damaged entry", "damaged entries");
    g_autofree char *tables = tables_of(causes);
    g_autofree char *errors = answer_count(causes->errors, "error", "errors");
    g_autofree char *leaks = answer_count(causes->leaks, "leak", "leaks");

    g_string_append_printf(text, "%s of %s %s the cause of ", entries, tables, causes->n_words == 1 ? "is" : "are");
    if (causes->errors < all) {
        g_string_append_printf(text, "%" PRIu64 " of %" PRIu64 " errors", causes->errors, all);
    } else {
        g_string_append(text, errors);
    }
    if (causes->leaks) {
        g_string_append_printf(text, " and %s", leaks);
    }
}

/* Without a known cause, in the names of the kinds. */
static void say_kinds(const Answer *a, GString *text)
{
    g_autofree char *errors = answer_count((uint64_t)a->check->corruptions, "error", "errors");
    const char *separator = ": ";
    unsigned named = 0, more = 0;

    g_string_append(text, errors);
    for (unsigned kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if (!a->count_by_kind[kind]) {
            continue;
        }
        if (named == KINDS_NAMED) {
            more++;
            continue;
        }
        g_string_append_printf(text, "%s%" PRIu64 " %s", separator, a->count_by_kind[kind],
                               ImageCheckFindingKind_str(kind));
        separator = ", ";
        named++;
    }
    if (more) {
        g_string_append_printf(text, " and %u more kinds", more);
    }
}

static void say_lost(const Answer *a, GString *text)
{
    g_autofree char *lost = size_format(a->check->guest_bytes_lost);

    if (!a->check->guest_bytes_lost) {
        g_string_append(text, "tables of the guest's disk or of a snapshot have lost their place");
    } else if (answer_has(a, KIND_BIT(LEAKED_L2)) && !a->check->corruptions) {
        g_string_append_printf(text, "%s of the guest's disk have lost their table", lost);
    } else {
        g_string_append_printf(text, "%s of the guest's disk cannot be what was written", lost);
    }
}

static void say_leaks(const Answer *a, GString *text)
{
    g_autofree char *clusters = answer_count((uint64_t)a->check->leaks, "leaked cluster", "leaked clusters");
    g_autofree char *size = size_format((uint64_t)a->check->leaks * a->check->cluster_size);

    g_string_append_printf(text, "%s (%s) waste space; no data is lost", clusters, size);
}

/* What errors cost. */
static void say_price(const Answer *a, GString *text)
{
    g_autofree char *lost = size_format(a->check->guest_bytes_lost);

    if (a->check->guest_bytes_lost) {
        g_string_append_printf(text, "; at least %s are lost", lost);
    } else if (a->check->judgement == IMAGE_CHECK_JUDGEMENT_BOOKKEEPING) {
        g_string_append(text, "; no data is lost");
    }
}

/* What could not be examined. */
static void say_unknown(const Answer *a, GString *text)
{
    g_auto(QapiIterator) each = qapi_iterate(&a->check->findings);
    const char *name = NULL;
    bool several = false;

    if (answer_has(a, KIND_BIT(DATA_CUT_OFF)) && !a->check->check_errors) {
        g_string_append(text, "the file ends within a cluster of data");
        return;
    }
    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        const char *part = f->severity != IMAGE_CHECK_SEVERITY_ERROR ? NULL
                           : (SNAPSHOT_TABLE >> f->kind & 1)         ? "the snapshot table"
                                                                     : answer_structure_name(f->structure);

        several |= name && part && part != name;
        name = part ? part : name;
    }
    g_string_append_printf(text, "%s could not be examined", name && !several ? name : "a part of the image");
}

void answer_say_matter(const Answer *a, GString *text)
{
    const ImageCheck *c = a->check;
    bool lost = c->judgement == IMAGE_CHECK_JUDGEMENT_DATA_LOST;

    if (answer_is_cut(a)) {
        say_cut(a, text);
    } else if (lost && !c->corruptions) {
        say_lost(a, text);
    } else if (c->judgement == IMAGE_CHECK_JUDGEMENT_UNKNOWN) {
        say_unknown(a, text);
    } else if (c->corruptions) {
        (a->causes.n_words ? say_causes : say_kinds)(a, text);
        say_price(a, text);
    } else if (c->judgement == IMAGE_CHECK_JUDGEMENT_DATA_AT_RISK) {
        g_string_append(text, "clusters are used for two things, which their counts allow and no repair undoes");
    } else if (c->leaks) {
        say_leaks(a, text);
    } else {
        g_string_append(text, c->corruptions_fixed || c->leaks_fixed ? "nothing is wrong any more"
                                                                     : judgement_meaning(c->judgement));
    }
}

static void print_line(FILE *out, const Answer *a, const char *word, AnswerColour colour, const char *text,
                       unsigned columns, bool colours)
{
    size_t column = (size_t)g_utf8_strlen(a->name, -1) + strlen(word) + 4;

    if (colours) {
        fprintf(out, "%s: \033[1;%dm%s\033[0m: ", a->name, (int)colour, word);
    } else {
        fprintf(out, "%s: %s: ", a->name, word);
    }
    print_wrapped(out, text, column, NEXT_LINES, columns);
}

void answer_print_headline(FILE *out, const Answer *a, unsigned columns, bool colours)
{
    g_autoptr(GString) text = g_string_new(NULL);
    AnswerColour colour;
    const char *word = answer_headword(a, &colour);

    answer_say_matter(a, text);
    print_line(out, a, word, colour, text->str, columns, colours);
}

/* ---- of a repair that is planned ---- */

/* "4 of 6 errors", "6 errors", or nothing. */
static void say_repaired(GString *text, int64_t before, int64_t after, const char *one, const char *several)
{
    int64_t repaired = before > after ? before - after : 0;

    if (!repaired) {
        return;
    }
    g_string_append_printf(text, "%s%" PRId64, text->len ? " and " : "", repaired);
    if (repaired < before) {
        g_string_append_printf(text, " of %" PRId64, before);
    }
    g_string_append_printf(text, " %s", before == 1 ? one : several);
}

void answer_print_plan(FILE *out, const Answer *a, const Answer *outcome, unsigned columns, bool colours)
{
    const ImageCheckEditList *edits = &a->check->edits;
    const char *option = a->options->request.kind ? "it" : a->options->repair_all ? "-r all" : "-r leaks";
    g_autoptr(GString) deeds = g_string_new(NULL);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *places = answer_count(edits->len, "place", "places");
    AnswerColour colour;

    answer_headword(outcome, &colour);
    say_repaired(deeds, a->check->corruptions, outcome->check->corruptions, "error", "errors");
    say_repaired(deeds, a->check->leaks, outcome->check->leaks, "leak", "leaks");
    if (edits->len) {
        g_autofree char *steps = answer_count((uint64_t)edits->items[edits->len - 1].step, "step", "steps");

        g_string_append_printf(text, "%s would %s%s in %s, %s. Nothing was written.", option,
                               deeds->len ? "repair " : "change the image", deeds->str, steps, places);
    } else {
        g_string_append_printf(text, "%s would change nothing", option);
    }
    print_line(out, a, "dry run", colour, text->str, columns, colours);
}
