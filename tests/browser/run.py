#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports in a real browser. Prints TAP.

    run.py QEMU_IMG [--keep FOLDER] [CASE...]

With --keep the pages, and a picture of the page at the end of each case, are left in FOLDER.
"""

import argparse
import inspect
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import images
from webdriver import Browser, available

CASES = []
MOST_BYTES = 30 << 20  # of the page of any image


def case(function):
    """A case is a function that fails by assertion; its docstring is the sentence of the test."""
    CASES.append(function)
    return function


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


class Desk:
    """The program, the browser, and the pages that were made so far."""

    def __init__(self, program, folder, browser):
        self.program = program
        self.folder = folder
        self.browser = browser
        self.made = {}

    def page(self, make):
        """The report of the image that @make makes, and what that function returns."""
        if make not in self.made:
            image = make(self.folder)
            path = image[0] if isinstance(image, tuple) else image
            page = self.folder / (make.__name__ + ".html")
            subprocess.run([self.program, "check", "-q", "-m2", f"--report={page}", "--", path.name], cwd=self.folder,
                           stderr=subprocess.DEVNULL, check=False)
            self.made[make] = page, image
        return self.made[make]

    def open(self, make):
        page, image = self.page(make)
        self.browser.open(page)
        self.browser.wait("document.documentElement.dataset.ready")
        return image

    def text(self, selector):
        return self.browser.run(f"document.querySelector({json.dumps(selector)}).textContent")

    def texts(self, selector):
        return self.browser.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.textContent)")

    def place(self, title=None):
        """What the panel beside the picture says, waiting for one with @title."""
        if title:
            self.browser.wait("document.querySelector('#place-title').textContent === title", title=title)
        return self.text("#place-facts")

    def rows(self):
        """The rows of the findings: a list of cells each."""
        return self.browser.run("[...document.querySelectorAll('#findings-rows tr')].map("
                                "r => [...r.children].map(c => c.textContent))")


def hilbert(cluster, side):
    """The square of a cluster, by the usual algorithm, which goes down first where ours goes to the right."""
    x = y = 0
    s = 1
    while s < side:
        right = 1 & (cluster // 2)
        low = 1 & (cluster ^ right)
        if low == 0:
            if right == 1:
                x, y = s - 1 - x, s - 1 - y
            x, y = y, x
        x, y = x + s * right, y + s * low
        cluster //= 4
        s *= 2
    return y, x


def point_of(desk, cluster):
    """Where on the page a cluster of the whole file is, from the corner of the canvas."""
    clusters = int(desk.text("#picture-lead").split(" ")[0].replace(",", ""))
    side = 1
    while side * side < clusters:
        side *= 2
    columns = 1 + max(hilbert(each, side)[0] for each in range(clusters))
    width = desk.browser.run("document.querySelector('#canvas').getBoundingClientRect().width")
    x, y = hilbert(cluster, side)
    return (x + 0.5) * width / columns, (y + 0.5) * width / columns


def point(desk, cluster):
    desk.browser.run("document.querySelector('#canvas').scrollIntoView({block: 'start', behavior: 'instant'})")
    desk.browser.point("#canvas", *point_of(desk, cluster))


def press(desk, cluster):
    desk.browser.run("document.querySelector('#canvas').scrollIntoView({block: 'start', behavior: 'instant'})")
    desk.browser.press_pointer("#canvas", *point_of(desk, cluster))


def zoom_level(desk):
    return float(desk.text("#zoom-level").rstrip("×"))


def focused(desk):
    return desk.browser.run("document.activeElement.id")


def search(desk, text, space="host"):
    desk.browser.run(f"document.querySelector('#search-space').value = {json.dumps(space)}")
    desk.browser.type("#search-text", text)
    desk.browser.press("Enter")
    return desk.text("#search-result")


# ---- what the page says ----

@case
def summary(desk):
    """The summary has the verdict and the counts that the check prints."""
    image = desk.open(images.broken)
    printed = json.loads(subprocess.run([desk.program, "check", "--output=json", image], capture_output=True,
                                        check=False).stdout)
    counts = dict(zip(desk.texts("#counts dt"), desk.texts("#counts .value")))
    same(counts["Corruptions"], str(printed["corruptions"]))
    same(counts["Leaks"], str(printed["leaks"]))
    same(desk.text("#file-name"), image.name)
    assert desk.text("#verdict").startswith("6 corruptions"), desk.text("#verdict")
    same(counts["Allocated"], "6.25 %")  # 4 MiB of 64 MiB


@case
def lost_table(desk):
    """Leaks that are the last copy of data are not called harmless."""
    desk.open(images.lost)
    same(desk.text("#verdict"), "11 leaked clusters: 512 MiB of the guest's disk cannot be what was written; 704 KiB of "
         "what leaks may be the last copy of data: a repair keeps it, and -r all --restore puts back what is proved")


@case
def pointer(desk):
    """Under the pointer: role, offset, owner and guest range of a cluster."""
    image = desk.open(images.plain)
    host = images.offset(image, "l2:0:0")
    point(desk, host // images.CLUSTER)
    facts = desk.place(f"Cluster {host // images.CLUSTER}")
    for text in "Data", f"{host:#x}-{host + 0xffff:#x}", "Data of the active disk", "guest 0x0-0xffff":
        assert text in facts, (text, facts)
    table = images.offset(image, "l1:0")
    point(desk, table // images.CLUSTER)
    facts = desk.place(f"Cluster {table // images.CLUSTER}")
    for text in "L2 table", "L2 table of the active disk", "guest 0x0-0x1fffffff":
        assert text in facts, (text, facts)


@case
def pointer_on_other_structures(desk):
    """Under the pointer: what belongs to a snapshot only, compressed data, the header, a bitmap."""
    image = desk.open(images.plain)
    old = images.offset(image, "snapl2:0:0:16")
    compressed = (images.word(image, "l2:0:512") & (1 << 54) - 1) // images.CLUSTER
    bitmap = images.offset(image, "bitmap:0:0")
    for cluster, texts in ((0, ["Header"]),
                           (old // images.CLUSTER, ["Only in snapshots", "Data of snapshot “monday”", "guest 0x100000-"]),
                           (compressed, ["Compressed data of the active disk", "guest 0x2000000-0x200ffff"]),
                           (bitmap // images.CLUSTER, ["Data of bitmap “nightly”"])):
        point(desk, cluster)
        facts = desk.place(f"Cluster {cluster}")
        for text in texts:
            assert text in facts, (cluster, text, facts)


@case
def colours(desk):
    """Each cluster has the colour that the legend has for its role."""
    image = desk.open(images.plain)
    roles = {images.offset(image, "l2:0:0") // images.CLUSTER: "Data",
             images.offset(image, "l1:0") // images.CLUSTER: "L2 tables",
             0: "Header"}
    points = [[round(part) for part in point_of(desk, cluster)] for cluster in roles]
    drawn = desk.browser.run(COLOURS_AT.replace("POINTS", json.dumps(points)))
    legend = desk.browser.run("[...document.querySelectorAll('#legend tr')].map(r => "
                              "[r.querySelector('button').textContent, r.querySelector('.swatch').style.background])")
    same(drawn, [dict(legend)[role] for role in roles.values()])


COLOURS_AT = """(() => {
    const canvas = document.querySelector("#canvas");
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return POINTS.map(([x, y]) => `rgb(${data.slice(4 * (y * canvas.width + x)).slice(0, 3).join(", ")})`);
})()"""


@case
def text_alternative(desk):
    """The legend is a table that has every cluster of the file, for those who do not see the picture."""
    image = desk.open(images.plain)
    numbers = [int(text.replace(",", "")) for text in desk.texts("#legend td:nth-child(2)")]
    same(sum(numbers), -(-image.stat().st_size // images.CLUSTER))
    same(desk.browser.run("document.querySelector('#canvas').getAttribute('aria-label')").split(",")[0],
         "The clusters of the file")


# ---- moving about ----

@case
def zoom(desk):
    """The picture is zoomed by buttons, keys and the wheel, and moved by dragging."""
    desk.open(images.many_faults)
    same(zoom_level(desk), 1)
    desk.browser.click("#zoom-in")
    desk.browser.wait("document.querySelector('#zoom-level').textContent === '2×'")
    press(desk, 0)
    desk.browser.press("+")
    desk.browser.wait("document.querySelector('#zoom-level').textContent === '3.2×' ||"
                      " parseFloat(document.querySelector('#zoom-level').textContent) > 2")
    before = zoom_level(desk)
    desk.browser.press("-")
    desk.browser.wait("parseFloat(document.querySelector('#zoom-level').textContent) < before", before=before)
    desk.browser.press("0")
    desk.browser.wait("document.querySelector('#zoom-level').textContent === '1×'")
    desk.browser.wheel("#canvas", 100, 100, -100)
    desk.browser.wait("parseFloat(document.querySelector('#zoom-level').textContent) > 1")
    desk.browser.point("#canvas", 5, 5)
    title = desk.text("#place-title")
    desk.browser.point("#canvas", 200, 200, {"type": "pointerDown", "button": 0},
                       {"type": "pointerMove", "duration": 0, "origin": "pointer", "x": -90, "y": -90},
                       {"type": "pointerUp", "button": 0})
    desk.browser.point("#canvas", 5, 5)
    assert desk.text("#place-title") != title


@case
def wheel_scrolls_the_page(desk):
    """A wheel that happens to be over the picture scrolls the page, as long as the picture has not the focus."""
    desk.open(images.plain)
    desk.browser.wheel("#canvas", 50, 50, 120)
    desk.browser.wait("scrollY > 0")
    same(zoom_level(desk), 1)


@case
def search_host(desk):
    """An offset of the file is found in hexadecimal, decimal, and with a suffix."""
    desk.open(images.plain)
    for text in "0x80000", "524288", "512K", "0.5M", "512 KiB":
        assert "cluster 8." in search(desk, text), (text, desk.text("#search-result"))
        same(desk.text("#place-title"), "Cluster 8")
        desk.browser.click("#zoom-reset")
    assert "behind the end" in search(desk, "1T")
    assert "Not an offset" in search(desk, "0xzz")
    same(desk.browser.run("document.querySelector('#search-text').getAttribute('aria-invalid')"), "true")


@case
def search_guest(desk):
    """An offset of the guest's disk is found in the file, and it is said where there is nothing."""
    image = desk.open(images.plain)
    host = images.offset(image, "l2:0:3")
    assert f"at {host + 0x1234:#x} in the file" in search(desk, hex(3 * images.CLUSTER + 0x1234), "guest")
    same(desk.text("#place-title"), f"Cluster {host // images.CLUSTER}")
    assert "compressed, in cluster" in search(desk, "32M", "guest")
    assert "Nothing is stored" in search(desk, "48M", "guest")
    assert "behind the end of the guest" in search(desk, "64M", "guest")


