// SPDX-License-Identifier: GPL-2.0-or-later
// Finding an offset of the file, or of the guest's disk.

function findHost(offset) {
    return goTo(offset) ? `${hex(offset)} is in cluster ${grouped(clusterOf(offset))}.`
        : `${hex(offset)} is behind the end of the file, ${hex(report.image["file-size"])}.`;
}

function whyNoHost() {
    if (report.image["data-file"]) {
        return "The guest’s data are in an external data file, of which this report knows nothing.";
    }
    return report["mapping-step"] > 1
        ? "It is not in this report: only a part of so fragmented a mapping is. qemu-img map has it all."
        : "Nothing is stored for it in this image.";
}

function findGuest(offset) {
    const host = offset < BigInt(report.image["virtual-size"]) ? hostOfGuest(offset) : undefined;

    if (host === undefined) {
        return `${hex(offset)} is behind the end of the guest’s disk, ${hex(report.image["virtual-size"])}.`;
    }
    if (host === null) {
        return `Guest ${hex(offset)}: ${whyNoHost()}`;
    }
    const at = offsetOf(host.cluster) + (host.compressed ? 0n : offset % BigInt(clusterSize));
    const where = host.compressed ? `compressed, in cluster ${grouped(host.cluster)}` : `at ${hex(at)} in the file`;

    return goTo(at) ? `Guest ${hex(offset)} of ${treeName(host.tree)} is ${where}.`
        : `Guest ${hex(offset)} of ${treeName(host.tree)} is mapped to ${hex(at)}, behind the end of the file.`;
}

function startSearch() {
    byId("search").addEventListener("submit", (event) => {
        const offset = parseOffset(byId("search-text").value);

        event.preventDefault();
        byId("search-text").setAttribute("aria-invalid", offset === null);
        byId("search-result").textContent = offset === null
            ? "Not an offset. Write it as 0x1f000, 126976, 124K or 1.5G."
            : byId("search-space").value === "host" ? findHost(offset) : findGuest(offset);
    });
}
