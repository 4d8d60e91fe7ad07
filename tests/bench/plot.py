# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws the growth of time and memory with gnuplot: an SVG file."""

import subprocess

LABELS = {"size": "disk, GiB, written in full in order", "snapshots": "snapshots of 1 TiB that share its tables",
          "pieces": "pieces of 64 GiB, in random order"}
SETTINGS = """
set terminal svg size 1080,640 font "sans-serif,13" background "#ffffff"
set output "{path}"
set multiplot layout 2,3 margins 0.065,0.985,0.085,0.965 spacing 0.08,0.13
set logscale xy
set format xy "10^{{%L}}"
set grid xtics ytics linecolor "#dddddd"
set key left top Left reverse samplen 2
"""
PANEL = """
set xlabel "{x}"
set ylabel "{y}"
set yrange [{least}:{most}<*]
plot $ours using 1:{column} with linespoints linewidth 2 pointtype 7 pointsize 0.6 linecolor "#0072b2" title "ours", \\
     $stock using 1:{column} with linespoints linewidth 2 pointtype 5 pointsize 0.6 linecolor "#d55e00" title "stock"
"""


def block(name, points):
    """Lines "x seconds MiB", of which there must be one."""
    lines = [f"{x} {times.median:.6f} {times.rss / (1 << 20):.1f}" for x, times in points] or ["nan nan nan"]
    return "\n".join([f"${name} << end", *lines, "end", ""])


def script(axes, path):
    text = SETTINGS.format(path=path)
    for y, column, least, most in (("seconds", 2, 0.001, 100), ("memory, MiB", 3, 1, 1000)):
        for axis in axes:
            points = [point for point in axis.points if point.x > 0]  # there is no 0 on such an axis
            text += block("ours", [(point.x, point.ours) for point in points])
            text += block("stock", [(point.x, point.stock) for point in points if point.stock])
            text += PANEL.format(x=LABELS[axis.name], y=y, column=column, least=least, most=most)
    return text + "unset multiplot\n"


def draw(axes, path):
    """Of growth.Axis, to the file @path."""
    subprocess.run(["gnuplot"], input=script(axes, path), check=True, text=True)
