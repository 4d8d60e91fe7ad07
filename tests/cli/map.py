#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of runs of clusters, looked at pixel by pixel. Prints TAP.

    map.py DRAW_MAP DOCUMENT [NAME]

Colours are those that DOCUMENT (docs/interop/map.rst) has; places on the curve are computed here, in another way than
the program does.
"""

import itertools
import pathlib
import re
import resource
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from png import Picture

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
CLUSTER = 64 * KIB
MARGIN = 24
PAPER, TEXT, WHITE = 0x14171c, 0xf2f2f2, 0xffffff
(FREE, HEADER, REFCOUNT_TABLE, REFCOUNT_BLOCK, L1, L2, DATA, COMPRESSED, SNAPSHOT_TABLE, SNAPSHOT_DATA, BITMAP, CRYPT,
 LEAKED, SHARED) = ROLES = range(14)
STRIPED = {REFCOUNT_TABLE, L1, SNAPSHOT_TABLE, CRYPT, SHARED}
CASES = []


def case(function):
    """A case is a function that fails by assertion; its docstring is the sentence of the test."""
    CASES.append(function)
    return function


class Artist:
    def __init__(self, program, document):
        self.program = program
        self.colour = [int(value, 16) for value in re.findall("^``#([0-9a-f]{6})``", document, re.MULTILINE)]
        assert len(self.colour) == len(ROLES)

    def draw(self, clusters, runs, curve="hilbert", cluster=CLUSTER, seams=(), order="host", step=1):
        """`runs` are (first, n, role) or (first, n, role, damaged); before each cluster of `seams` there is a seam."""
        lines = "".join(f"{first} {n} {role} {int(any(damaged))}\n" for first, n, role, *damaged in runs)
        words = [cluster, clusters * cluster, curve, order, step, *seams]
        done = subprocess.run([self.program, *map(str, words)], input=lines.encode(), stdout=subprocess.PIPE, check=True)
        return Picture(done.stdout)


def hilbert(order, index):
    """Where the cell lies: by recursion, a quarter being a smaller curve that is mirrored."""
    if order == 0:
        return 0, 0
    side = 2**(order - 1)
    quarter, rest = divmod(index, side * side)
    x, y = hilbert(order - 1, rest)
    return ((y, x), (side + x, y), (side + x, side + y), (side - 1 - y, 2 * side - 1 - x))[quarter]


def corner(order, index):
    """The top left pixel of the cell."""
    size = min(1024 >> order, 128)
    x, y = hilbert(order, index)
    return MARGIN + x * size, MARGIN + y * size


def blend(a, b, share):
    return sum(round((a >> s & 0xff) * (1 - share) + (b >> s & 0xff) * share) << s for s in (0, 8, 16))


def runs_of_all():
    """Each role once, from cluster 1 on; free clusters before and after."""
    return [(role, 1, role) for role in ROLES if role != FREE]


@case
def every_role(artist):
    """the square of each cluster has the colour of its role, and stripes if the document says so"""
    picture = artist.draw(16, runs_of_all())
    for role in ROLES:
        x, y = corner(2, role)
        inside = picture.colours(x + 30, y + 30, x + 90, y + 90)
        assert inside == {artist.colour[role]} | ({PAPER} if role in STRIPED else set()), (role, inside)


@case
def every_place(artist):
    """in files of 4 to 16,384 clusters each cluster has its place on the curve"""
    for order in range(1, 8):
        clusters = 4**order
        size = min(1024 >> order, 128)
        roles = [(DATA, BITMAP, COMPRESSED, FREE, L2)[i * 7 % 5] for i in range(clusters)]
        picture = artist.draw(clusters, [(i, 1, role) for i, role in enumerate(roles)])
        for i, role in enumerate(roles):
            x, y = corner(order, i)
            assert picture[x + size // 2 - 1, y + size // 2 - 1] == artist.colour[role], (order, i)


@case
def long_runs(artist):
    """a run has the same pixels whether it comes as one or cluster by cluster"""
    edges = [0, 5, 6, 64, 65, 300, 1023, 4096, 10000, 10001, 200000, 262144]
    runs = [(a, b - a, (DATA, COMPRESSED)[i % 2]) for i, (a, b) in enumerate(zip(edges, edges[1:]))]
    single = [(i, 1, role) for first, n, role in runs for i in range(first, first + n)]
    for curve in "hilbert", "linear":
        assert artist.draw(262144, runs, curve).lines == artist.draw(262144, single, curve).lines


@case
def linear(artist):
    """with the linear curve clusters lie row by row"""
    picture = artist.draw(200, [(i, 1, (DATA, L2)[i % 3 == 0]) for i in range(200)], "linear")
    for i in range(200):
        y, x = divmod(i, 16)
        assert picture[MARGIN + x * 64 + 32, MARGIN + y * 64 + 32] == artist.colour[(DATA, L2)[i % 3 == 0]]


@case
def end_of_file(artist):
    """behind the end of the file there is nothing, and what the curve does not reach is not in the picture"""
    picture = artist.draw(21, [(0, 1000, DATA)])  # the last one lies at 6,0
    assert picture.width == MARGIN + 7 * 128 + MARGIN
    x, y = corner(3, 20)
    assert (x, y) == (MARGIN + 6 * 128, MARGIN)
    assert picture[x + 60, y + 60] == artist.colour[DATA]
    assert picture.colours(x, y + 128, x + 128 + MARGIN, MARGIN + 4 * 128 + 20) == {PAPER}
    assert picture.colours(0, MARGIN + 4 * 128, picture.width, MARGIN + 4 * 128 + 20) == {PAPER}


@case
def little_more_than_a_half(artist):
    """a disk of 2^n bytes, whose metadata makes its file a little longer than that, fills its picture"""
    picture = artist.draw(2**24 + 2000, [(0, 2**25, DATA)])
    assert picture.width == 1024 + 2 * MARGIN
    assert picture[MARGIN + 1023, MARGIN + 511] == artist.colour[DATA]
    assert picture.colours(0, MARGIN + 512 + 10, MARGIN + 511, MARGIN + 512 + 20) == {PAPER}
    assert TEXT in picture.colours(MARGIN, MARGIN + 512 + 20, MARGIN + 200, MARGIN + 512 + 80)


@case
def bridges(artist):
    """quiet lines run between squares, but not between neighbours in the file that have the same use"""
    quiet = blend(PAPER, artist.colour[DATA], 150 / 255), blend(PAPER, artist.colour[HEADER], 150 / 255)
    picture = artist.draw(16, [(0, 1, HEADER), (1, 15, DATA)])
    for i, j in itertools.combinations(range(16), 2):
        (x, y), (u, v) = sorted((corner(2, i), corner(2, j)))
        between = (u - 1, y + 60) if (u, v) == (x + 128, y) else (x + 60, v - 1) if (u, v) == (x, y + 128) else None
        if between:
            joined = j == i + 1 and i > 0
            found = picture[between]
            assert found == artist.colour[DATA] if joined else found in quiet, (i, j, hex(found), quiet)


def edge(order, index, picture, curve=hilbert):
    """The colours across the edge between the squares of two clusters: the last 4 pixels of one, the first 4 of the other."""
    size = min(1024 >> order, 128)
    (x, y), (u, v) = ([MARGIN + size * part for part in curve(order, i)] for i in (index - 1, index))
    middle = size // 2
    if x == u:
        down = range(-4, 4) if v > y else range(3, -5, -1)
        return [picture[u + middle, max(y, v) + i] for i in down]
    across = range(-4, 4) if u > x else range(3, -5, -1)
    return [picture[max(x, u) + i, v + middle] for i in across]


@case
def seams_of_squares(artist):
    """a seam is a black line over the gap and as much of the square behind it, in each direction of the curve"""
    # squares 5 to 11 of a curve of 64 go up, down, to the right and to the left
    for order, gap in (3, 2), (4, 2), (5, 2), (6, 1):
        clusters = 4**order
        seams = [2, 7, 8, 9, 13, 40, clusters - 1]
        picture = artist.draw(clusters, [(0, clusters, DATA)], seams=seams)
        for index in range(1, clusters):
            dark = [i for i, colour in enumerate(edge(order, index, picture)) if colour == PAPER]
            (x, y), (u, v) = hilbert(order, index - 1), hilbert(order, index)
            # the gap is at the right or below of a square: it is before the edge, or, going back, behind it
            first = 4 - gap if u > x or v > y else 4
            assert dark == (list(range(first, first + 2 * gap)) if index in seams else []), (order, index, dark)


@case
def seams_of_small_squares(artist):
    """a seam between small squares is a black line of a pixel; of the smallest the first behind it is darker"""
    for order in 7, 8:
        picture = artist.draw(4**order, [(0, 4**order, DATA)], seams=[2, 700, 701, 702, 9000])
        for index in 1, 2, 3, 699, 700, 701, 702, 703, 9000, 9001:
            dark = [i for i, colour in enumerate(edge(order, index, picture)) if colour == PAPER]
            assert dark == ([4] if index in (2, 700, 701, 702, 9000) else []), (order, index, dark)
    for order in 9, 10:
        picture = artist.draw(4**order, [(0, 4**order, DATA)], seams=[2, 700])
        found = [picture[corner(order, index)] for index in (1, 2, 3, 699, 700, 701)]
        quiet = blend(PAPER, artist.colour[DATA], 150 / 255)
        assert found == [artist.colour[DATA], quiet, artist.colour[DATA]] * 2


@case
def no_seams_of_points(artist):
    """where a point is several clusters, seams are not shown"""
    runs = [(0, 2**21, DATA)]
    assert artist.draw(2**21, runs, seams=[2, 700]).lines == artist.draw(2**21, runs).lines


@case
def seams_row_by_row(artist):
    """with the linear curve a seam is at the left of a square, also where a row begins with it"""
    picture = artist.draw(64, [(0, 64, L2)], "linear", seams=[3, 8])
    for index in range(64):
        y, x = divmod(index, 8)
        dark = picture[MARGIN + 128 * x, MARGIN + 128 * y + 60] == PAPER
        assert dark == (index in (3, 8)), index


@case
def guest_legend(artist):
    """of the guest's disk the legend says that nothing is stored, has no leaks, and tells how much was looked at"""
    runs = [(0, 4, DATA), (9, 1, COMPRESSED)]
    disk = artist.draw(64, runs, order="guest")
    there = {DATA, COMPRESSED, FREE, SHARED, HEADER}  # the last is white, as is the outline of what is damaged
    strip = legend_of(disk, 1024)
    assert {artist.colour[role] for role in there} <= strip
    assert not {artist.colour[role] for role in set(ROLES) - there} & strip
    assert artist.draw(64, runs, order="guest", step=4).height == disk.height + 26  # a line more
    assert artist.draw(64, runs, order="guest", seams=[2]).height == disk.height + 26