@case
def keyboard(desk):
    """Everything is reached without a pointer: cursor, picture, findings, tree."""
    desk.open(images.broken)
    for _ in range(60):
        desk.browser.press("Tab")
        if focused(desk) == "canvas":
            break
    same(focused(desk), "canvas")
    desk.browser.press("ArrowRight")
    right = next(cluster for cluster in range(256) if hilbert(cluster, 16) == (1, 0))
    same(desk.text("#place-title"), f"Cluster {right}")
    desk.browser.press("Home", "n")
    assert desk.text("#place-title") != "Cluster 0"
    assert desk.text("#place-spoken").startswith(desk.text("#place-title"))
    for _ in range(40):
        desk.browser.press("Tab")
        if focused(desk) == "tree":
            break
    same(focused(desk), "tree")
    desk.browser.press("ArrowDown", "ArrowRight", "ArrowDown")
    active = "document.getElementById(document.querySelector('#tree').getAttribute('aria-activedescendant'))"
    assert "Refcount block 0" in desk.browser.run(f"{active}.textContent")
    same(desk.browser.run(f"{active}.getAttribute('aria-level')"), "2")
    desk.browser.press("Enter")
    same(focused(desk), "canvas")
    assert "Refcount block" in desk.place()


# ---- findings ----

@case
def sort_and_filter(desk):
    """Findings are sorted by a column in both directions, and filtered by words, severity and structure."""
    desk.open(images.broken)
    same([row[0] for row in desk.rows()], ["corruption"] * 4 + ["leak"] * 2)
    clusters = f"#findings-head th:nth-child({1 + desk.texts('#findings-head th').index('Clusters')})"
    desk.browser.click(clusters + " button")
    same([row[4].split("-")[0] for row in desk.rows()], ["0x80000", "0x80000", "0xc0000", "0xc0000", "0x140000", "0x140000"])
    same(desk.browser.run(f"document.querySelector('{clusters}').getAttribute('aria-sort')"), "ascending")
    desk.browser.click(clusters + " button")
    same([row[4].split("-")[0] for row in desk.rows()], ["0x140000", "0x140000", "0xc0000", "0xc0000", "0x80000", "0x80000"])
    same(desk.browser.run(f"document.querySelector('{clusters}').getAttribute('aria-sort')"), "descending")
    desk.browser.type("#filter-text", "LEAKED cluster 20")
    same([row[4].split("-")[0] for row in desk.rows()], ["0x140000"])
    same(desk.text("#filter-result"), "1 of 6 shown")
    desk.browser.type("#filter-text", "")
    desk.browser.click("#filter-severity option[value=leak]")
    same([row[0] for row in desk.rows()], ["leak"] * 2)


