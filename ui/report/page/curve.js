// SPDX-License-Identifier: GPL-2.0-or-later
// The Hilbert curve, drawn as --map draws it: through the quarters top left, top right, bottom right, bottom left. The
// first is mirrored at the diagonal, the last at the other one. What the mirrorings add up to is a state of two
// bits: 1 mirrored, 2 turned by half.

const curve = {order: 0};

while (4 ** curve.order < roles.clusters) {
    curve.order++;
}
const QUARTER_X = [0, 1, 1, 0], QUARTER_Y = [0, 0, 1, 1];
const QUARTER_STATE = [1, 0, 0, 3];

function quarterX(state, quarter) {
    return (state & 1 ? QUARTER_Y[quarter] : QUARTER_X[quarter]) ^ state >> 1;
}

function quarterY(state, quarter) {
    return (state & 1 ? QUARTER_X[quarter] : QUARTER_Y[quarter]) ^ state >> 1;
}

/* The part of the square that the curve reaches; it may be little more than a quarter of it. */
function findExtent(level, x, y, state, n) {
    const side = 2 ** level, area = 4 ** (level - 1);

    if (n >= 4 ** level) {
        curve.columns = Math.max(curve.columns, x + side);
        curve.rows = Math.max(curve.rows, y + side);
        return;
    }
    for (let quarter = 0; quarter < 4 && quarter * area < n; quarter++) {
        findExtent(level - 1, x + quarterX(state, quarter) * side / 2, y + quarterY(state, quarter) * side / 2,
                   state ^ QUARTER_STATE[quarter], n - quarter * area);
    }
}

curve.columns = curve.rows = 1;
findExtent(curve.order, 0, 0, 0, roles.clusters);

/* The square of a cluster, in squares from the left and from above. */
function placeOf(cluster) {
    let x = 0, y = 0, state = 0, rest = cluster;

    for (let level = curve.order - 1; level >= 0; level--) {
        const area = 4 ** level;
        const quarter = Math.floor(rest / area);

        rest -= quarter * area;
        x = 2 * x + quarterX(state, quarter);
        y = 2 * y + quarterY(state, quarter);
        state ^= QUARTER_STATE[quarter];
    }
    return {x, y};
}

/* The cluster at a square; it may be behind the end of the file. */
function clusterAt(x, y) {
    let cluster = 0, state = 0;

    for (let level = curve.order - 1; level >= 0; level--) {
        const right = Math.floor(x / 2 ** level) % 2, low = Math.floor(y / 2 ** level) % 2;
        let quarter = 0;

        while (quarterX(state, quarter) !== right || quarterY(state, quarter) !== low) {
            quarter++;
        }
        cluster = 4 * cluster + quarter;
        state ^= QUARTER_STATE[quarter];
    }
    return cluster;
}
