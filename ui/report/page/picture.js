// SPDX-License-Identifier: GPL-2.0-or-later
// Draws the clusters of the file. The quarters of the curve are gone down into until one is as small as a point of the
// screen, or all of one role; that meets the clusters in the order of the file, so the runs are gone through once.

const MAX_SQUARE = 64;  // size of a cluster at the greatest zoom, CSS pixels
const GAP_FROM = 7;     // CSS pixels from which squares have gaps between them
const STRIPES_FROM = 16;
const MARKS_MAX = 20000;

const canvas = byId("canvas");
const context = canvas.getContext("2d");

/* Of the view: points for the side of a cluster, and where the curve begins. Points are those of the canvas. */
const view = {scale: 1, x: 0, y: 0, ratio: 1, picked: null};

function rgb(colour) {
    const value = parseInt(colour.slice(1), 16);

    return [value >> 16, value >> 8 & 255, value & 255];
}

function packedColour([r, g, b]) {
    return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
}

function mixed(a, b, part) {
    return a.map((value, i) => Math.round(value + (b[i] - value) * part));
}

/* For each role 17 colours: with none, one sixteenth, ... all of the clusters of a point in use. */
function makePalette() {
    const free = rgb(report.roles[0].colour);

    return report.roles.map((role, number) => {
        const full = view.picked === null || view.picked === number ? rgb(role.colour) : mixed(rgb(role.colour), free, 0.82);

        return Array.from({length: 17}, (_, i) => packedColour(i === 0 ? free : mixed(free, full, (80 + 175 * i / 16) / 255)));
    });
}

function fitScale() {
    return canvas.width / curve.columns;
}

function maxScale() {
    return Math.max(fitScale(), MAX_SQUARE * view.ratio);
}

/* Keeps the file in the canvas. */
function clampView() {
    const fit = fitScale();

    view.scale = Math.min(Math.max(view.scale, fit), maxScale());
    view.x = Math.min(0, Math.max(view.x, canvas.width - curve.columns * view.scale));
    view.y = Math.min(0, Math.max(view.y, canvas.height - curve.rows * view.scale));
}

/* Level of the squares that are drawn as one: 0 where each cluster has its own. */
function drawnLevel() {
    let level = 0;

    while (level < curve.order && view.scale * 2 ** level < 2) {
        level++;
    }
    return level;
}

/* What the clusters [first, end) are: how many of each role, and what is wrong with them. */
function census(first, end, from = runAt(first)) {
    const counts = new Float64Array(report.roles.length);
    let used = 0, corrupt = false, leak = false, kept = false, run = from;

    for (; run < roles.n && roles.starts[run] < end; run++) {
        const kind = roles.kinds[run], role = kind & ROLE_MASK;
        const n = Math.min(end, roles.starts[run + 1]) - Math.max(first, roles.starts[run]);

        counts[role] += n;
        used += role === 0 ? 0 : n;
        corrupt = corrupt || (kind & CORRUPT) !== 0;
        leak = leak || (kind & HAS_LEAK) !== 0;
        kept = kept || (kind & KEPT) !== 0;
    }
    return {counts, used, corrupt, leak, kept, next: Math.max(run - 1, 0)};
}

/* The role that most of the clusters in use have. */
function mainRole(counts) {
    let main = 0;

    for (let role = 1; role < counts.length; role++) {
        if (counts[role] > (main === 0 ? 0 : counts[main])) {
            main = role;
        }
    }
    return main;
}

class Drawing {
    constructor() {
        this.image = context.createImageData(canvas.width, canvas.height);
        this.points = new Uint32Array(this.image.data.buffer);
        this.points.fill(packedColour(rgb(report.palette.paper)));
        this.palette = makePalette();
        this.gap = view.scale >= GAP_FROM * view.ratio ? Math.max(1, Math.round(view.ratio)) : 0;
        this.stripes = view.scale >= STRIPES_FROM * view.ratio ? packedColour(rgb(report.palette.paper)) : 0;
        this.level = drawnLevel();
        this.run = 0;
        this.marks = [];
    }

    column(x) {
        return Math.min(canvas.width, Math.max(0, Math.round(view.x + x * view.scale)));
    }

    row(y) {
        return Math.min(canvas.height, Math.max(0, Math.round(view.y + y * view.scale)));
    }

