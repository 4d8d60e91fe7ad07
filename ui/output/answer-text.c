/*
 * The answer: see ui/output/answer-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/answer-text.h"

#include <inttypes.h>
#include <string.h>

#include "ui/output/answer.h"
#include "ui/output/shell-word.h"
#include "util/size.h"
#include "util/text.h"

#define LEAST_WIDTH 40u

/* With these a write may land on what something else uses. */
#define DANGEROUS                                                                                                      \
    (KIND_BIT(REFCOUNT_TOO_LOW) | KIND_BIT(REFCOUNT_OVERFLOW) | KIND_BIT(REFCOUNT_BLOCK_SHARED) |                      \
     KIND_BIT(REFCOUNT_BLOCK_OUTSIDE) | KIND_BIT(REFCOUNT_BLOCK_UNALIGNED) | KIND_BIT(METADATA_SHARED) |               \
     KIND_BIT(DATA_SHARED))
/* Something that a repair with --restore puts back. */
#define RESTORABLE                                                                                                     \
    (KIND_BIT(LEAKED_L2) | KIND_BIT(L2_REFERENCE_LOST) | KIND_BIT(LEAKED_L1) | KIND_BIT(EMPTIED_L2) |                  \
     KIND_BIT(LEAKED_REFCOUNT_BLOCK))

/* ---- names, numbers and places ---- */

/* "disk.qcow2" has the undo file "disk.undo". */
static char *propose_undo_file(const CheckOptions *options)
{
    const char *name = options->filename, *dot = strrchr(name, '.'), *slash = strrchr(name, '/');
    size_t length = dot && (!slash || dot > slash + 1) && dot > name ? (size_t)(dot - name) : strlen(name);

    if (options->undo_file) {
        return g_strdup(options->undo_file);
    }
    if (options->image_opts || g_str_has_prefix(name, "json:") || strstr(name, "://")) {
        return g_strdup("image.undo");
    }
    return g_strdup_printf("%.*s.undo", (int)length, name);
}

static char *command_word(const CheckOptions *options)
{
    g_autofree char *word = shell_word(options->filename);

    return options->image_opts           ? g_strdup_printf("--image-opts %s", word)
           : g_str_has_prefix(word, "-") ? g_strdup_printf("./%s", word)
                                         : g_steal_pointer(&word);
}

/* ---- the rows ---- */

/* What the guest has lost; @ranges are of @bytes in all. */
static void add_guest(Answer *a)
{
    const ImageCheck *c = a->check;
    g_autofree char *lost = size_format(c->guest_bytes_lost);
    g_autoptr(GString) text = g_string_new(NULL);

    if (!c->guest_bytes_lost || !c->guest_lost.len) {
        return;
    }
    if (c->guest_ranges_lost > 1) {
        g_string_append_printf(text, "%s in %" PRIu64 " ranges%s ", lost, c->guest_ranges_lost,
                               c->guest_ranges_lost > PLACES_SHOWN ? ", the first:" : ":");
    }
    for (size_t i = 0; i < c->guest_lost.len && i < PLACES_SHOWN; i++) {
        g_string_append(text, i ? ", " : "");
        answer_append_range(text, &c->guest_lost.items[i]);
    }
    rows_add(&a->rows, "guest", "%s cannot be what was written", text->str);
}

/* The entries that are damaged, and what they are for. */
static void add_causes(Answer *a)
{
    const Causes *causes = &a->causes;
    g_autoptr(GString) entries = g_string_new(NULL);
    g_autoptr(GString) guest = g_string_new(NULL);
    g_autoptr(GString) snapshots = g_string_new(NULL);
    g_autoptr(GString) intact = g_string_new(NULL);

    for (guint i = 0; i < causes->words->len && i < PLACES_SHOWN; i++) {
        const CauseWords *words = &g_array_index(causes->words, CauseWords, i);

        g_string_append_printf(entries, "%s0x%" PRIx64, i ? ", " : "", words->first);
        if (words->n > 1) {
            g_string_append_printf(entries, " and the %" PRIu64 " behind it", words->n - 1);
        }
    }
    g_string_append(entries, causes->words->len > PLACES_SHOWN ? " and more" : "");
    if (causes->structure == IMAGE_CHECK_STRUCTURE_L2 && causes->n_tables == 1) {
        rows_add(&a->rows, NULL, "L2 table 0x%" PRIx64 ", entr%s at %s",
                 g_array_index(causes->words, CauseWords, 0).table, causes->n_words == 1 ? "y" : "ies", entries->str);
    } else {
        rows_add(&a->rows, NULL, "entr%s at %s", causes->n_words == 1 ? "y" : "ies", entries->str);
    }
    for (guint i = 0; i < causes->guest->len && i < PLACES_SHOWN; i++) {
        g_string_append(guest, i ? ", " : "");
        answer_append_range(guest, &g_array_index(causes->guest, Qcow2Allocation, i));
    }
    if (causes->guest->len) {
        rows_add(&a->rows, "guest", "%s%s, disk as it is now", guest->str,
                 causes->guest->len > PLACES_SHOWN ? " and more" : "");
    }
    answer_append_names(snapshots, causes->snapshots);
    answer_append_names(intact, causes->intact);
    if (causes->snapshots->len) {
        rows_add(&a->rows, "snapshots", "%s ha%s such entries, too", snapshots->str,
                 causes->snapshots->len == 1 ? "s" : "ve");
    }
    if (causes->intact->len) {
        rows_add(&a->rows, "snapshots", "%s still ha%s what was there", intact->str,
                 causes->intact->len == 1 ? "s" : "ve");
    }
}

