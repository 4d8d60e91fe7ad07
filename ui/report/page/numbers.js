// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers and names, as they are shown and as they are typed.

/* Characters that cannot be seen, or that move others about, become escapes; everything else is as it is. */
function visible(text) {
    return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

/* Offsets can be beyond what a Number holds, and are BigInts wherever each bit counts. JSON has large ones as strings. */
function hex(offset) {
    return `0x${BigInt(offset).toString(16)}`;
}

function grouped(number) {
    return BigInt(number).toLocaleString("en");
}

function counted(number, singular, plural) {
    return `${grouped(number)} ${BigInt(number) === 1n ? singular : plural}`;
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

function size(bytes) {
    let value = Number(bytes), unit = 0;

    while (value >= 1024 && unit < UNITS.length - 1) {
        value /= 1024;
        unit++;
    }
    if (unit === 0) {
        return value === 1 ? "1 byte" : `${value} bytes`;
    }
    return `${Number.isInteger(value) || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${UNITS[unit]}`;
}

function share(part, whole) {
    const percent = whole ? 100 * part / whole : 0;

    if (percent > 0 && percent < 0.01) {
        return "< 0.01 %";
    }
    return `${percent === 100 || percent === 0 ? percent : percent.toFixed(2)} %`;
}

/* First and last byte of a range. */
function range(offset, length) {
    const first = BigInt(offset), n = BigInt(length);

    return n > 1n ? `${hex(first)}-${hex(first + n - 1n)}` : hex(first);
}

/* What a person typed: 0x1f000, 126976, 124K, 1.5G. null where that is no offset. */
function parseOffset(text) {
    const cleaned = text.trim().replace(/[_\s,']/g, "");
    const number = /^(?:(0x[0-9a-f]+)|(\d+)(?:\.(\d{1,9}))?([kmgtpe]?)(?:i?b)?)$/i.exec(cleaned);

    if (!number) {
        return null;
    }
    if (number[1]) {
        return BigInt(number[1]);
    }
    const [, , whole, fraction = "", suffix] = number;
    const unit = 1n << (10n * BigInt("kmgtpe".indexOf((suffix || " ").toLowerCase()) + 1));
    return BigInt(whole) * unit + (fraction ? BigInt(fraction) * unit / 10n ** BigInt(fraction.length) : 0n);
}

/* A time in seconds since 1970, which any number may be, as all times on the page are written. */
function timeText(seconds) {
    const date = new Date(Number(seconds) * 1000);

    return isNaN(date) ? "not a time" : `${date.toISOString().slice(0, -8).replace("T", " ")} UTC`;
}

/* An element with text in it: the only way in which text comes into the page. */
function element(name, className, text) {
    const made = document.createElement(name);

    if (className) {
        made.className = className;
    }
    if (text !== undefined) {
        made.textContent = text;
    }
    return made;
}

function byId(id) {
    return document.getElementById(id);
}
