// SPDX-License-Identifier: GPL-2.0-or-later
// Fills the page.

const check = report.check;

// What the guest has lost by it, and what may be left of that among the leaks; "" where nothing is known to be lost.
function lossText() {
    const lost = Number(check["guest-bytes-lost"]), kept = Number(check["bytes-kept-as-lost"]);
    const what = lost > 0 ? `${size(lost)} of the guest's disk cannot be what was written` : check.judgement === "data-lost" ? "tables of the guest's disk or of a snapshot have lost their place" : "";
    const where = kept > 0 ? `${size(kept)} of what leaks may be the last copy of data: a repair keeps it, and -r all --restore puts back what is proved` : "";

    return [what, where].filter(Boolean).join("; ");
}

function verdict() {
    const loss = lossText();

    if (Number(check["check-errors"]) > 0) {
        return ["error", `Not all of the image could be checked: ${counted(check["check-errors"], "error", "errors")}` +
            (Number(check.corruptions) ? `, ${counted(check.corruptions, "corruption", "corruptions")} so far` : "")];
    }
    if (Number(check.corruptions) > 0) {
        return ["corruption", `${counted(check.corruptions, "corruption", "corruptions")}: ${loss || "data may be wrong, or may be overwritten by whoever writes to the image"}`];
    }
    if (Number(check.leaks) > 0) {
        return [loss ? "corruption" : "leak", `${counted(check.leaks, "leaked cluster", "leaked clusters")}: ${loss || "they waste space and do no harm"}`];
    }
    if (loss || check.judgement === "data-at-risk") {
        return ["corruption", `The counts are right, but ${loss || "clusters are used for two things: a write to one changes the other"}`];
    }
    return ["clean", "No errors were found on the image"];
}

/* What the host stores of the file, its holes left out; null where that is not known. */
const stored = check.space?.holes === undefined ? null : BigInt(check.space["file-size"]) - BigInt(check.space.holes);

function showHead() {
    const [kind, text] = verdict();
    const name = visible(check.filename);

    document.title = `${name} – check`;
    byId("file-name").textContent = name;
    byId("verdict").textContent = text;
    byId("verdict").classList.add(kind);
    byId("file-facts").textContent = [
        `${size(report.image["file-size"])} file${stored === null ? "" : ` (${size(stored)} stored)`} with a disk of ${size(report.image["virtual-size"])}`,
        check.judgement && `judgement: ${check.judgement}`,
        `checked ${timeText(report.created)}`,
    ].filter(Boolean).join(" · ");
    byId("made").textContent = `Made by ${report.program} on ${timeText(report.created)}.`;
}

function showCount(title, value, detail, className) {
    const group = element("div", className);

    group.append(element("dt", "", title), element("dd", "value", value));
    if (detail) {
        group.append(element("dd", "detail", detail));
    }
    byId("counts").append(group);
}

function fixedText(n) {
    return Number(n) > 0 ? `${grouped(n)} repaired` : "";
}

function showCounts() {
    const whole = Number(check["total-clusters"]), allocated = Number(check["allocated-clusters"]);
    const bad = (n, kind) => Number(n) > 0 ? kind : "";

    showCount("Corruptions", grouped(check.corruptions), fixedText(check["corruptions-fixed"]), bad(check.corruptions, "corruption"));
    showCount("Leaks", grouped(check.leaks), fixedText(check["leaks-fixed"]), bad(check.leaks, "leak"));
    showCount("Errors of the check", grouped(check["check-errors"]), "", bad(check["check-errors"], "error"));
    showCount("Allocated", share(allocated, whole), `${grouped(allocated)} of ${grouped(whole)} guest clusters`);
    showCount("Fragmented", share(Number(check["fragmented-clusters"]), allocated), counted(check["fragmented-clusters"], "cluster", "clusters"));
    showCount("Compressed", share(Number(check["compressed-clusters"]), allocated), counted(check["compressed-clusters"], "cluster", "clusters"));
}

function showFacts() {
    const image = report.image, list = byId("facts");
    const add = (name, value) => {
        const group = element("div");

        group.append(element("dt", "", name), element("dd", "", value));
        list.append(group);
    };

    add("Format", `qcow2, version ${image.version}`);
    add("Guest’s disk", `${size(image["virtual-size"])} (${grouped(image["virtual-size"])} bytes)`);
    add("File", `${size(image["file-size"])} (${grouped(image["file-size"])} bytes)`);
    add("End of the last cluster in use", hex(check["image-end-offset"]));
    if (stored !== null) {
        add("Stored by the host, but for holes", `${size(stored)} (${grouped(stored)} bytes)`);
    }
    if (Number(check.space?.["beyond-end"])) {
        add("Free behind the last cluster in use", size(check.space["beyond-end"]));
    }
    if (Number(check.space?.runs)) {
        add("The disk is stored in", `${counted(check.space.runs, "piece", "pieces")}, of ${size(check.space["run-size"])} on average`);
    }
    add("Cluster size", size(clusterSize));
    add("Reference counts", counted(image["refcount-bits"], "bit", "bits"));
    add("Features", image.features.length ? image.features.join(", ") : "none");
    byId("notes").hidden = report.notes.length === 0;
    byId("notes").append(...report.notes.map((note) => element("li", "", visible(note))));
}

