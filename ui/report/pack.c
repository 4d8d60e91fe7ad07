/*
 * Packed lists: see ui/report/pack.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/report/pack.h"

void report_pack_begin(ReportPack *pack, FILE *out, const char *id)
{
    pack->out = out;
    pack->used = 0;
    fprintf(out, "<script type=\"text/plain\" id=\"%s\">", id);
}

static void flush(ReportPack *pack)
{
    char text[sizeof(pack->bytes) / 3 * 4 + 4];
    gint state = 0, save = 0;
    size_t length = g_base64_encode_step(pack->bytes, pack->used, FALSE, text, &state, &save);

    length += g_base64_encode_close(FALSE, text + length, &state, &save);
    fwrite(text, 1, length, pack->out);
    pack->used = 0;
}

static void put_byte(ReportPack *pack, uint8_t byte)
{
    pack->bytes[pack->used++] = byte;
    if (pack->used == sizeof(pack->bytes)) {
        flush(pack);
    }
}

void report_pack_number(ReportPack *pack, uint64_t number)
{
    while (number >= 0x80) {
        put_byte(pack, 0x80 | (number & 0x7f));
        number >>= 7;
    }
    put_byte(pack, (uint8_t)number);
}

void report_pack_signed(ReportPack *pack, int64_t number)
{
    report_pack_number(pack, number < 0 ? -(uint64_t)number * 2 - 1 : (uint64_t)number * 2);
}

void report_pack_word(ReportPack *pack, uint64_t word)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        put_byte(pack, (uint8_t)(word >> shift));
    }
}

void report_pack_end(ReportPack *pack)
{
    flush(pack);
    fputs("</script>\n", pack->out);
}