static void add_danger(Answer *a)
{
    g_autoptr(GString) targets = g_string_new(NULL);

    for (unsigned i = 0; i < IMAGE_CHECK_STRUCTURE__MAX; i++) {
        if ((a->causes.leads_to >> i & 1) && answer_structure_name(i)) {
            g_string_append_printf(targets, "%s%s", targets->len ? ", " : "", answer_structure_name(i));
        }
    }
    if (targets->len) {
        rows_add(&a->rows, "danger", "%s to %s: do not write to this image",
                 a->causes.n_words == 1 ? "it leads" : "entries lead", targets->str);
    } else if (answer_has(a, DANGEROUS) && a->check->judgement != IMAGE_CHECK_JUDGEMENT_BOOKKEEPING) {
        rows_add(&a->rows, "danger", "clusters are in use twice, or count as free: do not write to this image");
    } else if (a->check->judgement == IMAGE_CHECK_JUDGEMENT_DATA_AT_RISK) {
        rows_add(&a->rows, "danger", "a write may damage data: do not write to this image before a repair");
    }
}

/* ---- what may come back ---- */

/* With -v the findings are listed above. */
static void add_evidence(Answer *a, bool *any, ImageCheckEvidence *best)
{
    g_auto(QapiIterator) each = qapi_iterate(&a->check->findings);
    unsigned shown = a->options->verbose ? PLACES_SHOWN : 0, more = 0;

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        g_autofree char *message = text_escape(f->message, strlen(f->message));

        if (!f->has_evidence || !(RESTORABLE >> f->kind & 1)) {
            continue;
        }
        *best = *any ? MIN(*best, f->evidence) : f->evidence;
        *any = true;
        if (shown == PLACES_SHOWN) {
            more++;
            continue;
        }
        shown++;
        if (f->cluster) {
            rows_add(&a->rows, NULL, "0x%" PRIx64 ": %s", f->cluster->offset, message);
        } else {
            rows_add(&a->rows, NULL, "%s", message);
        }
    }
    if (more && !a->options->verbose) {
        rows_add(&a->rows, NULL, "%u more of this kind: -v lists them", more);
    }
}

static void add_way_back(Answer *a, ImageCheckEvidence best)
{
    if (best == IMAGE_CHECK_EVIDENCE_GUESSED) {
        rows_add(&a->rows, "bring it back",
                 "several places are possible: with --restore, --min-evidence=guessed takes the likeliest; "
                 "--attach=OFFSET=PLACE takes one of your choice");
    } else {
        rows_add_command(&a->rows, "bring it back", "qemu-img check -r all --restore%s --undo-file=%s %s",
                         best == IMAGE_CHECK_EVIDENCE_PROVED ? "" : " --min-evidence=inferred", a->undo_word, a->word);
    }
}

static void add_kept(Answer *a)
{
    g_autofree char *size = size_format(a->check->bytes_kept_as_lost);
    uint64_t clusters = a->check->bytes_kept_as_lost / a->check->cluster_size;

    if (clusters) {
        rows_add(&a->rows, "do not",
                 "free the leaks, by the stock tool's -r or --free-lost: they may be the only copy");
        rows_add(&a->rows, "kept", "%" PRIu64 " leaked cluster%s (%s) stay in a repair", clusters,
                 clusters == 1 ? "" : "s", size);
    }
}

/* ---- a repair ---- */

/* No server of HTTP takes a write. */
static bool can_be_repaired(const Answer *a)
{
    const char *name = a->options->filename;

    return !g_str_has_prefix(name, "http:") && !g_str_has_prefix(name, "https:") && !a->options->backing_chain;
}

