// SPDX-License-Identifier: GPL-2.0-or-later
// The table of findings, and the way from a finding to the picture and back.

const ROWS_AT_ONCE = 200;
const SEVERITIES = ["corruption", "error", "leak", "note"]; // the worst first

/* [first cluster, cluster behind the last] that a finding concerns; null where it has no place in the file. */
function clustersOfFinding(finding) {
    const where = finding.cluster;

    if (where) {
        const first = clusterOf(where.offset);
        return [first, Math.max(first + 1, clusterOf(BigInt(where.offset) + BigInt(where.size) + BigInt(clusterSize) - 1n))];
    }
    if (finding["entry-offset"] !== undefined) {
        const first = clusterOf(finding["entry-offset"]);
        return [first, first + 1];
    }
    return null;
}

const findingPlaces = later(() => {
    const all = findings.map((finding, i) => [clustersOfFinding(finding), i]).filter(([where]) => where)
        .sort(([a], [b]) => a[0] - b[0]);

    return {
        ranges: new Ranges(Float64Array.from(all, ([where]) => where[0]), Float64Array.from(all, ([where]) => where[1])),
        numbers: all.map(([, i]) => i),
    };
});

/* Numbers of the findings that concern the clusters [first, end). */
function findingsAt(first, end) {
    return findingPlaces().ranges.touching(first, end, 1000).map((i) => findingPlaces().numbers[i]);
}

function whereOf(finding) {
    const where = finding.cluster;

    return where ? range(where.offset, where.size) : "";
}

function usersText(finding) {
    return (finding["other-users"] || []).map((user) => {
        const guest = user.guest ? `, guest ${range(user.guest.offset, user.guest.size)}` : "";
        const snapshot = user.snapshot === undefined ? "" : `, snapshot “${visible(user.snapshot)}”`;
        const entry = user["entry-offset"] === undefined ? "" : `, entry at ${hex(user["entry-offset"])}`;

        return `${words(user.structure)}${guest}${snapshot}${entry}`;
    }).join("; ");
}

const bySeverity = (finding) => SEVERITIES.indexOf(finding.severity);
const byOffset = (where) => where === undefined ? -1n : BigInt(where);

const words = (name) => name.replace(/-/g, " ");

const KEEP = "Do not free leaked clusters by other means. Try check -r all --restore --undo-file=FILE with --dry-run first.";
const REPAIR = "check -r all --undo-file=FILE repairs it; --dry-run shows the changes first.";
const BACKUP = "The next backup has to be a full one.";

/* What a kind of finding means for the guest, and what to do. Kinds that are not here have those of their severity. */
const MEANINGS = {
    "leak": ["The file is larger than it need be, unless these clusters are the last copy of something: see the judgement.", "check -r leaks frees what is waste, and keeps what may be a last copy."],
    "refcount-too-low": ["The cluster counts as less used than it is: the next write may overwrite it.", "Do not write to the image. " + REPAIR],
    "region-beyond-end": ["The file was cut, or the entry is damaged: the guest reads zeros there.", "Look for a whole copy of the file. A repair cannot bring the data back."],
    "l2-table-unaligned": ["A range of the guest’s disk has lost its table; reading it fails.", "Keep the file as it is, and restore the range from a backup. " + KEEP],
    "data-unaligned": ["Reading this range of the guest’s disk fails.", "Restore the range from a backup; " + REPAIR],
    "guest-read-fails": ["Reading this range of the guest’s disk fails.", "Restore the range from a backup."],
    "compressed-cut-off": ["The file was cut: reading this range of the guest’s disk fails.", "Look for a whole copy of the file."],
    "data-cut-off": ["The file was cut, unless a program left out zeros at its end.", "Look for a whole copy of the file."],
    "table-cut-off": ["The file was cut within a table: what it mapped behind that reads as zeros.", "Look for a whole copy of the file. " + KEEP],
    "leaked-l2": ["A range of the guest’s disk has lost its table, and this looks like it.", KEEP],
    "leaked-l1": ["The disk, or a snapshot, has lost its table, and this looks like it.", KEEP],
    "l2-reference-lost": ["A range of a disk has lost its table, and this looks like it.", KEEP],
    "emptied-l2": ["A part of a table was overwritten with zeros; leaked clusters may be what it mapped.", KEEP],
    "leaked-snapshot-table": ["Snapshots are lost, and this looks like their table.", KEEP],
    "data-shared": ["A write to one of the two ranges changes, or has changed, the other.", "Compare both ranges with a backup. No repair knows whose data it is."],
    "metadata-shared": ["A write to one of the users destroys the other.", "Do not write to the image. Convert it into a new one."],
    "bitmap-in-use": ["The bitmap lacks writes, unless a program has it open now.", BACKUP],
    "bitmap-data-shared": ["The bitmap has bits of something else.", BACKUP],
    "encryption-header-damaged": ["No program can decrypt the guest’s disk.", "Restore the encryption header from a backup of it, and keep the leaked clusters until then."],
    "dirty": ["The image was not closed: counts may be wrong until a program that writes to it has set them right.", "If no program uses it now, " + REPAIR],
    "corrupt-bit": ["A program found damage: others refuse to write to the image.", REPAIR],
    "l2-copied-wrong": ["Where the flag is missing it does no harm; where it should not be, a write changes other users of the cluster.", REPAIR],
    "l1-copied-wrong": ["Where the flag is missing it does no harm; where it should not be, a write changes other users of the table.", REPAIR],
};
const MEANINGS_BY_SEVERITY = {
    corruption: ["Data may be wrong, or the next write may overwrite some.", REPAIR],
    leak: ["Clusters count as used that nothing uses.", "check -r leaks frees what is waste."],
    error: ["A part of the image could not be examined.", "Copy the file to sound storage, and check the copy."],
    note: ["It is no fault by itself.", "Nothing has to be done at once."],
};

