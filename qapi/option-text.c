/*
 * Values of options as texts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "option-text.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

bool option_parse_bool(const char *text, bool *value)
{
    static const char *const words[2][4] = {{"off", "no", "false", "n"}, {"on", "yes", "true", "y"}};

    for (int truth = 0; truth < 2; truth++) {
        for (size_t i = 0; i < G_N_ELEMENTS(words[truth]); i++) {
            if (strcmp(text, words[truth][i]) == 0) {
                *value = truth;
                return true;
            }
        }
    }
    return false;
}

bool option_parse_integer(const char *text, bool *negative, uint64_t *magnitude)
{
    char *end;

    *negative = *text == '-';
    text += *negative;
    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    errno = 0;
    *magnitude = g_ascii_strtoull(text, &end, 10);
    return errno == 0 && !*end;
}

/* The power of two that a suffix of a size stands for, -1 if it is none. */
static int suffix_shift(char suffix)
{
    static const char suffixes[] = "BKMGTPE";
    const char *found = suffix ? strchr(suffixes, g_ascii_toupper(suffix)) : NULL;

    return found ? 10 * (int)(found - suffixes) : -1;
}

OptionSize option_parse_size(const char *text, uint64_t *size)
{
    bool hexadecimal = g_ascii_strncasecmp(text, "0x", 2) == 0 && g_ascii_isxdigit(text[2]);
    double fraction = 0;
    char *end;

    if (!g_ascii_isdigit(*text)) {
        return OPTION_SIZE_MALFORMED;
    }
    errno = 0;
    *size = g_ascii_strtoull(text, &end, hexadecimal ? 16 : 10);
    if (errno) {
        return OPTION_SIZE_OUT_OF_RANGE;
    }
    if (*end == '.' && g_ascii_isdigit(end[1]) && !hexadecimal) {
        const char *digits = end + 1;
        double unit = 0.1;

        for (; g_ascii_isdigit(*digits); digits++, unit /= 10) {
            fraction += unit * (*digits - '0');
        }
        end = (char *)digits;
    }

    int shift = *end && !hexadecimal ? suffix_shift(*end++) : 0;

    if (shift < 0 || *end || (fraction > 0 && shift == 0)) {
        return OPTION_SIZE_MALFORMED;
    }
    if (*size > UINT64_MAX >> shift) {
        return OPTION_SIZE_OUT_OF_RANGE;
    }
    *size = (*size << shift) + (uint64_t)(fraction * (double)(UINT64_C(1) << shift));
    return OPTION_SIZE_GOOD;
}
