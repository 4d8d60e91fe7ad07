/*
 * A report: findings counted, printed and collected.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/findings/report.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "block/limits.h"
#include "block/qcow2/findings/collector.h"
#include "block/qcow2/format/format.h"

static void count(Qcow2Report *report, ImageCheckFindingKind kind, uint64_t n)
{
    assert(kind < QCOW2_FINDING__MAX);
    report->count_by_kind[kind] += n;
    switch (qcow2_finding_severity(kind)) {
    case IMAGE_CHECK_SEVERITY_CORRUPTION:
        report->corruptions += n;
        break;
    case IMAGE_CHECK_SEVERITY_LEAK:
        report->leaks += n;
        break;
    case IMAGE_CHECK_SEVERITY_ERROR:
        report->check_errors += n;
        break;
    default:
        break;
    }
}

/* Returns true if a write by the rules would damage what another user has. */
static bool is_dangerous(const Qcow2Finding *f)
{
    switch (f->kind) {
    case QCOW2_FINDING_L1_COPIED_WRONG:
        return (f->values[1] & QCOW2_OFLAG_COPIED) && f->values[2] > 1;
    case QCOW2_FINDING_L2_COPIED_WRONG:
        return (f->values[0] & QCOW2_OFLAG_COPIED) && f->values[1] > 1;
    case QCOW2_FINDING_REFCOUNT_TOO_LOW:
        return f->values[2] > 1;
    default:
        return false;
    }
}

static bool may_be_dangerous(ImageCheckFindingKind kind)
{
    return kind == QCOW2_FINDING_L1_COPIED_WRONG || kind == QCOW2_FINDING_L2_COPIED_WRONG ||
           kind == QCOW2_FINDING_REFCOUNT_TOO_LOW;
}

bool qcow2_report_full(const Qcow2Report *report)
{
    uint64_t most = report->max_messages;

    return most &&
           ((report->written >= most && !report->collector) || report->examined / LIMIT_EXAMINED_PER_MESSAGE >= most);
}

/* @message is NULL, or the text of @finding. */
static void write_if_wanted(Qcow2Report *report, const Qcow2Finding *finding, const char *message)
{
    bool repairing = report->repairing & QCOW2_FINDING_BIT(finding->kind);
    uint64_t bytes = 0;

    if (report->max_messages && report->written >= report->max_messages) {
        report->left_out[finding->kind]++;
        return;
    }
    report->written++;
    if (report->messages && message && !repairing) {
        bytes = strlen(message);
        fwrite_unlocked(message, 1, bytes, report->messages);
        putc_unlocked('\n', report->messages);
    } else if (report->messages) {
        bytes = qcow2_finding_write(finding, repairing, report->messages);
    }
    report->written += bytes / LIMIT_MESSAGE_BYTES;
}

void qcow2_report(Qcow2Report *report, const Qcow2Finding *finding)
{
    const char *message = NULL;

    if (qcow2_report_full(report)) {
        qcow2_count_unreported(report, finding->kind, 1);
        return;
    }
    report->examined++;
    count(report, finding->kind, 1);
    report->dangerous += is_dangerous(finding);
    if (report->collector) {
        message = qcow2_collector_add(report->collector, finding);
    }
    write_if_wanted(report, finding, message);
}

/* How many findings, at most @n, there are before the report may be full. It is not, and no list is wanted. */
static uint64_t count_until_full(const Qcow2Report *report, uint64_t n)
{
    uint64_t most = report->max_messages;
    uint64_t groups = most - report->examined / LIMIT_EXAMINED_PER_MESSAGE;

    if (!most) {
        return n;
    }
    if (groups <= n) {
        n = MIN(n, groups * LIMIT_EXAMINED_PER_MESSAGE - report->examined % LIMIT_EXAMINED_PER_MESSAGE);
    }
    return MIN(n, most - report->written);
}

void qcow2_report_clusters(Qcow2Report *report, const Qcow2Finding *first, uint64_t n)
{
    Qcow2Finding f = *first;

    for (uint64_t done; n && !qcow2_report_full(report); n -= done) {
        done = report->collector ? 1 : count_until_full(report, n);
        if (done == 1) {
            qcow2_report(report, &f);
        } else {
            report->examined += done;
            report->written += done;
            count(report, f.kind, done);
            report->dangerous += is_dangerous(&f) ? done : 0;
            if (report->messages) {
                qcow2_finding_write_clusters(&f, done, report->repairing & QCOW2_FINDING_BIT(f.kind), report->messages);
            }
        }
        f.values[0] += done;
        f.location.cluster_offset += done * f.location.cluster_size;
    }
    if (n) {
        qcow2_count_unreported(report, f.kind, n);
    }
}

void qcow2_count_unreported(Qcow2Report *report, ImageCheckFindingKind kind, uint64_t n)
{
    count(report, kind, n);
    report->dangerous += may_be_dangerous(kind) ? n : 0;
    report->left_out[kind] += n;
    if (report->collector) {
        qcow2_collector_add_unlisted(report->collector, kind, n);
    }
}

void qcow2_report_summary(const Qcow2Report *report)
{
    const char *before = "Messages left out, which --all-messages shows: ";

    for (ImageCheckFindingKind i = 0; report->messages && i < G_N_ELEMENTS(report->left_out); i++) {
        if (report->left_out[i]) {
            fprintf(report->messages, "%s%" PRIu64 " %s", before, report->left_out[i], ImageCheckFindingKind_str(i));
            before = ", ";
        }
    }
    if (*before == ',') {
        putc('\n', report->messages);
    }
}

void qcow2_report_discarded(Qcow2Report *report, const Qcow2Finding *finding, uint64_t n, const char *format, ...)
{
    va_list args;

    report->corruptions += n;
    report->count_by_kind[finding->kind] += n;
    if (report->collector) {
        qcow2_collector_add(report->collector, finding);
    }
    if (report->messages) {
        va_start(args, format);
        vfprintf(report->messages, format, args);
        va_end(args);
    }
}

void qcow2_report_failure(Qcow2Report *report, int error)
{
    if (!report->failure) {
        report->failure = error;
    }
}