function meaningOf(finding) {
    return MEANINGS[finding.kind] ?? MEANINGS_BY_SEVERITY[finding.severity];
}

const kindId = (kind) => `kind-${kind}`;
const documented = new Set(KINDS.flatMap(([names]) => names));

/* The kind, with the way to its documentation at the end of the page. */
function kindCell(finding, text) {
    const cell = element("td"), link = element("a", "", text);

    link.href = `#${kindId(finding.kind)}`;
    link.title = "What this kind is";
    cell.append(documented.has(finding.kind) ? link : text);
    return cell;
}

/* Title, what it shows, what it is sorted by. Columns that would be empty are left out. */
const COLUMNS = [
    {title: "Severity", text: (f) => f.severity, key: bySeverity, className: "severity"},
    {title: "What", text: (f) => words(f.kind), key: (f) => f.kind},
    {title: "Structure", text: (f) => f.structure === "none" ? "" : words(f.structure), key: (f) => f.structure},
    {title: "Entry at", text: (f) => f["entry-offset"] === undefined ? "" : hex(f["entry-offset"]), key: (f) => byOffset(f["entry-offset"]), className: "mono"},
    {title: "Clusters", text: whereOf, key: (f) => byOffset(f.cluster && f.cluster.offset), className: "mono"},
    {title: "Guest", text: (f) => f.guest ? range(f.guest.offset, f.guest.size) : "", key: (f) => byOffset(f.guest && f.guest.offset), className: "mono"},
    {title: "Snapshot", text: (f) => f.snapshot === undefined ? "" : visible(f.snapshot), key: (f) => f.snapshot ?? ""},
    {title: "Count", text: (f) => grouped(f.count), key: (f) => BigInt(f.count), className: "number"},
    {title: "Message", text: (f) => visible(f.message), key: (f) => f.message, className: "message"},
].filter((column) => findings.some((finding) => column.text(finding)));

const shownFindings = {order: findings.map((_, i) => i), rows: 0, column: null, down: false};

/* The rows on the page, by the number of the finding. */
const findingRows = new Map();

/* The way from a finding to the picture. */
function makeShowButton(text, where) {
    const button = element("button", "plain link", text);

    button.type = "button";
    button.title = "Show in the picture";
    button.setAttribute("aria-label", `Show ${text} in the picture`);
    button.addEventListener("click", () => goToAndFocus(offsetOf(where[0])));
    return button;
}

function makeFindingRow(number) {
    const finding = findings[number], row = element("tr", `finding ${finding.severity}`);
    const where = clustersOfFinding(finding);
    const linked = finding.cluster ? "Clusters" : "Entry at";

    row.id = `finding-${number}`;
    row.tabIndex = -1;
    for (const column of COLUMNS) {
        const text = column.text(finding);

        if (column.title !== "Message" && !text) {
            row.append(element("td", `${column.className ?? ""} empty`.trim()));
        } else if (column.title === linked && where && where[0] < roles.clusters) {
            const cell = element("td", column.className);

            cell.append(makeShowButton(text, where));
            row.append(cell);
        } else if (column.title === "What") {
            row.append(kindCell(finding, text));
        } else {
            row.append(element("td", column.className, text));
        }
    }
    [...row.children].forEach((cell, i) => {
        cell.dataset.title = COLUMNS[i].title; // where there is no head above it: on a phone, on paper
    });
    const message = row.lastElementChild;
    if (finding.fixed) {
        message.append(element("span", "tag", "fixed"));
    }
    if (finding["other-users"]) {
        message.append(element("small", "", `Also used by: ${usersText(finding)}`));
    }
    const [meaning, advice] = meaningOf(finding);
    message.append(element("small", "meaning", `${meaning} ${advice}`));
    if (where && where[0] < roles.clusters) {
        const show = makeShowButton(`cluster ${grouped(where[0])}`, where);

        show.textContent = "Show in the picture";
        message.append(show);
    }
    return row;
}