@case
def finding_to_picture_and_back(desk):
    """A finding leads to its clusters in the picture, and these lead to the finding."""
    desk.open(images.broken)
    desk.browser.click(".finding.corruption button.link")
    same(focused(desk), "canvas")
    same(desk.text("#place-title"), "Cluster 8")
    assert "corruption" in desk.text("#place-findings")
    desk.browser.click("#place-findings button")
    assert focused(desk).startswith("finding-"), focused(desk)
    assert "0x80000" in desk.browser.run("document.activeElement.textContent")


@case
def many_findings(desk):
    """Of many findings a part is on the page, more on request, and any that a link leads to."""
    desk.open(images.many_faults)
    same(len(desk.rows()), 200)
    desk.browser.click("#findings-more")
    same(len(desk.rows()), 400)
    search(desk, hex(1498 * images.CLUSTER))
    desk.browser.click("#place-findings button")
    assert "1498" in desk.browser.run("document.activeElement.textContent")


# ---- the tree ----

@case
def tree(desk):
    """The tree has the metadata with their offsets, and opens and closes."""
    image = desk.open(images.plain)
    same(len(desk.texts("#tree [role=treeitem]")), 5)
    desk.browser.click("#tree-row-3")
    assert "L1 table of snapshot “monday”" in desk.text("#tree-row-4")
    desk.browser.click("#tree-row-4")
    assert hex(images.offset(image, "snapl1:0:0")) in desk.text("#tree-row-5"), desk.text("#tree-row-5")
    assert "guest 0x0-0x1fffffff" in desk.text("#tree-row-5")
    desk.browser.click("#tree-row-3")
    same(len(desk.texts("#tree [role=treeitem]")), 5)


