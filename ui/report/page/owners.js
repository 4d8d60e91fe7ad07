// SPDX-License-Identifier: GPL-2.0-or-later
// Who uses a cluster, as far as the data of the page say.

const viscera = report.viscera;

/* Structures that lie in one piece: [first cluster, cluster behind the last, what]. */
function singleStructures() {
    const found = [];
    const add = (location, what) => {
        if (location.size) {
            found.push([clusterOf(location.offset), clusterOf(BigInt(location.offset) + BigInt(location.size) - 1n) + 1, what]);
        }
    };

    if (!viscera) {
        return found;
    }
    add(viscera["qcow2-header"].location, "Header and its extensions");
    add(viscera["refcount-table"].location, "Refcount table");
    add(viscera["active-l1"].location, "L1 table of the active disk");
    if (viscera["crypt-header"]) {
        add(viscera["crypt-header"].location, "Encryption header");
    }
    if (viscera["snapshot-table"]) {
        add(viscera["snapshot-table"].location, "Snapshot table");
        viscera["snapshot-table"]["l1-list"].forEach((l1, i) => add(l1.location, `L1 table of ${treeName(i + 1)}`));
    }
    if (viscera.bitmaps) {
        add(viscera.bitmaps["bitmap-dir"].location, "Bitmap directory");
        for (const entry of viscera.bitmaps["bitmap-dir"]["dir-entries"]) {
            add(entry["bitmap-table"].location, `Table of bitmap “${visible(entry["bitmap-name"])}”`);
        }
    }
    return found;
}

/* Clusters of the packed lists but for L2 tables, of which the mappings say more. */
function listedClusters() {
    const found = [];

    for (const list of report.lists) {
        if (list.kind === "l2-tables") {
            continue;
        }
        for (let i = 0; i < list.shown; i++) {
            const offset = places()[list.first + i];

            if (offset > 1n) {
                const first = clusterOf(offset);

                found.push([first, first + (offset % BigInt(clusterSize) ? 2 : 1), list.kind === "refcount-blocks"
                    ? "Refcount block" : `Data of bitmap “${visible(bitmapName(list.of))}”`]);
            }
        }
    }
    return found;
}

function bitmapName(index) {
    return viscera.bitmaps["bitmap-dir"]["dir-entries"][index]["bitmap-name"];
}

const structures = later(() => {
    const all = [...singleStructures(), ...listedClusters()].sort((a, b) => a[0] - b[0]);

    return {
        ranges: new Ranges(Float64Array.from(all, (s) => s[0]), Float64Array.from(all, (s) => s[1])),
        names: all.map((s) => s[2]),
    };
});

function guestRange(first, n) {
    return range(offsetOf(first), offsetOf(n));
}

/* One user of a cluster that a mapping tells of: {owner, guest}. */
function mappingUser(i, first, end) {
    const m = mappings(), of = treeName(m.trees[i]);

    if (m.kinds[i] === KIND_L2) {
        return {owner: `L2 table of ${of}`, guest: guestRange(m.guests[i], report.image["l2-entries"])};
    }
    if (m.kinds[i] === KIND_COMPRESSED) {
        return {owner: `Compressed data of ${of}`, guest: guestRange(m.guests[i], 1)};
    }
    const from = Math.max(first, m.ranges.starts[i]), to = Math.min(end, m.ranges.ends[i]);
    return {owner: `Data of ${of}`, guest: guestRange(m.guests[i] + from - m.ranges.starts[i], to - from)};
}

/* An L2 table that no mapping tells of, since it is all zeros or could not be read. */
function bareTable(first, end) {
    const from = offsetOf(first), to = offsetOf(end);

    for (const list of report.lists.filter(({kind}) => kind === "l2-tables")) {
        const i = places().subarray(list.first, list.first + list.shown).findIndex((offset) => offset >= from && offset < to);

        if (i >= 0) {
            return [{owner: `L2 table ${grouped(i)} of ${treeName(list.of)}`}];
        }
    }
    return [];
}

/* The users of the clusters [first, end), at most @limit. */
function usersOf(first, end, limit) {
    const single = structures().ranges.touching(first, end, limit).map((i) => ({owner: structures().names[i]}));
    const mapped = mappings().ranges.touching(first, end, limit).map((i) => mappingUser(i, first, end));

    return single.length + mapped.length ? [...single, ...mapped].slice(0, limit) : bareTable(first, end);
}

/* Where the guest's bytes at @offset lie: {cluster, tree} or null. Snapshots count where the active disk has none. */
function hostOfGuest(offset) {
    const guest = clusterOf(offset), m = mappings();
    let found = null;

    for (let i = 0; i < m.n; i++) {
        const length = m.kinds[i] === KIND_DATA ? m.ranges.ends[i] - m.ranges.starts[i] : 1;

        if (m.kinds[i] !== KIND_L2 && m.guests[i] <= guest && guest < m.guests[i] + length && (!found || m.trees[i] < found.tree)) {
            found = {cluster: m.ranges.starts[i] + (m.kinds[i] === KIND_DATA ? guest - m.guests[i] : 0), tree: m.trees[i],
                     compressed: m.kinds[i] === KIND_COMPRESSED};
        }
    }
    return found;
}

/* The guest range that the L2 table at @offset maps, where the data tell. */
function guestOfTable(offset) {
    if (offset % BigInt(clusterSize)) {
        return null;
    }
    const cluster = clusterOf(offset), m = mappings();
    const i = m.ranges.touching(cluster, cluster + 1, 100).find((j) => m.kinds[j] === KIND_L2);

    return i === undefined ? null : guestRange(m.guests[i], report.image["l2-entries"]);
}