@case
def largest_disk(artist):
    """a disk that claims 2^63 bytes has the picture of its million points, as any other"""
    picture = artist.draw(2**54, [(0, 1, DATA)], order="guest", cluster=512)
    assert picture.width == 1024 + 2 * MARGIN and picture.height < 1400
    assert picture[corner(10, 0)] not in (PAPER, artist.colour[FREE], artist.colour[DATA])  # a little of it is in use
    assert picture[corner(10, 1)] == artist.colour[FREE]


@case
def damaged_square(artist):
    """damage is a frame around a large square, which keeps its colour"""
    picture = artist.draw(64, [(0, 9, DATA), (9, 1, L2, True), (10, 54, DATA)])
    x, y = corner(3, 9)
    across = [picture[x + i, y + 60] for i in range(63)]
    assert [colour for colour, _ in itertools.groupby(across)] == [WHITE, artist.colour[SHARED], artist.colour[L2]]
    assert across.count(artist.colour[SHARED]) >= 8


def mark_at(order, index, least):
    """The rectangle of the mark of a cell that is smaller than it."""
    x, y = corner(order, index)
    size = 1024 >> order
    larger = max(least - size + 1, 0) // 2
    return x - larger, y - larger, x + size + larger, y + size + larger


@case
def one_leak(artist):
    """one leaked cluster among 1024 of a point is 5 by 5 pixels at full strength, with a dark outline"""
    leak = 1024 * 555555 + 321
    picture = artist.draw(2**30, [(0, leak, DATA), (leak, 1, LEAKED), (leak + 1, 2**30 - leak - 1, DATA)])
    left, top, right, bottom = mark_at(10, 555555, 5)
    assert right - left == 5
    assert picture.colours(left, top, right, bottom) == {artist.colour[LEAKED]}
    ring = picture.colours(left - 2, top - 2, right + 2, top) | picture.colours(right, top, right + 2, bottom)
    assert ring == {PAPER}
    assert picture[left - 3, top] == picture[right + 2, bottom] == artist.colour[DATA]