@case
def huge(desk):
    """The page of an image with a million L2 tables is small, opens with little work, and its tree does not stall."""
    page, (_, first_table) = desk.page(images.huge)
    assert page.stat().st_size < MOST_BYTES, page.stat().st_size
    desk.browser.count_work()
    desk.open(images.huge)
    opened = desk.browser.work_done()
    desk.browser.run("(document.querySelector('#tree-row-2').click(), document.querySelector('#tree').scrollTop)")
    unfolded = desk.browser.work_done()
    desk.browser.stop_counting()
    assert opened < 32 << 20, opened  # for each table
    assert unfolded < 64 << 10, unfolded  # for each of a thousand rows, which stand for a thousand tables each
    assert "L2 tables 0 – 999" in desk.text("#tree-row-3"), desk.text("#tree-row-3")
    desk.browser.run("document.querySelector('#tree-row-3').click()")
    assert hex((first_table + 1) * images.CLUSTER) in desk.text("#tree-row-5"), desk.text("#tree-row-5")
    assert len(desk.texts("#tree [role=treeitem]")) < 100
    desk.browser.run("(document.querySelector('#tree').focus(), 0)")
    desk.browser.press("End")
    assert "L2 tables 1,048,000 – 1,048,575" in desk.browser.wait(
        "[...document.querySelectorAll('#tree [role=treeitem]')].map(e => e.textContent).join().match(/L2 tables 1,048,000.*/)")[0]
    search(desk, hex((first_table + 500000) * images.CLUSTER))
    assert "L2 table 500,000 of the active disk" in desk.place()
    same(desk.text("#place-title"), f"Cluster {first_table + 500000:,}")