function appendFindingRows(n) {
    const end = Math.min(shownFindings.rows + n, shownFindings.order.length);
    const more = byId("findings-more");

    for (; shownFindings.rows < end; shownFindings.rows++) {
        const number = shownFindings.order[shownFindings.rows], row = makeFindingRow(number);

        findingRows.set(number, row);
        byId("findings-rows").append(row);
    }
    more.hidden = end === shownFindings.order.length;
    more.textContent = `Show ${grouped(Math.min(ROWS_AT_ONCE, shownFindings.order.length - end))} more`;
}

function renderFindings() {
    findingRows.clear();
    byId("findings-rows").replaceChildren();
    shownFindings.rows = 0;
    appendFindingRows(ROWS_AT_ONCE);
}

function sortFindings() {
    const column = shownFindings.column;

    if (column) {
        const sign = shownFindings.down ? -1 : 1;
        const keys = new Map(shownFindings.order.map((i) => [i, column.key(findings[i])]));

        shownFindings.order.sort((a, b) => {
            const x = keys.get(a), y = keys.get(b);

            return x < y ? -sign : x > y ? sign : a - b;
        });
    }
}

function filterFindings() {
    const text = byId("filter-text").value.trim().toLowerCase();
    const severity = byId("filter-severity").value, structure = byId("filter-structure").value;

    shownFindings.order = [...findings.keys()].filter((i) => {
        const f = findings[i];

        return (!severity || f.severity === severity) && (!structure || f.structure === structure) &&
            (!text || [f.kind, ...COLUMNS.map((column) => column.text(f)), usersText(f)].join("\n").toLowerCase().includes(text));
    });
    sortFindings();
    renderFindings();
    byId("filter-result").textContent = shownFindings.order.length === findings.length
        ? "" : `${grouped(shownFindings.order.length)} of ${grouped(findings.length)} shown`;
}

function sortBy(column) {
    shownFindings.down = shownFindings.column === column && !shownFindings.down;
    shownFindings.column = column;
    for (const [i, cell] of [...byId("findings-head").children].entries()) {
        if (COLUMNS[i] === column) {
            cell.setAttribute("aria-sort", shownFindings.down ? "descending" : "ascending");
        } else {
            cell.removeAttribute("aria-sort");
        }
    }
    sortFindings();
    renderFindings();
}

/* Shows the row of a finding, and puts the focus there. */
function goToFinding(number) {
    if (!shownFindings.order.includes(number)) {
        byId("filter").reset();
        filterFindings();
    }
    appendFindingRows(Math.max(0, shownFindings.order.indexOf(number) + 1 - shownFindings.rows));
    findingRows.get(number).scrollIntoView({block: "center", inline: "start"});
    findingRows.get(number).focus({preventScroll: true});
}

/* The way from a place of the picture to a finding that concerns it. */
function findingLink(number) {
    const finding = findings[number], item = element("li"), button = element("button", `plain ${finding.severity}`);

    button.type = "button";
    button.textContent = `${finding.severity}: ${words(finding.kind)}`;
    button.addEventListener("click", () => goToFinding(number));
    item.append(button);
    return item;
}

function fillChoices(select, values) {
    for (const value of values) {
        const option = element("option", "", words(value));

        option.value = value;
        select.append(option);
    }
}

function startFindings() {
    const total = BigInt(report["findings-total"]);

    byId("findings-lead").textContent = findings.length === 0 ? "Nothing to tell: the check found no fault."
        : BigInt(findings.length) < total
            ? `The first ${grouped(findings.length)} of ${grouped(total)}; check --findings --output=json has all of them.`
            : `${counted(total, "finding", "findings")}. Neighbouring clusters with the same fault are one.`;
    byId("findings-body").hidden = findings.length === 0;
    for (const column of COLUMNS) {
        const cell = element("th", column.className === "number" ? "number" : ""), button = element("button", "plain", column.title);

        cell.scope = "col";
        button.type = "button";
        button.addEventListener("click", () => sortBy(column));
        cell.append(button);
        byId("findings-head").append(cell);
    }
    fillChoices(byId("filter-severity"), SEVERITIES.filter((s) => findings.some((f) => f.severity === s)));
    fillChoices(byId("filter-structure"), [...new Set(findings.map((f) => f.structure))].sort());
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    byId("filter").addEventListener("input", filterFindings);
    byId("filter").addEventListener("change", filterFindings);
    byId("findings-more").addEventListener("click", () => appendFindingRows(ROWS_AT_ONCE));
    shownFindings.order.sort((a, b) => bySeverity(findings[a]) - bySeverity(findings[b]) || a - b);
    renderFindings();
}
