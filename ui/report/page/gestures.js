// SPDX-License-Identifier: GPL-2.0-or-later
// Pointer, wheel and keys on the picture.

const pointers = new Map(); // those that are down, by their number
let dragged = false;

function point(event) {
    const box = canvas.getBoundingClientRect();

    return {x: (event.clientX - box.left) * view.ratio, y: (event.clientY - box.top) * view.ratio};
}

function hover(event) {
    const at = pointedAt(event);

    byId("pointer").hidden = true;
    if (at) {
        showPlace(at.first, at.end);
        frame(byId("pointer"), at.first, at.level);
    }
}

function pinch(before, event) {
    const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)[1];
    const now = point(event);
    const distance = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));

    zoomAt((now.x + other.x) / 2, (now.y + other.y) / 2, distance(now, other) / distance(before, other));
}

canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, point(event));
    dragged = pointers.size > 1;
});

canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId), now = point(event);

    if (!before) {
        hover(event);
        return;
    }
    if (pointers.size > 1) {
        pinch(before, event);
    } else if (dragged || Math.hypot(now.x - before.x, now.y - before.y) > 4 * view.ratio) {
        dragged = true;
        byId("pointer").hidden = true;
        view.x += now.x - before.x;
        view.y += now.y - before.y;
        clampView();
        draw();
    } else {
        return; // not yet a drag: its beginning is kept
    }
    pointers.set(event.pointerId, now);
});

canvas.addEventListener("pointerup", (event) => {
    const at = pointedAt(event);

    if (pointers.delete(event.pointerId) && !dragged && at) {
        moveCursor(at.first);
    }
});

canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));

canvas.addEventListener("pointerleave", () => {
    byId("pointer").hidden = true;
    if (pointers.size === 0) {
        showCursorPlace();
    }
});

/* The page scrolls under a wheel that happens to be over the picture. */
canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || document.activeElement === canvas) {
        const {x, y} = point(event);

        event.preventDefault();
        zoomAt(x, y, Math.exp(-Math.max(-100, Math.min(100, event.deltaY)) / 250));
        hover(event);
    }
}, {passive: false});

function zoomAtCursor(factor) {
    const {x, y} = placeOf(place.cursor);

    zoomAt(view.x + (x + 0.5) * view.scale, view.y + (y + 0.5) * view.scale, factor);
    moveCursor(place.cursor);
}

/* The square beside that of the cursor. */
function step(right, down) {
    const level = pointedLevel(), side = 2 ** level;
    const {x, y} = placeOf(squareOf(place.cursor, level));
    const column = Math.floor(x / side) + right, row = Math.floor(y / side) + down;

    if (column < 0 || row < 0 || column * side >= curve.columns || row * side >= curve.rows) {
        return;
    }
    const cluster = squareOf(clusterAt(column * side, row * side), level);
    if (cluster < roles.clusters) {
        moveCursor(cluster);
    }
}

/* The run before or behind that of the cursor: another role, or another state. */
function stepRun(by) {
    const run = runAt(place.cursor) + by;

    if (run >= 0 && run < roles.n) {
        moveCursor(roles.starts[run]);
    }
}

const KEYS = {
    ArrowLeft: () => step(-1, 0),
    ArrowRight: () => step(1, 0),
    ArrowUp: () => step(0, -1),
    ArrowDown: () => step(0, 1),
    n: () => stepRun(1),
    p: () => stepRun(-1),
    Home: () => moveCursor(0),
    End: () => moveCursor(roles.clusters - 1),
    "+": () => zoomAtCursor(2),
    "=": () => zoomAtCursor(2),
    "-": () => zoomAtCursor(0.5),
    0: () => {
        zoomWhole();
        moveCursor(place.cursor);
    },
};

canvas.addEventListener("keydown", (event) => {
    const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];

    if (action && !event.ctrlKey && !event.altKey && !event.metaKey) {
        event.preventDefault();
        action();
    }
});

byId("zoom-in").addEventListener("click", () => zoomAtCursor(2));
byId("zoom-out").addEventListener("click", () => zoomAtCursor(0.5));
byId("zoom-reset").addEventListener("click", KEYS[0]);