# ---- safety ----

@case
def hostile_names(desk):
    """Names that are HTML, that turn the text about or that command a terminal are shown, and do nothing."""
    image = desk.open(images.hostile)
    same(desk.text("#file-name"), image.name.replace("\u202e", "\\u{202e}").replace("\x1b", "\\u{1b}"))
    for row in 4, 3:
        desk.browser.run(f"(document.querySelector('#tree-row-{row}').click(), 0)")
    shown = "\n".join(desk.texts("#tree [role=treeitem]"))
    for text in images.HOSTILE_NAME, "a\\u{202e}b", "<b onclick=alert(3)>":
        assert text in shown, shown
    same(desk.browser.run("document.querySelectorAll('img, b, iframe, object, embed, link').length"), 0)
    same(desk.browser.run("document.querySelectorAll('script').length"), 5)
    same([entry["message"] for entry in desk.browser.logs("browser")], [])
    source = desk.page(images.hostile)[0].read_text(encoding="utf-8")
    for text in "<img", "<b ", "\u202e", "\x1b":
        assert text not in source, text


@case
def no_requests(desk):
    """The page asks for nothing, and its policy would let nothing through."""
    desk.browser.requests()
    desk.open(images.plain)
    same(desk.browser.requests(), [desk.page(images.plain)[0].resolve().as_uri()])
    blocked = desk.browser.run("(() => { const s = document.createElement('script'); s.textContent = 'window.ran = true';"
                               " document.body.append(s); return window.ran === undefined; })()")
    same(blocked, True)
    desk.browser.logs("browser")


@case
def accessible(desk):
    """Parts of the page are landmarks with names, and every control has a name."""
    desk.open(images.broken)
    for selector in "header", "main", "footer", "nav[aria-label]", "[role=search]", "section[aria-labelledby]":
        assert desk.browser.run(f"document.querySelector({json.dumps(selector)}) !== null"), selector
    nameless = desk.browser.run(
        "[...document.querySelectorAll('button, input, select, canvas, [role=tree], [tabindex]')].filter(e =>"
        " !e.textContent.trim() && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') &&"
        " !(e.labels && e.labels.length)).map(e => e.outerHTML)")
    same(nameless, [])
    nodes = desk.browser.devtools("Accessibility.getFullAXTree")["nodes"]
    roles = {node["role"]["value"] for node in nodes if "role" in node and not node["ignored"]}
    assert {"main", "banner", "navigation", "search", "tree", "treeitem", "table", "columnheader", "application"} <= roles, roles


