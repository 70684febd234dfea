#!/usr/bin/env bash
# Print a PATH that lacks what scripts/install_tools.sh installs, so that the tests run as on a fresh machine.
#
#   scripts/path_without_tools.sh FOLDER     FOLDER gets links to the other programs
set -euo pipefail
folder="$(realpath "$1")"
tools='^(chromium|ssh|sshd|qemu-.*|node|npm|npx|cc|gcc|c99|clang)$'
kept=()
number=0
IFS=: read -ra entries <<<"$PATH"
for entry in "${entries[@]}"; do
    [ -d "$entry" ] || continue
    if ! ls "$entry" | grep -E "$tools" >/dev/null; then
        kept+=("$entry")
        continue
    fi
    number=$((number + 1))
    links="$folder/$number/bin"
    mkdir -p "$links"
    find "$entry" -maxdepth 1 -not -type d -executable -printf '%f\n' | grep -vE "$tools" |
        while read -r program; do ln -s "$entry/$program" "$links/$program"; done
    kept+=("$links")
done
(IFS=:; echo "${kept[*]}")
