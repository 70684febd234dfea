#!/usr/bin/env bash
# What the tests use beyond pip: a browser for the report, an OpenSSH server as a remote device, qemu as other
# processors, and an ARM Python for it. Debian and its kin; needs root.
set -euo pipefail
missing=()
command -v chromium >/dev/null || missing+=(chromium)
{ command -v ssh && PATH="$PATH:/usr/sbin" command -v sshd; } >/dev/null || missing+=(openssh-client openssh-server)
command -v qemu-x86_64-static >/dev/null || missing+=(qemu-user-static)
if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
"$(dirname "$0")/make_aarch64_root.sh"
