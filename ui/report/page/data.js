// SPDX-License-Identifier: GPL-2.0-or-later
// The data of the page: JSON for what is small, packed lists for what is not. ui/report/write.c writes both, and
// docs/interop/report.rst describes them.

function bytesOf(id) {
    const text = atob(byId(id).textContent);
    const bytes = new Uint8Array(text.length);

    for (let i = 0; i < bytes.length; i++) {
        bytes[i] = text.charCodeAt(i);
    }
    return bytes;
}

/* Numbers of 7 bits a byte, the lowest first. Numbers rather than BigInts: all of them are below 2^53. */
class Packed {
    constructor(bytes) {
        this.bytes = bytes;
        this.at = 0;
    }

    next() {
        let value = 0, factor = 1, byte;

        do {
            byte = this.bytes[this.at++];
            value += (byte & 127) * factor;
            factor *= 128;
        } while (byte & 128);
        return value;
    }

    nextSigned() {
        const value = this.next();

        return value % 2 ? -(value + 1) / 2 : value / 2;
    }
}

/* Index of the last element of the sorted @array that is at most @value; -1 if there is none. */
function lastAtMost(array, value) {
    let low = 0, high = array.length;

    while (low < high) {
        const middle = (low + high) >>> 1;

        if (array[middle] <= value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1;
}

/*
 * Ranges that may overlap, sorted by their start. What covers a point is found by going back from the last that starts
 * at or before it, until none before can reach so far.
 */
class Ranges {
    constructor(starts, ends) {
        this.starts = starts;
        this.ends = ends;
        this.reach = new Float64Array(starts.length);
        let reach = 0;
        for (let i = 0; i < starts.length; i++) {
            reach = Math.max(reach, ends[i]);
            this.reach[i] = reach;
        }
    }

    /* Indices of at most @limit ranges that touch [first, end). */
    touching(first, end, limit) {
        const found = [];

        for (let i = lastAtMost(this.starts, end - 1); i >= 0 && this.reach[i] > first && found.length < limit; i--) {
            if (this.ends[i] > first) {
                found.push(i);
            }
        }
        return found.reverse();
    }
}

/* Roles of all clusters of the file, as runs that follow one another. */
function readRoles(report) {
    const packed = new Packed(bytesOf("roles"));
    const n = report["role-runs"];
    const starts = new Float64Array(n + 1);
    const kinds = new Uint8Array(n);
    let at = 0;

    for (let i = 0; i < n; i++) {
        const value = packed.next();

        starts[i] = at;
        kinds[i] = value % 128;
        at += Math.floor(value / 128);
    }
    starts[n] = at;
    return {n, starts, kinds, clusters: at};
}

const ROLE_MASK = 15, CORRUPT = 16, HAS_LEAK = 32, KEPT = 64;

const KIND_DATA = 0, KIND_COMPRESSED = 1, KIND_L2 = 2;

/* What the L1 and L2 tables say: host clusters, and the guest clusters behind them. Sorted by host cluster. */
function readMappings(report) {
    const packed = new Packed(bytesOf("mappings"));
    const n = report.mappings;
    const hosts = new Float64Array(n), ends = new Float64Array(n), guests = new Float64Array(n);
    const trees = new Int32Array(n), kinds = new Uint8Array(n);
    let host = 0, guest = 0, tree = 0;

    for (let i = 0; i < n; i++) {
        const head = packed.next();
        const length = Math.floor(head / 8);

        host += packed.next();
        guest += packed.nextSigned();
        if (head & 4) {
            tree = packed.next();
        }
        hosts[i] = host;
        ends[i] = host + length;
        guests[i] = guest;
        trees[i] = tree;
        kinds[i] = head & 3;
        guest += length;
    }
    return {n, ranges: new Ranges(hosts, ends), guests, trees, kinds};
}

/*
 * Clusters of the file before which the order of the guest's disk breaks, ascending: data on both sides, as --map has it
 * (ui/map/seams.c). None where the mappings are not all there.
 */
function findSeams() {
    const {n, ranges, guests, kinds} = mappings();
    const found = [];
    let end = 0, guest = 0;

    for (let i = 0; i < n && report["mapping-step"] === 1; i++) {
        if (kinds[i] !== KIND_DATA) {
            continue;
        }
        if (end && ranges.starts[i] === end && guests[i] !== guest) {
            found.push(end);
        }
        if (ranges.ends[i] > end) {
            end = ranges.ends[i];
            guest = guests[i] + end - ranges.starts[i];
        }
    }
    return new Set(found);
}

/* Offsets of tables and clusters, eight bytes each, one list behind the other. */
function readPlaces() {
    const bytes = bytesOf("places");

    return new BigUint64Array(bytes.buffer, 0, Math.floor(bytes.length / 8));
}

function later(read) {
    let value;

    return () => value ?? (value = read());
}

const report = JSON.parse(byId("report").textContent);
const clusterSize = report.image["cluster-size"];
const roles = readRoles(report);
const mappings = later(() => readMappings(report));
const seams = later(findSeams);
const places = later(readPlaces);
const findings = report.check.findings;

/* Index of the run that @cluster is in. */
function runAt(cluster) {
    return Math.min(lastAtMost(roles.starts, cluster), roles.n - 1);
}

function clusterOf(offset) {
    return Number(BigInt(offset) / BigInt(clusterSize));
}

function offsetOf(cluster) {
    return BigInt(cluster) * BigInt(clusterSize);
}

function roleTitle(role) {
    const name = report.roles[role].name;

    return name[0].toUpperCase() + name.slice(1);
}

/* The L1 tables, by the numbers that mappings have: 0 the active one, then the snapshots. */
function treeName(tree) {
    return tree === 0 ? "the active disk" : `snapshot “${snapshotName(tree - 1)}”`;
}

function snapshotName(index) {
    const table = report.viscera && report.viscera["snapshot-table"];
    const l1 = table && table["l1-list"][index];

    return l1 ? visible(l1.name) : `number ${index + 1}`;
}
