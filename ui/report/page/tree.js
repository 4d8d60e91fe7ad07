// SPDX-License-Identifier: GPL-2.0-or-later
// The tree of the metadata. A node makes its children when it is opened, long lists are in groups, and only the rows
// that can be seen are elements.

const GROUP = 1000;
const AROUND = 10; // rows above and below those that can be seen
const ON_PAPER = 1000; // rows that are printed at most

/* A node: {label, offset, size, more, children}; offset may be missing, children is a function or missing. */
function node(label, offset, length, children) {
    return {label, offset, size: length, children, open: false};
}

function located(label, location, children) {
    return node(label, BigInt(location.offset), BigInt(location.size), children);
}

/* A list of the places: @make gives the node of the i-th. */
function listed(kind, of, plural, make) {
    const list = report.lists.find((l) => l.kind === kind && l.of === of);

    if (!list || list.shown === 0) {
        return undefined;
    }
    const part = (first, end) => Array.from({length: end - first}, (_, i) => make(places()[list.first + first + i], first + i));
    return () => {
        const made = [];

        if (list.shown <= GROUP) {
            made.push(...part(0, list.shown));
        } else {
            for (let first = 0; first < list.shown; first += GROUP) {
                const end = Math.min(first + GROUP, list.shown);
                made.push(node(`${plural} ${grouped(first)} – ${grouped(end - 1)}`, undefined, undefined, () => part(first, end)));
            }
        }
        if (BigInt(list.total) > BigInt(list.shown)) {
            made.push(node(`${grouped(BigInt(list.total) - BigInt(list.shown))} more are not in this report`));
        }
        return made;
    };
}

function l2Tables(tree) {
    return listed("l2-tables", tree, "L2 tables", (offset, i) => {
        const guest = guestOfTable(offset);

        return node(`L2 table ${grouped(i)}${guest ? `, guest ${guest}` : ""}`, offset, BigInt(clusterSize));
    });
}

function bitmapNode(entry, i) {
    const children = listed("bitmap-entries", i, "Entries", (value, k) => value > 1n
        ? node(`Entry ${grouped(k)}: bitmap data`, value, BigInt(clusterSize))
        : node(`Entry ${grouped(k)}: all ${value === 1n ? "ones" : "zeros"}`));

    return located(`Table of bitmap “${visible(entry["bitmap-name"])}”`, entry["bitmap-table"].location, children);
}

function rootNodes() {
    if (!viscera) {
        return [node("The metadata of this image is not shown: its tables claim more entries than the file has")];
    }
    const nodes = [
        located(`Header, version ${viscera["qcow2-header"].version}`, viscera["qcow2-header"].location),
        located("Refcount table", viscera["refcount-table"].location,
                listed("refcount-blocks", 0, "Refcount blocks", (offset, i) => node(`Refcount block ${grouped(i)}`, offset, BigInt(clusterSize)))),
        located("L1 table of the active disk", viscera["active-l1"].location, l2Tables(0)),
    ];
    const snapshots = viscera["snapshot-table"], bitmaps = viscera.bitmaps;

    if (snapshots) {
        const list = snapshots["l1-list"];
        nodes.push(located(`Snapshot table, ${counted(list.length, "snapshot", "snapshots")}`, snapshots.location, list.length
            ? () => list.map((l1, i) => located(`L1 table of snapshot “${visible(l1.name)}”`, l1.location, l2Tables(i + 1))) : undefined));
    }
    if (bitmaps) {
        const list = bitmaps["bitmap-dir"]["dir-entries"];
        nodes.push(located(`Bitmap directory, ${counted(bitmaps["nb-bitmaps"], "bitmap", "bitmaps")}`, bitmaps["bitmap-dir"].location,
                           list.length ? () => list.map(bitmapNode) : undefined));
    }
    if (viscera["crypt-header"]) {
        nodes.push(located("Encryption header", viscera["crypt-header"].location));
    }
    return nodes;
}

/* Rows are the nodes that are not inside of a closed one, in order. */
const tree = {rows: [], active: 0, height: 28, made: new Map(), printing: false};

function asRows(nodes, level) {
    return nodes.map((n, i) => ({node: n, level, position: i + 1, siblings: nodes.length}));
}

function openRow(index) {
    const row = tree.rows[index];

    if (row.node.children && !row.node.open) {
        row.node.open = true;
        tree.rows = [...tree.rows.slice(0, index + 1), ...asRows(row.node.children(), row.level + 1), ...tree.rows.slice(index + 1)];
        renderTree(true);
    }
}

function closeRow(index) {
    const row = tree.rows[index];
    let end = index + 1;

    if (row.node.open) {
        while (end < tree.rows.length && tree.rows[end].level > row.level) {
            end++;
        }
        row.node.open = false;
        tree.rows.splice(index + 1, end - index - 1);
        renderTree(true);
    }
}