@case
def spoiled_images(desk):
    """Whatever an image is like, its page opens, and its tree, links and keys work without an error."""
    opened = 0
    for image in sorted(images.SPOILED.iterdir())[::4]:
        page = desk.folder / f"spoiled-{opened}.html"
        subprocess.run([desk.program, "check", "-q", "-f", "qcow2", f"--report={page}", image], stderr=subprocess.DEVNULL,
                       check=False)
        if page.exists():
            opened += 1
            desk.browser.open(page)
            desk.browser.wait("document.documentElement.dataset.ready")
            desk.browser.run(USE_EVERYTHING)
            same([entry["message"] for entry in desk.browser.logs("browser")], [])
    assert opened >= 5, opened


USE_EVERYTHING = """(() => {
    const canvas = document.querySelector("#canvas");
    for (let i = 0; i < 12; i++) {
        document.querySelector("#tree [aria-expanded=false]")?.click();
    }
    for (const key of ["End", "n", "p", "Home", "n", "+", "+", "ArrowRight", "ArrowDown", "0"]) {
        canvas.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    }
    for (const button of [...document.querySelectorAll("button.link, #findings-head button, #legend button")].slice(0, 40)) {
        button.click();
    }
    document.querySelector("#search-space").value = "guest";
    document.querySelector("#search-text").value = "64K";
    document.querySelector("#search").requestSubmit();
    return true;
})()"""


# ---- appearance ----

@case
def dark(desk):
    """The page is light or dark as the reader prefers, text being readable in both."""
    grounds = []
    for scheme in "light", "dark":
        desk.browser.prefer(scheme)
        desk.open(images.broken)
        contrast = desk.browser.run(CONTRAST)
        grounds.append(desk.browser.run("getComputedStyle(document.body).backgroundColor"))
        assert all(value >= 4.5 for value in contrast.values()), contrast
    same(grounds, ["rgb(255, 255, 255)", "rgb(21, 24, 27)"])


# Of the elements with each colour of text, as WCAG has it.
CONTRAST = """(() => {
    const light = (text) => {
        const [r, g, b] = text.match(/\\d+/g).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = light(getComputedStyle(document.body).backgroundColor);
    const found = {};
    for (const selector of ["h1", ".verdict", "nav a", "dt", "dd", ".lead", "figcaption", ".finding .severity", ".finding.leak .severity", "footer"]) {
        const text = light(getComputedStyle(document.querySelector(selector)).color);
        found[selector] = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    }
    return found;
})()"""


@case
def narrow(desk):
    """On a small screen nothing is wider than it, but for tables that scroll by themselves."""
    desk.browser.resize(400, 800)
    desk.open(images.broken)
    same(desk.browser.run("document.documentElement.scrollWidth"), 400)
    same(cards(desk), [])


# Cells with text that are not to be seen in full, or have no title above them.
CUT_OFF = """[...document.querySelectorAll("#findings-rows td")].filter((cell) => cell.textContent).filter((cell) => {
    const box = cell.getBoundingClientRect();
    const title = getComputedStyle(cell, "::before").content;

    return box.width === 0 || box.right > innerWidth || cell.scrollWidth > cell.clientWidth + 1 ||
        title !== JSON.stringify(cell.dataset.title);
}).map((cell) => cell.outerHTML)"""


def cards(desk):
    """Each finding is a card with its message over the whole width of it; returns the cells that are cut off."""
    wide = desk.browser.run("[...document.querySelectorAll('#findings-rows tr')].map(r => "
                            "r.querySelector('.message').getBoundingClientRect().width / r.getBoundingClientRect().width)")
    assert all(share > 0.95 for share in wide), wide
    return desk.browser.run(CUT_OFF)