@case
def one_corruption(artist):
    """one damaged cluster among 2^18 of a point is 7 by 7 pixels with a white outline, and above leaks beside it"""
    bad = 2**18 * 700000 + 5
    runs = [(0, bad, DATA), (bad, 1, DATA, True), (bad + 1, 2**18 * 400, LEAKED), (bad + 2**18 * 500, 1000, DATA)]
    picture = artist.draw(2**38, runs, cluster=512)
    left, top, right, bottom = mark_at(10, 700000, 7)
    assert right - left == 7
    assert picture.colours(left, top, right, bottom) == {artist.colour[SHARED]}
    assert picture.colours(left - 2, top - 2, right + 2, top) == {WHITE}
    assert artist.colour[LEAKED] in picture.colours(left - 9, top - 9, right + 9, bottom + 9)


@case
def many_leaks(artist):
    """leaks and damage that are all over the picture are as large as their points, and leave room for the rest"""
    for mark, colour in (LEAKED, artist.colour[LEAKED]), (SHARED, artist.colour[SHARED]):
        runs = [run for i in range(0, 2**20, 20) for run in ((16 * i, 1, mark), (16 * i + 1, 319, DATA))]
        picture = artist.draw(2**24, runs)
        pixels = [picture[x, y] for y in range(MARGIN, MARGIN + 1024) for x in range(MARGIN, MARGIN + 1024)]
        assert pixels.count(colour) == len(runs) // 2
        assert pixels.count(artist.colour[DATA]) == 2**20 - len(runs) // 2


