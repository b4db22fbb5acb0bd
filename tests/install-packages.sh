#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs those of the named Debian packages that are missing. Does nothing, and needs no rights, where none is.
set -eu
missing=
for package in "$@"; do
    if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed'; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0
echo "installing:$missing" >&2
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "error: run as root, or install by hand: apt-get install$missing" >&2
    exit 1
fi
$as_root apt-get update -q >&2
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends $missing >&2