@case
def worst_first(desk):
    """On a broken image the findings come before the picture, each with its meaning; on a sound one the picture does."""
    order = "[...document.querySelectorAll('main > section:not([hidden])')].map(s => s.id)"
    for make, expected in ((images.broken, ["summary", "findings", "picture", "metadata", "kinds"]),
                           (images.lost, ["summary", "findings", "picture", "metadata", "kinds"]),
                           (images.plain, ["summary", "picture", "findings", "snapshots", "metadata"])):
        desk.open(make)
        same(desk.browser.run(order), expected)
    desk.open(images.broken)
    assert "the next write may overwrite it. Do not write to the image." in desk.text(".finding.corruption .meaning")
    same(len(desk.texts(".finding .meaning")), 6)
    facts = desk.text("#file-facts")
    assert "with a disk of 64 MiB · judgement: data-at-risk · checked 20" in facts, facts


@case
def kinds(desk):
    """Each finding leads to the documentation of its kind, which the page has for every kind there is."""
    desk.open(images.broken)
    links = "[...document.querySelectorAll('#findings-rows td:nth-child(2) a')]"
    same(desk.browser.run(f"{links}.map(a => a.getAttribute('href'))"),
         ["#kind-refcount-too-low"] + ["#kind-l2-copied-wrong"] * 3 + ["#kind-leak"] * 2)  # 8 and 9; these, 12, 20; 12, 20
    same(desk.browser.run(f"{links}.filter(a => !document.querySelector(a.getAttribute('href')))"), [])
    desk.browser.click("#findings-rows a[href='#kind-leak']")
    same(desk.browser.run("[location.hash, document.querySelector(':target').textContent]"), ["#kind-leak", "leak"])
    assert "The stored count is higher than the number of users: lost space." in desk.text("#kinds-list"), desk.text("#kinds-list")
    schema = (images.IMG.parent.parent.parent / "qapi" / "findings.json").read_text(encoding="utf-8")
    names = re.findall("'([a-z0-9-]+)'", re.search("FINDING',.*?'data': (\\[.*?\\])", schema, re.DOTALL)[1])
    source = desk.page(images.broken)[0].read_text(encoding="utf-8")
    documented = [name for terms, text in json.loads(re.search("const KINDS = (.*);\n", source)[1]) for name in terms if text]
    same(sorted(documented), sorted(names))


@case
def fragmented(desk):
    """A black seam is where the order of the guest's disk breaks, between squares that follow one another in the file."""
    desk.open(images.fragmented)
    black = desk.browser.run(BLACK_AT.replace("EDGES", json.dumps([edge(desk, cluster) for cluster in range(3, 22)])))
    same([3 + i for i, found in enumerate(black) if found], [6, 10, 18])


def edge(desk, cluster):
    """A point in the last points of the square of the cluster before, which the seam has and a gap has not."""
    (x, y), (u, v) = point_of(desk, cluster - 1), point_of(desk, cluster)
    side = abs(u - x) + abs(v - y)
    inside = (side / 2 - 1.7) / side
    return [round(x + (u - x) * inside), round(y + (v - y) * inside)]


BLACK_AT = """(() => {
    const canvas = document.querySelector("#canvas");
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return EDGES.map(([x, y]) => data[4 * (y * canvas.width + x)] === 0x14 && data[4 * (y * canvas.width + x) + 1] === 0x17);
})()"""


@case
def snapshots(desk):
    """The snapshots, with what deleting each would free, as --space has it; and what the host stores of the file."""
    image = desk.open(images.plain)
    done = subprocess.run([desk.program, "check", "--space", "--output=json", image], capture_output=True, check=False)
    space = json.loads(done.stdout)["space"]
    same(desk.texts("#snapshots-rows th"), [snapshot["name"] for snapshot in space["snapshots"]])
    same(desk.texts("#snapshots-rows td.number"), ["448 KiB"])
    same(desk.texts("#snapshots-rows td.date"), ["2024-02-29 23:59 UTC"])
    same(space["snapshots"][0]["date"], 1709251199)  # date -u -d '2024-02-29 23:59:59' +%s
    same(space["snapshots"][0]["freed"], 448 << 10)  # four clusters of data, the tables of the snapshot, that of snapshots
    if "holes" in space:
        assert " stored) with a disk of" in desk.text("#file-facts"), desk.text("#file-facts")
        assert f"({space['file-size'] - space['holes']:,} bytes)" in desk.text("#facts")
        same([text == "none" for text in desk.texts("#legend td:nth-child(4)")],
             [role["holes"] == 0 for role in space["roles"].values()])
    assert f"{space['runs']} piece" in desk.text("#facts"), desk.text("#facts")