@case
def at_the_edges(artist):
    """marks at the first and at the last point, and in squares of any size, are whole"""
    for order in range(5, 11):
        clusters = 4**order
        picture = artist.draw(clusters, [(0, 1, HEADER, True), (1, clusters - 2, DATA), (clusters - 1, 1, LEAKED)])
        for index, least, role in (0, 7, SHARED), (clusters - 1, 5, LEAKED):
            left, top, right, bottom = mark_at(order, index, least)
            if order > 6:
                assert picture.colours(left, top, right, bottom) == {artist.colour[role]}, (order, role)
            else:
                assert artist.colour[role] in picture.colours(left, top, right, bottom), (order, role)


@case
def brightness(artist):
    """the more clusters of a point are in use, the brighter it is, from a third of the colour on"""
    counts = [0, 1, 64, 128, 192, 256]
    runs = [(256 * (1000 + 64 * i + j), counts[i], DATA) for i in range(6) for j in range(64)]
    picture = artist.draw(2**28, [run for run in runs if run[1]])
    shades = [picture[corner(10, 1000 + 64 * i + 5)] for i in range(6)]
    assert shades[0] == artist.colour[FREE] and shades[-1] == artist.colour[DATA]
    assert len(set(shades)) == 6
    for shade, share in zip(shades[1:], (1 / 16, 1 / 4, 1 / 2, 3 / 4, 1)):
        expected = blend(artist.colour[FREE], artist.colour[DATA], (80 + 175 * share) / 255)
        assert all(abs((shade >> s & 0xff) - (expected >> s & 0xff)) <= 1 for s in (0, 8, 16)), (shade, share)


def legend_of(picture, rows):
    return picture.colours(0, MARGIN + rows + 1, picture.width, picture.height)