    /* Points from @left and @top on, those of @right and @bottom not among them. */
    fillPoints(left, top, right, bottom, colour) {
        for (let row = top; row < bottom && right > left; row++) {
            this.points.fill(colour, row * canvas.width + left, row * canvas.width + right);
        }
    }

    fill(x, y, side, colour, stripe) {
        const left = this.column(x), right = this.column(x + side) - this.gap;
        const top = this.row(y), bottom = this.row(y + side) - this.gap;
        const thick = Math.round(2 * view.ratio);

        this.fillPoints(left, top, right, bottom, colour);
        for (let row = top; stripe && row < bottom; row++) {
            for (let column = left; column < right; column++) {
                if ((column + row) % (4 * thick) < thick) {
                    this.points[row * canvas.width + column] = stripe;
                }
            }
        }
    }

    /*
     * No gap where the curve goes on within a run: following a colour is following the file. But a black line where the
     * order of the guest's disk breaks.
     */
    bridge(x, y, next, colour) {
        const {x: nextX, y: nextY} = placeOf(next);

        if (seams().has(next)) {
            this.seam(x, y, nextX, nextY);
            return;
        }

        if (nextX !== x) {
            const column = this.column(Math.max(x, nextX));
            this.fillPoints(Math.max(0, column - this.gap), this.row(y), column, this.row(y + 1) - this.gap, colour);
        } else {
            const row = this.row(Math.max(y, nextY));
            this.fillPoints(this.column(x), Math.max(0, row - this.gap), this.column(x + 1) - this.gap, row, colour);
        }
    }

    /* A line in the last points of the square at @x and @y, beside the gap; the next square is drawn later. */
    seam(x, y, nextX, nextY) {
        const left = this.column(x), right = this.column(x + 1) - this.gap;
        const top = this.row(y), bottom = this.row(y + 1) - this.gap;
        const black = packedColour(rgb(report.palette.paper)), wide = 2 * this.gap;

        if (nextX !== x) {
            this.fillPoints(nextX > x ? right - wide : left, top, nextX > x ? right : left + wide, bottom, black);
        } else {
            this.fillPoints(left, nextY > y ? bottom - wide : top, right, nextY > y ? bottom : top + wide, black);
        }
    }

    seek(cluster) {
        if (roles.starts[this.run] > cluster || roles.starts[this.run + 1] <= cluster) {
            this.run = this.run + 1 < roles.n && roles.starts[this.run + 1] === cluster ? this.run + 1 : runAt(cluster);
        }
    }

    leaf(x, y, side, first, end) {
        this.seek(first);
        let kind = roles.kinds[this.run];
        let fill = 16;

        if (roles.starts[this.run + 1] < end) {
            const all = census(first, end, this.run);

            this.run = all.next;
            kind = mainRole(all.counts) | (all.corrupt ? CORRUPT : 0) | (all.leak ? HAS_LEAK : 0) | (all.kept ? KEPT : 0);
            fill = Math.ceil(16 * all.used / (end - first));
        }
        const role = kind & ROLE_MASK;
        const lost = kind & KEPT && report.roles[role].colour === report.palette.leak;
        const colour = lost ? packedColour(rgb(report.palette.kept)) : this.palette[role][fill];

        this.fill(x, y, side, colour, report.roles[role].striped ? this.stripes : 0);
        if (this.gap && end < roles.clusters && (roles.starts[this.run + 1] > end || seams().has(end))) {
            this.bridge(x, y, end, colour);
        }
        if (kind & (CORRUPT | HAS_LEAK) && this.marks.length < MARKS_MAX) {
            this.marks.push([x, y, side, (kind & CORRUPT) !== 0, role, (kind & KEPT) !== 0]);
        }
    }

    /* The square of 2^level clusters at x, y, of which @first is the first in the curve. */
    square(level, x, y, state, first) {
        const side = 2 ** level;
        const end = Math.min(first + 4 ** level, roles.clusters);
        const left = view.x + x * view.scale, top = view.y + y * view.scale, length = side * view.scale;

        if (first >= roles.clusters || left >= canvas.width || top >= canvas.height || left + length <= 0 || top + length <= 0) {
            return;
        }
        if (level <= this.level) {
            this.leaf(x, y, side, first, end);
            return;
        }
        if (!this.gap && end === first + 4 ** level) {
            this.seek(first);
            if (roles.starts[this.run + 1] >= end && !(roles.kinds[this.run] & CORRUPT)) {
                this.leaf(x, y, side, first, end);
                return;
            }
        }
        for (let quarter = 0; quarter < 4; quarter++) {
            this.square(level - 1, x + quarterX(state, quarter) * side / 2, y + quarterY(state, quarter) * side / 2,
                        state ^ QUARTER_STATE[quarter], first + quarter * 4 ** (level - 1));
        }
    }

