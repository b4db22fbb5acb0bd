#!/bin/sh
# SPDX-License-Identifier: MIT
# Tunes the specs that ship on this machine, patiently, and keeps the winners in a file of this folder that is
# called after the machine's identity. Records of other machines stay, unless their templates have changed since.
# Usage: update.sh KGEN
set -eu
kgen=$1
folder=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for spec in specs/*.json; do
    "$kgen" tune "$spec" --effort patient --cache "$work/tuned"
done
machine=$("$kgen" machine --cache "$work/tuned" | sed -n 's/^identity *//p')
"$kgen" cache export "$work/all.jsonl" --cache "$work/tuned" -q
grep -e '"chosen":true' -e '"fact":"machine"' "$work/all.jsonl" >"$folder/$machine.jsonl"

for file in "$folder"/*.jsonl; do
    name=$(basename "$file" .jsonl)
    "$kgen" cache import "$file" --cache "$work/$name" -q
    "$kgen" cache prune --cache "$work/$name" -q
    "$kgen" cache export "$work/$name.jsonl" --cache "$work/$name" -q
    mv "$work/$name.jsonl" "$file"
    [ -s "$file" ] || rm "$file"
done