static void add_repair(Answer *a)
{
    const ImageCheck *c = a->check;

    if (!can_be_repaired(a) || a->options->repair || a->options->request.kind) {
        return;
    }
    if (answer_is_cut(a)) {
        return;
    }
    if (c->corruptions) {
        rows_add_command(&a->rows, "look first", "qemu-img check -r all -n %s", a->word);
        rows_add_command(&a->rows, "repair", "qemu-img check -r all --undo-file=%s %s", a->undo_word, a->word);
    } else if (c->leaks && !c->bytes_kept_as_lost) {
        rows_add_command(&a->rows, "repair", "qemu-img check -r leaks %s", a->word);
    }
    if (a->causes.n_words) {
        rows_add(&a->rows, "stays", "what the damaged entr%s led to is not known: no repair brings it back",
                 a->causes.n_words == 1 ? "y" : "ies");
    }
}

static void add_repaired(Answer *a)
{
    const ImageCheck *c = a->check;
    g_autofree char *errors = answer_count((uint64_t)c->corruptions_fixed, "error", "errors");
    g_autofree char *leaks = answer_count((uint64_t)c->leaks_fixed, "leaked cluster", "leaked clusters");

    if (c->corruptions_fixed || c->leaks_fixed) {
        rows_add(&a->rows, "repaired", "%s%s%s", c->corruptions_fixed ? errors : "",
                 c->corruptions_fixed && c->leaks_fixed ? " and " : "", c->leaks_fixed ? leaks : "");
    }
    if (a->options->undo_file && !a->options->dry_run &&
        (c->corruptions_fixed || c->leaks_fixed || a->options->request.kind)) {
        rows_add_command(&a->rows, "undo", "qemu-img check --rollback=%s %s", a->undo_word, a->word);
    }
}

static void add_notes(Answer *a, char *const *notes)
{
    for (; *notes; notes++) {
        rows_add(&a->rows, "note", "%s", *notes);
    }
}

static void add_rows(Answer *a)
{
    bool evidence = false;
    ImageCheckEvidence best = IMAGE_CHECK_EVIDENCE_GUESSED;

    if (answer_is_cut(a)) {
        answer_add_missing(a);
    }
    if (a->causes.n_words && !answer_is_cut(a)) {
        add_causes(a);
    }
    if (!a->causes.n_words || answer_is_cut(a)) {
        add_guest(a);
    }
    answer_add_notes(a);
    add_evidence(a, &evidence, &best);
    add_danger(a);
    if (evidence && can_be_repaired(a)) {
        add_way_back(a, best);
    }
    add_kept(a);
    add_repair(a);
    add_repaired(a);
}

/* ---- a repair that is planned ---- */

/* The options of the repair, as they were given. */
static void append_repair_options(GString *text, const CheckOptions *options)
{
    const char *separator = " --only=";

    g_string_append(text, options->repair_all ? "-r all" : "-r leaks");
    g_string_append(text, options->restore ? " --restore" : "");
    if (options->has_min_evidence) {
        g_string_append_printf(text, " --min-evidence=%s", ImageCheckEvidence_str(options->min_evidence));
    }
    g_string_append(text, options->free_lost ? " --free-lost" : "");
    for (unsigned kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if (options->only >> kind & 1) {
            g_string_append_printf(text, "%s%s", separator, ImageCheckFindingKind_str(kind));
            separator = ",";
        }
    }
}

static void add_stays(Answer *a, const Answer *outcome)
{
    const ImageCheck *c = outcome->check;
    g_autoptr(GString) guest = g_string_new(NULL);

    for (size_t i = 0; i < c->guest_lost.len && i < PLACES_SHOWN; i++) {
        g_string_append(guest, i ? ", " : "");
        answer_append_range(guest, &c->guest_lost.items[i]);
    }
    if (guest->len) {
        rows_add(&a->rows, "stays", "guest %s%s cannot be what was written", guest->str,
                 c->guest_ranges_lost > PLACES_SHOWN ? " and more" : "");
    }
    for (unsigned kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if (outcome->count_by_kind[kind]) {
            rows_add(&a->rows, "stays", "%" PRIu64 " %s", outcome->count_by_kind[kind],
                     ImageCheckFindingKind_str(kind));
        }
    }
}

