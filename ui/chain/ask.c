/*
 * Asking an image about its chain, in a process of its own: see ui/chain/ask.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/chain/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/memory-plan.h"
#include "block/probe.h"
#include "ui/many/captured-process.h"
#include "util/sandbox.h"

/* ---- in the process that asks ---- */

typedef struct Question {
    const CheckOptions *options;
    const ImageTarget *image;
    const ImageTarget *below; /* NULL: none is asked about */
    const char *below_format;
} Question;

static bool lock_in(const Question *q)
{
    SandboxNeeds needs = {.network = q->image->open_remote || (q->below && q->below->open_remote)};
    unsigned layers;

    memory_plan(); /* looks at the machine */
    return sandbox_enter(q->options->sandbox, &needs, &layers, NULL);
}

static bool find_format(const ImageTarget *target, BlockSource *source, char *format)
{
    char bytes[BLOCK_PROBE_SIZE];

    if (!target->format && block_source_read(source, bytes, sizeof(bytes), 0) < 0) {
        return false;
    }
    g_strlcpy(format, target->format ? target->format : block_probe(target->path, bytes), CHAIN_FORMAT_SIZE);
    return true;
}

static bool answer_link(const Question *q, void *answer)
{
    ChainLink *link = answer;
    g_autoptr(BlockSource) source = image_target_open(q->image, NULL);
    g_autoptr(Qcow2Image) image = NULL;

    if (!source || !lock_in(q) || !find_format(q->image, source, link->format)) {
        return false;
    }
    if (!g_str_equal(link->format, "qcow2")) {
        link->backing.size = source->length;
        return true;
    }
    image = qcow2_open(source, NULL, NULL);
    return image && qcow2_read_backing(image, &link->backing, NULL);
}

/* Before the process gives up its rights. */
static void find_free_space(const ImageTarget *below, ChainCommit *commit)
{
    struct statvfs fs;

    if (!below->open_remote && statvfs(below->path, &fs) == 0 &&
        !__builtin_mul_overflow((uint64_t)fs.f_bavail, (uint64_t)fs.f_frsize, &commit->free)) {
        commit->has_free = true;
    }
}

static bool answer_commit(const Question *q, void *answer)
{
    ChainCommit *commit = answer;
    g_autoptr(BlockSource) source = image_target_open(q->image, NULL);
    g_autoptr(BlockSource) below = image_target_open(q->below, NULL);
    g_autoptr(Qcow2Image) image = NULL;
    g_autoptr(Qcow2Image) base = NULL;

    find_free_space(q->below, commit);
    if (!source || !below || !lock_in(q)) {
        return false;
    }
    image = qcow2_open(source, NULL, NULL);
    base = g_str_equal(q->below_format, "qcow2") ? qcow2_open(below, NULL, NULL) : NULL;
    return image && (base || g_str_equal(q->below_format, "raw")) &&
           qcow2_estimate_commit(image, base, below, &commit->commit, NULL);
}

/* ---- in the process that wants to know ---- */

typedef bool Answer(const Question *question, void *answer);

/* An answer is all of its bytes or none; its strings end here, whatever the process wrote. */
static bool ask(const Question *question, Answer *answer, void *bytes, size_t size)
{
    CapturedProcess process;
    int started = captured_process_start(&process);
    int outcome = -1;
    bool answered;

    memset(bytes, 0, size);
    if (started == 1) {
        exit(answer(question, bytes) && write(STDOUT_FILENO, bytes, size) == (ssize_t)size ? 0 : 1);
    }
    if (started < 0) {
        return false;
    }
    while (waitpid(process.pid, &outcome, 0) < 0 && errno == EINTR) {
    }
    answered = outcome == 0 && pread(process.out, bytes, size, 0) == (ssize_t)size;
    captured_process_clear(&process);
    return answered;
}

bool chain_ask_link(const CheckOptions *options, const ImageTarget *target, ChainLink *link)
{
    Question question = {.options = options, .image = target};
    bool answered = ask(&question, answer_link, link, sizeof(*link));

    link->format[sizeof(link->format) - 1] = '\0';
    link->backing.name[sizeof(link->backing.name) - 1] = '\0';
    link->backing.format[sizeof(link->backing.format) - 1] = '\0';
    return answered;
}

bool chain_ask_commit(const CheckOptions *options, const ImageTarget *overlay, const ImageTarget *below,
                      const char *format, ChainCommit *commit)
{
    Question question = {.options = options, .image = overlay, .below = below, .below_format = format};

    return ask(&question, answer_commit, commit, sizeof(*commit));
}
