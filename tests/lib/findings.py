# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold for the findings of any image, whatever is wrong with it."""

COUNTS = {"corruption": "corruptions", "leak": "leaks", "error": "check-errors"}


def problems(members, messages):
    """What is wrong with the findings of an ImageCheck, given the messages of the same check: one line each."""
    if "findings" not in members:
        return ["findings: none in the JSON"]
    lines = set(messages.split("\n"))
    return _sums(members) + [line for finding in members["findings"] for line in _finding(finding, messages, lines)]


def _sums(members):
    """The counts of the findings add up to those of the check."""
    lines = []
    for severity, name in COUNTS.items():
        total = sum(f["count"] for f in members["findings"] if f["severity"] == severity)
        if total != members.get(name, 0):
            lines.append(f"findings: the counts of severity {severity} add up to {total}, {name}: {members.get(name)}")
    return lines


def _finding(finding, messages, whole_lines):
    lines = []
    if (finding["count"] == 0) != (finding["severity"] == "note"):
        lines.append("a count of 0 is for notes")
    only_counted = finding["message"] == f"{finding['count']} more findings of this kind are not listed"
    told = only_counted or finding["message"] in whole_lines or finding["message"] in messages
    if finding["severity"] != "note" and not told:
        lines.append("its message is not among those of the check")
    if finding["fixed"]:
        lines.append("fixed without a repair")
    for place in [finding, *finding.get("other-users", [])]:
        for name in ("cluster", "guest"):
            if name in place and place[name]["size"] == 0:
                lines.append(f"an empty {name}")
    return [f"findings: {finding['kind']} {finding['message']!r}: {line}" for line in lines]