static void add_plan(Answer *a, const Answer *outcome)
{
    const CheckOptions *options = a->options;
    const ImageCheck *before = a->check, *after = outcome->check;
    g_autofree char *back =
        size_format(before->guest_bytes_lost - MIN(before->guest_bytes_lost, after->guest_bytes_lost));
    g_autofree char *leaks = answer_count((uint64_t)after->leaks, "leaked cluster", "leaked clusters");
    g_autofree char *size = size_format((uint64_t)after->leaks * after->cluster_size);
    g_autoptr(GString) repair = g_string_new(NULL);
    AnswerColour colour;

    if (options->restore && after->guest_bytes_lost < before->guest_bytes_lost) {
        rows_add(&a->rows, "back", "%s of the guest's disk", back);
    }
    add_stays(a, outcome);
    if (after->leaks) {
        rows_add(&a->rows, "kept", "%s (%s)%s", leaks, size,
                 after->bytes_kept_as_lost ? ", as they may be the last copy of something" : "");
    }
    if (before->edits.len) {
        rows_add(&a->rows, "then", "the image is: %s", answer_headword(outcome, &colour));
    }
    if (!before->edits.len || options->request.kind) {
        return;
    }
    append_repair_options(repair, options);
    rows_add_command(&a->rows, "repair", "qemu-img check %s --undo-file=%s %s", repair->str, a->undo_word, a->word);
    rows_add_command(&a->rows, "undo", "qemu-img check --rollback=%s %s", a->undo_word, a->word);
}

/* ---- */

static void count_kinds(Answer *a)
{
    g_auto(QapiIterator) each = qapi_iterate(&a->check->findings);

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if (!f->fixed) {
            a->kinds |= UINT64_C(1) << f->kind;
            a->count_by_kind[f->kind] += f->severity == IMAGE_CHECK_SEVERITY_CORRUPTION ? (uint64_t)f->count : 0;
        }
    }
}

static void answer_init(Answer *a, const CheckOptions *options, const ImageCheck *check, unsigned columns)
{
    g_autofree char *undo_file = propose_undo_file(options);

    *a = (Answer){
        .options = options,
        .check = check,
        .name = text_escape(options->filename, strlen(options->filename)),
        .word = command_word(options),
        .undo_word = shell_word(undo_file),
    };
    causes_init(&a->causes, check);
    rows_init(&a->rows, columns);
    count_kinds(a);
}

static void answer_clear(Answer *a)
{
    rows_clear(&a->rows);
    causes_clear(&a->causes);
    g_free(a->undo_word);
    g_free(a->word);
    g_free(a->name);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

void print_answer_text(FILE *out, const CheckOptions *options, const Qcow2CheckResult *result, unsigned columns,
                       bool colours)
{
    g_auto(Answer) a = {0};

    columns = MAX(columns, LEAST_WIDTH);
    answer_init(&a, options, result->check, columns);
    fputc('\n', out);
    if (result->outcome) {
        g_auto(Answer) outcome = {0};

        answer_init(&outcome, options, result->outcome, columns);
        answer_print_plan(out, &a, &outcome, columns, colours);
        add_plan(&a, &outcome);
    } else {
        answer_print_headline(out, &a, columns, colours);
        add_rows(&a);
    }
    add_notes(&a, result->notes);
    rows_print(&a.rows, out);
}

void print_answer_row(FILE *out, const CheckOptions *options, const Qcow2CheckResult *result)
{
    g_auto(Answer) a = {0};
    const ImageCheck *c = result->check;
    g_autofree char *errors = answer_count((uint64_t)c->corruptions, "error", "errors");
    g_autofree char *leaks = answer_count((uint64_t)c->leaks, "leak", "leaks");
    g_autofree char *size = size_format((uint64_t)c->leaks * c->cluster_size);
    g_autofree char *lost = size_format(c->guest_bytes_lost);
    g_autoptr(GString) text = g_string_new(NULL);
    AnswerColour colour;

    answer_init(&a, options, c, LEAST_WIDTH);
    if (c->corruptions) {
        g_string_append(text, errors);
    }
    if (c->leaks) {
        g_string_append_printf(text, "%s%s (%s)", text->len ? ", " : "", leaks, size);
    }
    if (c->guest_lost.len) {
        g_string_append_printf(text, "%s%s lost, %s0x%" PRIx64, text->len ? "; " : "", lost,
                               c->guest_ranges_lost > 1 ? "first " : "guest ", c->guest_lost.items[0].offset);
        g_string_append_printf(text, "-0x%" PRIx64, c->guest_lost.items[0].offset + c->guest_lost.items[0].size - 1);
    }
    if (!text->len && c->judgement != IMAGE_CHECK_JUDGEMENT_SOUND) {
        answer_say_matter(&a, text);
    }
    fprintf(out, "%c%s\t%s", ANSWER_ROW_MARK, answer_headword(&a, &colour), text->str);
}
