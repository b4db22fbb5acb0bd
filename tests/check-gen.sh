#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: check-gen.sh KGEN SPEC...
# Generates each spec twice, without timing, and once from its lock alone: the three must be byte-identical, and compile without a
# warning.
set -eu
kgen=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Not to /dev/null: tcc unlinks its output first, and root may.
strict="-std=c11 -Wall -Wextra -Wpedantic -Werror -O1 -c -o $folder/object.o"
checked=0
for spec in "$@"; do
    name=$(basename "$spec" .json)
    quantiser=
    "$kgen" "$spec" --dry-run --json | grep -q '"scheme": "affine"' && quantiser=--with-quantiser
    for run in 1 2; do
        "$kgen" "$spec" --effort estimate --no-cache -q $quantiser -o "$folder/$run/$name" >/dev/null
    done
    diff -r "$folder/1/$name" "$folder/2/$name"
    "$kgen" "$spec" --check -q -o "$folder/1/$name" >"$folder/log" || { cat "$folder/log" >&2; exit 1; }
    mkdir -p "$folder/3/$name"
    cp "$folder/1/$name/kgen.lock" "$folder/3/$name"
    "$kgen" "$spec" --locked --no-cache -q -o "$folder/3/$name" >/dev/null
    diff -r "$folder/1/$name" "$folder/3/$name"
    for file in "$folder/1/$name"/*.c "$folder/1/$name"/example/*.c; do
        for compiler in "gcc $strict" "clang $strict" "aarch64-linux-gnu-gcc $strict" "tcc -Wall -Werror -c -o $folder/object.o"; do
            $compiler "$file" || { echo "FAILED: $compiler $(basename "$file") of $name" >&2; exit 1; }
            checked=$((checked + 1))
        done
    done
    for file in "$folder/1/$name"/*.h; do
        [ "$(basename "$file")" = kgen_vector.h ] && continue
        for compiler in "g++ -std=c++11" "clang++ -std=c++17"; do
            command -v "${compiler%% *}" >/dev/null || continue
            $compiler -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ "$file" 2>"$folder/log" || { cat "$folder/log" >&2; exit 1; }
            checked=$((checked + 1))
        done
    done
    echo "ok: $name"
done
echo "$checked compilations without a warning, every spec byte-identical"
