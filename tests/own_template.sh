#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the commands of README.md's section on a template of one's own, and breaks the template that they made.
# Usage: own_template.sh KGEN FOLDER. Prints what failed; exit status 0 where nothing did.
set -eu
kgen=$1
folder=$2
awk '/^## / { on = $0 == "## A template of one'"'"'s own" } on && /^    kgen / { print substr($0, 10) }' README.md >"$folder/commands"
count=$(wc -l <"$folder/commands")
[ "$count" -eq 6 ] || { echo "README.md has $count commands where 6 are expected"; exit 1; }
cp -r specs "$folder/"
cd "$folder"
while IFS= read -r line; do
    # The words are quoted for a shell.
    eval "\"\$kgen\" $line" >said 2>&1 </dev/null || { echo "kgen $line: exit status $?"; cat said; exit 1; }
    case $line in
    run*) grep -q '^right: ' said || { echo "kgen $line says no word of being right"; cat said; exit 1; } ;;
    expand*) grep -q '^[A-Z_]*\(KV_TARGET \)\{0,1\}void kernel(' said || { echo "kgen $line prints no kernel"; cat said; exit 1; } ;;
    esac
done <commands

# Wrong, and then not C at all: exit status 1 each time, with what is wrong.
made=mine/c/my_swiglu.c.in
expect_wrong() {
    status=0
    "$kgen" run '{"op": "swiglu", "size": 4096}' my_swiglu --templates mine >said 2>&1 || status=$?
    [ "$status" -eq 1 ] && grep -q "$1" said || { echo "exit status $status, expected 1 and '$1'"; cat said; exit 1; }
}
cp $made kept
sed 's/(1.0f + e) \* up/(1.0f - e) * up/' kept >$made
expect_wrong 'wrong_element: y\['
sed 's/y\[i\] = /y[i] = nothing */' kept >$made
expect_wrong "$made:$(grep -n 'nothing' $made | cut -d: -f1): line .*'nothing' undeclared"
