# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
# For test scripts that print TAP: source it, print the plan, and end with `exit $failed`.

number=0
failed=0

# point TEXT COMMAND...: a line of TAP; what the command prints goes below it when it fails.
point()
{
    local text=$1 said
    shift
    number=$((number + 1))
    if said=$("$@" 2>&1); then
        echo "ok $number - $text"
    else
        failed=1
        echo "not ok $number - $text"
        sed 's/^/# /' <<<"$said"
    fi
}

# skip TEXT REASON
skip() { number=$((number + 1)); echo "ok $number - $1 # SKIP $2"; }

# missing PROGRAM...: says which of them is not installed.
missing()
{
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || { echo "no $name"; return 0; }
    done
    return 1
}
