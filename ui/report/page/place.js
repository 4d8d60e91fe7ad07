// SPDX-License-Identifier: GPL-2.0-or-later
// The place that is looked at: under the pointer, or where the cursor was put by a click, a key, a search or a link.

const place = {cursor: 0, level: 0, shown: null};

/* A square that is at least so large can be pointed at. */
const POINTED = 5;

/* Level of the squares that the pointer and the cursor tell apart. */
function pointedLevel() {
    let level = 0;

    while (level < curve.order && view.scale * 2 ** level < POINTED * view.ratio) {
        level++;
    }
    return level;
}

/* First cluster of the square of @level that has @cluster in it. */
function squareOf(cluster, level) {
    const area = 4 ** level;

    return Math.floor(cluster / area) * area;
}

function fact(list, name, ...values) {
    list.append(element("dt", "", name));
    for (const value of values) {
        list.append(value instanceof Element ? value : element("dd", "", value));
    }
}

function roleValue(role, text) {
    const value = element("dd");
    const swatch = element("span", "swatch");

    swatch.style.background = report.roles[role].colour;
    value.append(swatch, element("span", "", text));
    return value;
}

function roleLines(all, n) {
    return [...all.counts.keys()].filter((role) => all.counts[role] > 0)
        .sort((a, b) => all.counts[b] - all.counts[a])
        .map((role) => [role, n === 1 ? roleTitle(role) : `${roleTitle(role)}: ${grouped(all.counts[role])}`]);
}

function ownerLines(first, end, used) {
    const users = used ? usersOf(first, end, 5) : [];
    const lines = users.slice(0, 4).map((user) => user.guest ? `${user.owner}, guest ${user.guest}` : user.owner);

    return users.length > 4 ? [...lines, "and others"] : lines;
}

/* What is at the clusters [first, end), in words. */
function describe(first, end) {
    const n = end - first, all = census(first, end);
    const title = n === 1 ? `Cluster ${grouped(first)}` : `Clusters ${grouped(first)} – ${grouped(end - 1)}`;
    const owners = ownerLines(first, end, all.used);

    return {
        first, end, title,
        offset: range(offsetOf(first), offsetOf(n)),
        length: n === 1 ? size(clusterSize) : `${counted(n, "cluster", "clusters")}, ${size(offsetOf(n))}`,
        roles: roleLines(all, n),
        owners: owners.length ? owners : [all.used ? "not recorded in this report" : "nobody"],
        corrupt: all.corrupt, leak: all.leak,
        findings: findingsAt(first, end),
    };
}

function showPlace(first, end) {
    const list = byId("place-facts"), links = byId("place-findings");
    const it = describe(first, end);

    place.shown = it;
    byId("place-title").textContent = it.title;
    list.replaceChildren();
    fact(list, "Role", ...it.roles.slice(0, 5).map(([role, text]) => roleValue(role, text)));
    fact(list, "In the file", element("dd", "mono", it.offset), it.length);
    fact(list, "Used by", ...it.owners);
    links.replaceChildren(...it.findings.slice(0, 5).map(findingLink));
    if (it.findings.length > 5) {
        links.append(element("li", "", `and ${grouped(it.findings.length - 5)} more`));
    }
    links.hidden = it.findings.length === 0;
    byId("place").classList.toggle("bad", it.corrupt);
}

/* The frame around the square that is shown; @box is one of the two. */
function frame(box, first, level) {
    const {x, y} = placeOf(first);
    const side = 2 ** level, scale = view.scale / view.ratio;
    const left = view.x / view.ratio + Math.floor(x / side) * side * scale;
    const top = view.y / view.ratio + Math.floor(y / side) * side * scale;
    const length = side * scale;

    box.hidden = left + length <= 0 || top + length <= 0 || left >= canvas.clientWidth || top >= canvas.clientHeight;
    box.style.transform = `translate(${left}px, ${top}px)`;
    box.style.width = box.style.height = `${length}px`;
}

function showCursor() {
    if (roles.clusters) {
        frame(byId("cursor"), squareOf(place.cursor, pointedLevel()), pointedLevel());
    }
}

function showCursorPlace() {
    const first = squareOf(place.cursor, pointedLevel());

    showPlace(first, Math.min(first + 4 ** pointedLevel(), roles.clusters));
    showCursor();
}

function speakPlace() {
    const it = place.shown;

    byId("place-spoken").textContent = `${it.title}. ${it.roles.map(([, text]) => text).join(", ")}. ` +
        `Offset ${it.offset}. ${it.owners.join("; ")}. ${it.corrupt ? "Corrupt. " : ""}` +
        (it.findings.length ? `${counted(it.findings.length, "finding", "findings")}.` : "");
}

/* Moves the cursor to @cluster and shows it; the picture follows where the cluster is out of view. */
function moveCursor(cluster) {
    place.cursor = Math.min(Math.max(0, cluster), roles.clusters - 1);
    const {x, y} = placeOf(place.cursor);
    const left = view.x + x * view.scale, top = view.y + y * view.scale;

    if (left < 0 || top < 0 || left + view.scale > canvas.width || top + view.scale > canvas.height) {
        view.x = canvas.width / 2 - (x + 0.5) * view.scale;
        view.y = canvas.height / 2 - (y + 0.5) * view.scale;
        clampView();
        draw();
    }
    showCursorPlace();
    speakPlace();
}

/* Goes to the cluster at @offset from elsewhere in the page: a search, a finding, the tree. */
function goTo(offset) {
    const cluster = clusterOf(offset);

    if (cluster >= roles.clusters) {
        return false;
    }
    zoomTo(cluster);
    moveCursor(cluster);
    return true;
}

function goToAndFocus(offset) {
    if (goTo(offset)) {
        byId("canvas-box").scrollIntoView({block: "center"});
        canvas.focus({preventScroll: true});
    }
}

/* The square that the pointer is on; null where the file has no cluster. */
function pointedAt(event) {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) * view.ratio - view.x) / view.scale;
    const y = ((event.clientY - box.top) * view.ratio - view.y) / view.scale;
    const level = pointedLevel();

    if (x < 0 || y < 0 || x >= curve.columns || y >= curve.rows) {
        return null;
    }
    const first = squareOf(clusterAt(Math.floor(x), Math.floor(y)), level);
    return first < roles.clusters ? {first, end: Math.min(first + 4 ** level, roles.clusters), level} : null;
}
