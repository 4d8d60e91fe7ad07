/*
 * The answer to SIGUSR1: see ui/progress/signal.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/progress/signal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const ProgressState *volatile shown;
static bool on_terminal;

/* Writes the decimal digits of @number to end at @end, at least @least of them, and returns their start. */
static char *put_digits(char *end, unsigned number, int least)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (--least > 0 || number > 0);
    return end;
}

/* printf() may not be called here. */
static void answer(int signal_number)
{
    static const char tail[] = "/100%)\n";
    static const char blanks[] = "    (";
    static const char clear[] = "\r\033[K"; /* where there may be a bar */
    const ProgressState *state = shown;
    unsigned hundredths = state ? (unsigned)(progress_fraction(state) * 10000) : 0;
    char line[64];
    char *start = line + sizeof(line) - strlen(tail);
    int saved = errno;

    if (!state) {
        return;
    }
    memcpy(start, tail, strlen(tail));
    start = put_digits(start, hundredths % 100, 2);
    *--start = '.';
    start = put_digits(start, hundredths / 100, 1);
    start -= strlen(blanks);
    memcpy(start, blanks, strlen(blanks));
    if (on_terminal) {
        start -= strlen(clear);
        memcpy(start, clear, strlen(clear));
    }
    if (write(STDERR_FILENO, start, (size_t)(line + sizeof(line) - start)) < 0) {
        /* nobody to tell */
    }
    errno = saved;
}

void progress_answer_signal(const ProgressState *state)
{
    struct sigaction action = {.sa_handler = answer, .sa_flags = SA_RESTART};

    shown = state;
    on_terminal = isatty(STDERR_FILENO);
    sigaction(SIGUSR1, &action, NULL);
}