@case
def legend(artist):
    """the legend has the colours of what there is, those of leaks and damage always, and no others"""
    picture = artist.draw(64, [(0, 1, HEADER), (1, 1, L2), (2, 10, COMPRESSED)])
    strip = legend_of(picture, 1024)
    there = {HEADER, L2, COMPRESSED, FREE, LEAKED, SHARED, DATA}  # what is damaged is data, for instance
    assert {artist.colour[role] for role in there} <= strip
    assert not {artist.colour[role] for role in set(ROLES) - there} & strip


@case
def legend_fits(artist):
    """the legend stays within the picture, also with all roles and the longest numbers"""
    runs = [(role * 2**49 + 7, 2**49 - 3, role, True) for role in ROLES]
    for clusters, cluster in (1, 2**21), (16, 2**21), (2**53, 512), (2**42 - 1, 2**21):
        picture = artist.draw(clusters, [(1, 1, DATA)] if clusters <= 16 else runs, cluster=cluster)
        assert picture.colours(picture.width - MARGIN // 2, 0, picture.width, picture.height) == {PAPER}, clusters
        assert picture.colours(0, picture.height - MARGIN, picture.width, picture.height) == {PAPER}, clusters


@case
def colour_vision(artist):
    """colours are told apart with three kinds of cones and with any two"""
    # Machado, Oliveira, Fernandes 2009: what remains without one kind, in linear RGB
    views = {
        "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "protanopia": ((.152286, 1.052583, -.204868), (.114503, .786281, .099216), (-.003882, -.048116, 1.051998)),
        "deuteranopia": ((.367322, .860646, -.227968), (.280085, .672501, .047413), (-.011820, .042940, .968881)),
        "tritanopia": ((1.255528, -.076749, -.178779), (-.078411, .930809, .147602), (.004733, .691367, .303900)),
    }
    for name, view in views.items():
        seen = [lab(view, colour) for colour in artist.colour]
        for a, b in itertools.combinations(ROLES, 2):
            distance = sum((p - q)**2 for p, q in zip(seen[a], seen[b]))**.5
            assert distance > (10 if {a, b} & (STRIPED - {SHARED}) else 15), (name, a, b, distance)


def lab(view, colour):
    """CIE L*a*b* of what is seen; 2.3 is a difference that is just noticed."""
    linear_rgb = [c / 12.92 if c <= .04045 else ((c + .055) / 1.055)**2.4
                  for c in ((colour >> s & 0xff) / 255 for s in (16, 8, 0))]
    r, g, b = (min(max(sum(f * c for f, c in zip(row, linear_rgb)), 0), 1) for row in view)
    x, y, z = (t**(1 / 3) if t > .008856 else 7.787 * t + 16 / 116 for t in (
        (.4124564 * r + .3575761 * g + .1804375 * b) / .95047, .2126729 * r + .7151522 * g + .0721750 * b,
        (.0193339 * r + .1191920 * g + .9503041 * b) / 1.08883))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def cpu_seconds(action):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@case
def time_of_a_large_image(artist):
    """16 TiB in one run cost no more than a small file, and in 200,000 runs little more"""
    small = cpu_seconds(lambda: artist.draw(64, [(0, 64, DATA)]))
    one = cpu_seconds(lambda: artist.draw(2**28, [(0, 2**28, DATA)]))
    many = cpu_seconds(lambda: artist.draw(2**28, [(i * 1300, 1000, (DATA, L2, LEAKED)[i % 3]) for i in range(200000)]))
    print(f"# CPU seconds: small {small:.3f}, one run {one:.3f}, 200,000 runs {many:.3f}")
    assert one < small + 0.5 and many < small + 2


def main():
    program, document, *names = sys.argv[1:]
    artist = Artist(program, pathlib.Path(document).read_text())
    chosen = [function for function in CASES if not names or function.__name__ in names]
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    for number, function in enumerate(chosen, 1):
        try:
            function(artist)
            outcome = "ok"
        except AssertionError as error:
            outcome = "not ok"
            failed += 1
            print(f"# {type(error).__name__}: {error}".replace("\n", " "))
        print(f"{outcome} {number} - {function.__doc__.splitlines()[0]}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
