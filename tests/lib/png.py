# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads PNG files of 8 bits a sample, not interlaced: what the tests of pictures need, and strict."""

import struct
import sys
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {2: 3, 3: 1}  # by colour type: RGB, palette


def chunks(data):
    assert data.startswith(SIGNATURE), "no PNG signature"
    at = len(SIGNATURE)
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + size]
        (crc,) = struct.unpack_from(">I", data, at + 8 + size)
        assert crc == zlib.crc32(kind + body), f"wrong checksum of {kind}"
        yield kind.decode(), body
        at += size + 12


def paeth(a, b, c):
    return min((a, b, c), key=lambda x: abs(a + b - c - x))


def unfilter(kind, line, above, step):
    """Only what other programs make of a picture needs filters; ours has none, and takes the short way."""
    if kind == 0:
        return line
    out = bytearray(line)
    for i in range(len(out)):
        left, corner = (out[i - step], above[i - step]) if i >= step else (0, 0)
        out[i] = out[i] + (0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], corner))[kind] & 0xff
    return bytes(out)


class Picture:
    """`width`, `height`, and pixels as 0xRRGGBB at [x, y]."""

    def __init__(self, data):
        parts = list(chunks(data))
        assert parts[0][0] == "IHDR" and parts[-1] == ("IEND", b""), "begin or end missing"
        self.width, self.height, depth, self.kind, *rest = struct.unpack(">IIBBBBB", parts[0][1])
        assert depth == 8 and rest == [0, 0, 0], "a form of PNG that this does not read"
        self.palette = [int.from_bytes(body[i:i + 3], "big") for kind, body in parts if kind == "PLTE"
                        for i in range(0, len(body), 3)]
        self.step = SAMPLES[self.kind]
        self.lines = self.read_lines(zlib.decompress(b"".join(body for kind, body in parts if kind == "IDAT")))

    def read_lines(self, data):
        size = self.width * self.step
        assert len(data) == self.height * (size + 1), "too many or too few pixels"
        lines, above = [], bytes(size)
        for at in range(0, len(data), size + 1):
            above = unfilter(data[at], data[at + 1:at + 1 + size], above, self.step)
            lines.append(above)
        return lines

    def __getitem__(self, place):
        x, y = place
        sample = self.lines[y][x * self.step:(x + 1) * self.step]
        return self.palette[sample[0]] if self.kind == 3 else int.from_bytes(sample, "big")

    def colours(self, left, top, right, bottom):
        """All colours of a rectangle."""
        return {self[x, y] for y in range(top, bottom) for x in range(left, right)}


def main():
    """png.py FILE X,Y...: the colours of pixels, a line each."""
    with open(sys.argv[1], "rb") as file:
        picture = Picture(file.read())
    for place in sys.argv[2:]:
        print(f"#{picture[tuple(map(int, place.split(',')))]:06x}")


if __name__ == "__main__":
    main()
