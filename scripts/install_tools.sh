#!/usr/bin/env bash
# What the tests use beyond pip: a browser for pages, an OpenSSH server as a remote device, qemu as other
# processors, and an ARM Python for it; for the examples a compiler, onnxruntime's C header, Node and packages.
# Debian and its kin; needs root. At the end it leaves .tools.stamp: from then on a test that lacks a tool fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive
missing=()
command -v chromium >/dev/null || missing+=(chromium)
{ command -v ssh && PATH="$PATH:/usr/sbin" command -v sshd; } >/dev/null || missing+=(openssh-client openssh-server)
command -v qemu-x86_64-static >/dev/null || missing+=(qemu-user-static)
command -v make >/dev/null || missing+=(make)
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v curl >/dev/null || missing+=(curl)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
scripts/make_aarch64_root.sh

header=onnxruntime/onnxruntime_c_api.h
if [ ! -e "/usr/include/$header" ] && [ ! -e "/usr/local/include/$header" ]; then
    # Debian has it from 13 on: an older one takes the package of 13 apart, from the same mirror and signed alike.
    scratch="$(mktemp -d)"
    trap 'rm -rf "$scratch"' EXIT
    mkdir -p "$scratch/lists/partial" "$scratch/sources"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/debian.sources; do
        [ -e "$file" ] && sed 's/bookworm/trixie/g' "$file" >"$scratch/sources/$(basename "$file")"
    done
    options=(-qq -o "Dir::State::lists=$scratch/lists" -o Dir::Etc::sourcelist=/dev/null
        -o "Dir::Etc::sourceparts=$scratch/sources" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    (cd "$scratch" && apt-get "${options[@]}" download libonnxruntime-dev >/dev/null)
    dpkg-deb --extract "$scratch"/libonnxruntime-dev_*.deb "$scratch/package"
    install -D -m 644 "$scratch/package/usr/include/$header" "/usr/local/include/$header"
fi

for example in node browser; do
    (cd "examples/$example" && npm ci --silent --no-audit --no-fund)
done
touch .tools.stamp
