/*
 * Sizes and offsets as people write them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/size.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

static const char units[] = "KMGTPE";

char *size_format(uint64_t bytes)
{
    double value = (double)bytes;
    int unit = -1;
    int decimals;

    if (bytes < 1024) {
        return g_strdup_printf("%" PRIu64 " B", bytes);
    }
    /* 1023.5 and more would be rounded to a fourth digit */
    do {
        value /= 1024;
        unit++;
    } while (value >= 1023.5 && units[unit + 1]);
    decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return g_strdup_printf("%.*f %ciB", decimals, value, units[unit]);
}

bool size_parse(const char *text, uint64_t *bytes)
{
    bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hexadecimal ? text + 2 : text;
    const char *unit;
    char *end;
    uint64_t number;
    unsigned shift;

    /* strtoull() would take blanks and signs as well */
    if (!(hexadecimal ? g_ascii_isxdigit(*digits) : g_ascii_isdigit(*digits))) {
        return false;
    }
    errno = 0;
    number = g_ascii_strtoull(digits, &end, hexadecimal ? 16 : 10);
    if (errno) {
        return false;
    }
    unit = *end ? strchr(units, g_ascii_toupper(*end)) : NULL;
    if (*end && (!unit || end[1])) {
        return false;
    }
    shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (number > UINT64_MAX >> shift) {
        return false;
    }
    *bytes = number << shift;
    return true;
}