    /* What is wrong is to be seen also where it is one cluster of a million: the least is larger than a point. */
    drawMarks() {
        const least = 6 * view.ratio, {palette} = report;

        this.marks.sort((a, b) => a[3] - b[3]); // corruptions on top
        for (const [x, y, side, corrupt, role, kept] of this.marks) {
            const leak = kept ? palette.kept : palette.leak;
            const length = side * view.scale, drawn = Math.max(length - this.gap, least);
            const left = view.x + x * view.scale - Math.max(0, (least - length) / 2);
            const top = view.y + y * view.scale - Math.max(0, (least - length) / 2);
            const line = Math.max(view.ratio, Math.min(3 * view.ratio, drawn / 6));

            if (drawn < 3 * least) {
                context.fillStyle = corrupt ? palette.outline : palette.paper;
                context.fillRect(left, top, drawn, drawn);
                context.fillStyle = corrupt ? palette.damage : leak;
                context.fillRect(left + line, top + line, drawn - 2 * line, drawn - 2 * line);
            } else if (corrupt || report.roles[role].colour !== leak) {
                context.lineWidth = 2 * line;
                context.strokeStyle = corrupt ? palette.damage : leak;
                context.strokeRect(left + line, top + line, drawn - 2 * line, drawn - 2 * line);
                context.lineWidth = line / 2;
                context.strokeStyle = corrupt ? palette.outline : palette.paper;
                context.strokeRect(left + line / 4, top + line / 4, drawn - line / 2, drawn - line / 2);
            }
        }
    }
}

let drawingAsked = false;

function drawNow() {
    drawingAsked = false;
    const drawing = new Drawing();

    drawing.square(curve.order, 0, 0, 0, 0);
    context.putImageData(drawing.image, 0, 0);
    drawing.drawMarks();
    canvas.style.touchAction = view.scale > fitScale() ? "none" : "pan-y"; // a finger scrolls the page past the whole file
    byId("zoom-level").textContent = `${Math.round(10 * view.scale / fitScale()) / 10}×`;
    showCursor();
}

function draw() {
    if (!drawingAsked) {
        drawingAsked = true;
        requestAnimationFrame(drawNow);
    }
}

/* Makes the canvas as large as its box; the view stays where it is. */
function resizeCanvas() {
    const box = byId("canvas-box").getBoundingClientRect();
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const width = Math.max(1, Math.round(box.width * ratio));
    const before = canvas.width;

    if (box.width === 0 || (width === before && view.ratio === ratio && canvas.height === Math.round(width * curve.rows / curve.columns))) {
        return;
    }
    view.ratio = ratio;
    canvas.width = width;
    canvas.height = Math.round(width * curve.rows / curve.columns);
    for (const key of ["scale", "x", "y"]) {
        view[key] *= width / before;
    }
    clampView();
    draw();
}

/* Zooms by @factor, and leaves the point (@x, @y) of the canvas where it is. */
function zoomAt(x, y, factor) {
    const before = view.scale;

    view.scale *= factor;
    view.scale = Math.min(Math.max(view.scale, fitScale()), maxScale());
    view.x = x - (x - view.x) * view.scale / before;
    view.y = y - (y - view.y) * view.scale / before;
    clampView();
    draw();
}

function zoomWhole() {
    view.scale = fitScale();
    clampView();
    draw();
}

/* Brings a cluster into view, so large that it can be told from its neighbours. */
function zoomTo(cluster) {
    const {x, y} = placeOf(cluster);

    view.scale = Math.min(maxScale(), Math.max(view.scale, 12 * view.ratio));
    view.x = canvas.width / 2 - (x + 0.5) * view.scale;
    view.y = canvas.height / 2 - (y + 0.5) * view.scale;
    clampView();
    draw();
}
