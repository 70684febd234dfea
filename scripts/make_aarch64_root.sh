#!/usr/bin/env bash
# A 64-bit ARM Python with the runtime's packages, for `mkd bench --target emulate:aarch64`: Debian's arm64 packages
# unpacked, the wheels of constraints.txt beside them. Downloads some 60 MB, takes some 220 MB and half a minute; needs
# neither root nor an ARM machine, but Debian or its kin and python3-venv. What stands is kept.
#
#   scripts/make_aarch64_root.sh [FOLDER]     FOLDER is $MKD_AARCH64_ROOT, else ~/.cache/mixkd/aarch64
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
cache=${XDG_CACHE_HOME:-~/.cache}
root="${1:-${MKD_AARCH64_ROOT:-$cache/mixkd/aarch64}}"
python="${PYTHON:-python3}"
packages=(numpy onnxruntime psutil tokenizers)

# A fingerprint of what shapes the root: it is made anew when this script or a pinned version changes.
wanted="$(cat "$0" <(grep -E "^($(IFS='|'; echo "${packages[*]}"))==" "$here/constraints.txt") | sha256sum)"
if [ "$(cat "$root/made-of" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
if [ -n "$(ls -A "$root" 2>/dev/null)" ] && [ ! -e "$root/made-of" ]; then
    echo "$root is there and not of this script's making: name another folder" >&2
    exit 1
fi
mkdir -p "$(dirname "$root")"
work="$(mktemp -d "$root.XXXXXX")"
trap 'rm -rf "$work"' EXIT
made="$work/root"

# apt with a state of its own: this machine's sources and keys, another architecture, nothing installed.
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$made"
touch "$work/status"
apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
    -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache"
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
"${apt[@]}" update
"${apt[@]}" install --download-only --yes --no-install-recommends python3 libstdc++6 >/dev/null
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$made"
done

# Where /lib is a link, the package base-files brings it; the loader is asked for under that name.
[ -e "$made/lib" ] || ln -s usr/lib "$made/lib"

# A pip of its own: a fresh Debian's Python has none.
"$python" -m venv "$work/venv"
version="$(basename "$(readlink -f "$made/usr/bin/python3")")"
"$work/venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps --only-binary=:all: \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
    --implementation cp --python-version "${version#python}" \
    --constraint "$here/constraints.txt" --target "$made/usr/lib/python3/dist-packages" "${packages[@]}"

# onnxruntime reads the processor here; qemu 7 would show it the host's.
mkdir -p "$made/proc"
cat >"$made/proc/cpuinfo" <<'CPU'
processor	: 0
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3
CPU
printf '%s\n' "$wanted" >"$made/made-of"

rm -rf "$root"
mv "$made" "$root"
chmod 755 "$root"