@case
def hostile_dates(desk):
    """A snapshot has the date that the image has, whatever it is; one in the future is called that, and 0 is none."""
    desk.open(images.dates)
    same(desk.texts("#snapshots-rows td.date"), ["not known", "1970-01-01 00:00 UTC", "2106-02-07 06:28 UTC (in the future)"])


@case
def kept_leaks(desk):
    """Leaks that may be the last copy of something have a colour of their own, and the text says so."""
    desk.open(images.lost)
    colour = desk.browser.run("JSON.parse(document.getElementById('report').textContent).palette.kept")
    points = [[round(part) for part in point_of(desk, 5)]]
    drawn = desk.browser.run(COLOURS_AT.replace("POINTS", json.dumps(points)))
    same(drawn, [f"rgb({int(colour[1:3], 16)}, {int(colour[3:5], 16)}, {int(colour[5:7], 16)})"])
    assert "may be the last copy of something: a repair keeps them" in desk.text("#picture-lead")
    desk.open(images.broken)
    assert "last copy" not in desk.text("#picture-lead")


@case
def printed(desk):
    """On paper the page is light, has the whole of its tables, and no controls."""
    desk.open(images.broken)
    desk.browser.devtools("Emulation.setEmulatedMedia", media="print",
                          features=[{"name": "prefers-color-scheme", "value": "dark"}])
    same(desk.browser.run("getComputedStyle(document.querySelector('#search')).display === 'none' ||"
                          " getComputedStyle(document.querySelector('.tools')).display === 'none'"), True)
    same(desk.browser.run("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
    same(desk.browser.run("document.querySelectorAll('#findings-rows tr').length"), 6)
    same(cards(desk), [])
    desk.browser.run("(dispatchEvent(new Event('beforeprint')), 0)")
    same(desk.browser.run("document.querySelector('#tree').scrollHeight - document.querySelector('#tree').clientHeight"), 0)
    desk.browser.run("(dispatchEvent(new Event('afterprint')), 0)")
    desk.browser.devtools("Emulation.setEmulatedMedia", media="")
    desk.browser.pdf(desk.folder / "printed.pdf")
    assert (desk.folder / "printed.pdf").read_bytes().startswith(b"%PDF-")


def run_case(desk, function, keep):
    desk.browser.prefer("light")
    desk.browser.resize(1280, 900)
    desk.browser.logs("browser")
    function(desk)
    errors = [entry["message"] for entry in desk.browser.logs("browser")]
    same(errors, [])
    if keep:
        desk.browser.screenshot(desk.folder / f"{function.__name__}.png", whole=True)


def run_cases(desk, chosen, keep):
    failed = 0
    for number, function in enumerate(chosen, 1):
        try:
            run_case(desk, function, keep)
            result = "ok"
        except Exception:  # whatever it is, the other cases are to run
            failed += 1
            result = "not ok"
            print("# " + traceback.format_exc().strip().replace("\n", "\n# "))
        print(f"{result} {number} - {function.__name__}: {inspect.getdoc(function)}", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("program")
    parser.add_argument("--keep")
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    chosen = [function for function in CASES if not args.cases or function.__name__ in args.cases]

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the browser too
    if not available():
        print("1..0 # SKIP no chromium, or no chromedriver")
        return 0
    folder = Path(args.keep or tempfile.mkdtemp(prefix="report-"))
    folder.mkdir(exist_ok=True)
    print(f"1..{len(chosen)}", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="browser-") as home, Browser(home) as browser:
            return 1 if run_cases(Desk(Path(args.program).resolve(), folder, browser), chosen, args.keep) else 0
    finally:
        if not args.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