/* The legend is a table of all roles with their numbers, which is the picture in words too. */
function showLegend() {
    const {counts, used} = census(0, roles.clusters);

    byId("picture-lead").textContent = `${counted(roles.clusters, "cluster", "clusters")} of ${size(clusterSize)}, ` +
        `${share(used, roles.clusters)} in use, in the order of the file along a curve that begins at the top left: what is near in the file is near in the picture.` +
        (report["role-step"] > 1 ? ` So many pieces are in the file that ${grouped(report["role-step"])} clusters each are taken together here.` : "") +
        (report["mapping-step"] === 1 ? " Black seams between squares, once they are large enough, are where the order of the guest’s disk breaks." : "") +
        (Number(check["bytes-kept-as-lost"]) > 0 ? " Leaked clusters in violet may be the last copy of something: a repair keeps them." : "");
    byId("legend-holes").hidden = stored === null;
    canvas.setAttribute("aria-label", `The clusters of the file, ${share(used, roles.clusters)} in use`);
    report.roles.forEach((role, number) => {
        if (counts[number] === 0) {
            return;
        }
        const row = element("tr"), head = element("th"), button = element("button", "plain");
        const swatch = element("span", "swatch");

        swatch.style.background = report.roles[number].colour;
        head.scope = "row";
        button.type = "button";
        button.setAttribute("aria-pressed", "false");
        button.append(swatch, element("span", "", roleTitle(number)));
        button.addEventListener("click", () => pickRole(number));
        button.dataset.role = number;
        head.append(button);
        row.append(head, element("td", "number", grouped(counts[number])), element("td", "number", size(counts[number] * clusterSize)));
        if (stored !== null) {
            const holes = Number(check.space.roles[role.role]?.holes ?? 0);

            row.append(element("td", "number", holes ? size(holes) : "none"));
        }
        byId("legend").append(row);
    });
}

/* The clock of a host may have been wrong, and the number may be anything: 0 is that of an image without clocks. */
function takenText(seconds) {
    return Number(seconds) === 0 ? "not known" : timeText(seconds) + (Number(seconds) > report.created + 86400 ? " (in the future)" : "");
}

function showSnapshots() {
    const snapshots = check.space?.snapshots ?? [];

    byId("snapshots").hidden = snapshots.length === 0;
    byId("snapshots-rows").append(...snapshots.slice(0, 1000).map((snapshot) => {
        const row = element("tr"), name = element("th", "", visible(snapshot.name));

        name.scope = "row";
        row.append(name, element("td", "", visible(snapshot.id)), element("td", "date", takenText(snapshot.date)), element("td", "number", size(snapshot.freed)));
        return row;
    }));
}

/* The documentation of the kinds that are there; the findings have links to it. */
function showKinds() {
    const there = new Set(findings.map((finding) => finding.kind));
    const shown = KINDS.filter(([names]) => names.some((name) => there.has(name)));

    byId("kinds").hidden = shown.length === 0;
    for (const [names, text] of shown) {
        const title = element("dt");

        title.append(...names.flatMap((name, i) => {
            const part = element("span", "", words(name));

            part.id = kindId(name);
            return i ? [", ", part] : [part];
        }));
        byId("kinds-list").append(title, element("dd", "", text));
    }
}

function pickRole(number) {
    view.picked = view.picked === number ? null : number;
    for (const button of byId("legend").querySelectorAll("button")) {
        button.setAttribute("aria-pressed", Number(button.dataset.role) === view.picked);
    }
    draw();
}

/* On a broken image what is wrong, and what to do, comes before the picture of it. */
function putFindingsFirst() {
    if (findings.some(({severity}) => severity !== "note") || !["sound", "bookkeeping", undefined].includes(check.judgement)) {
        byId("picture").before(byId("findings"));
        const links = document.querySelector("nav");

        links.querySelector("[href='#picture']").before(links.querySelector("[href='#findings']"), " ");
    }
}

function start() {
    showHead();
    putFindingsFirst();
    showCounts();
    showFacts();
    showLegend();
    showSnapshots();
    startFindings();
    showKinds();
    startSearch();
    startTree();
    if (roles.clusters === 0) {
        byId("picture").hidden = true;
        return;
    }
    new ResizeObserver(resizeCanvas).observe(byId("canvas-box"));
    byId("canvas-box").style.aspectRatio = `${curve.columns} / ${curve.rows}`;
    resizeCanvas();
    zoomWhole();
    showCursorPlace();
    addEventListener("beforeprint", drawNow);
    addEventListener("afterprint", draw);
    document.documentElement.dataset.ready = "yes";
}

start();