function makeTreeRow(index) {
    const {node: n, level, position, siblings} = tree.rows[index];
    const made = element("div", "tree-row");
    const label = element("span", "label");

    made.id = `tree-row-${index}`;
    made.setAttribute("role", "treeitem");
    made.setAttribute("aria-level", level);
    made.setAttribute("aria-posinset", position);
    made.setAttribute("aria-setsize", siblings);
    made.setAttribute("aria-selected", index === tree.active);
    if (n.children) {
        made.setAttribute("aria-expanded", n.open);
    }
    made.style.top = `${index * tree.height}px`;
    label.style.paddingInlineStart = `${(level - 1) * 1.25}rem`;
    label.append(element("span", n.children ? "twist" : "twist none"), element("bdi", "", n.label));
    made.append(label, element("span", "mono", n.offset === undefined ? "" : hex(n.offset)),
                element("span", "number", n.size === undefined ? "" : size(n.size)));
    return made;
}

/* The rows that can be seen, and some more: [first, behind the last]. */
function rowsInView() {
    const box = byId("tree");

    if (tree.printing) {
        return [0, Math.min(tree.rows.length, ON_PAPER)];
    }
    return [Math.max(0, Math.floor(box.scrollTop / tree.height) - AROUND),
            Math.min(tree.rows.length, Math.ceil((box.scrollTop + box.clientHeight) / tree.height) + AROUND)];
}

/* Makes the rows that can be seen, and drops the others; all of them anew where @changed. */
function renderTree(changed) {
    const box = byId("tree"), inside = byId("tree-rows");
    const [first, end] = rowsInView();

    inside.style.height = `${(tree.printing ? end : tree.rows.length) * tree.height}px`;
    for (const [index, made] of tree.made) {
        if (changed || index < first || index >= end) {
            made.remove();
            tree.made.delete(index);
        }
    }
    for (let index = first; index < end; index++) {
        if (!tree.made.has(index)) {
            const made = makeTreeRow(index), after = tree.made.get(index + 1);

            inside.insertBefore(made, after || null);
            tree.made.set(index, made);
        }
    }
    box.setAttribute("aria-activedescendant", `tree-row-${tree.active}`);
}

function activate(index) {
    const box = byId("tree"), top = index * tree.height;

    tree.active = Math.min(Math.max(0, index), tree.rows.length - 1);
    if (top < box.scrollTop) {
        box.scrollTop = top;
    } else if (top + tree.height > box.scrollTop + box.clientHeight) {
        box.scrollTop = top + tree.height - box.clientHeight;
    }
    renderTree(true);
}

function parentOf(index) {
    let parent = index - 1;

    while (parent >= 0 && tree.rows[parent].level >= tree.rows[index].level) {
        parent--;
    }
    return parent;
}

function showRowInPicture(index) {
    const n = tree.rows[index].node;

    if (n.offset !== undefined) {
        goToAndFocus(n.offset);
    }
}

function treeKey(key) {
    const index = tree.active, n = tree.rows[index].node;
    const page = Math.max(1, Math.floor(byId("tree").clientHeight / tree.height) - 1);
    const actions = {
        ArrowDown: () => activate(Math.min(index + 1, tree.rows.length - 1)),
        ArrowUp: () => activate(Math.max(index - 1, 0)),
        PageDown: () => activate(Math.min(index + page, tree.rows.length - 1)),
        PageUp: () => activate(Math.max(index - page, 0)),
        Home: () => activate(0),
        End: () => activate(tree.rows.length - 1),
        ArrowRight: () => n.open ? activate(index + 1) : openRow(index),
        ArrowLeft: () => n.open ? closeRow(index) : activate(Math.max(0, parentOf(index))),
        " ": () => n.open ? closeRow(index) : openRow(index),
        Enter: () => showRowInPicture(index),
    };

    return actions[key];
}

function rowOfEvent(event) {
    const row = event.target.closest(".tree-row");

    return row ? Number(row.id.slice("tree-row-".length)) : -1;
}

function printTree(printing) {
    tree.printing = printing;
    renderTree(true);
}

function startTree() {
    const box = byId("tree");

    tree.rows = asRows(rootNodes(), 1);
    box.addEventListener("scroll", () => renderTree(false), {passive: true});
    box.addEventListener("keydown", (event) => {
        const action = treeKey(event.key);

        if (action && !event.ctrlKey && !event.altKey && !event.metaKey) {
            event.preventDefault();
            action();
        }
    });
    box.addEventListener("click", (event) => {
        const index = rowOfEvent(event);

        if (index >= 0) {
            activate(index);
            if (event.detail < 2) {
                (tree.rows[index].node.open ? closeRow : openRow)(index);
            }
        }
    });
    addEventListener("beforeprint", () => printTree(true));
    addEventListener("afterprint", () => printTree(false));
    box.addEventListener("dblclick", (event) => rowOfEvent(event) >= 0 && showRowInPicture(rowOfEvent(event)));
    renderTree(true);
}
