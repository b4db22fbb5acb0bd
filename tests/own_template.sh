#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the commands of the sections on a template of one's own in README.md and templates/README.md, and breaks the template
# that they made.
# Usage: own_template.sh KGEN FOLDER. Prints what failed; exit status 0 where nothing did.
set -eu
kgen=$1
folder=$2
commands() {
    awk '/^## / { on = $0 == "## A template of one'"'"'s own" } on && /^    kgen / { print substr($0, 10) }' "$1" >"$folder/commands"
    count=$(wc -l <"$folder/commands")
    [ "$count" -eq "$2" ] || { echo "$1 has $count commands where $2 are expected"; exit 1; }
}
run_commands() {
    while IFS= read -r line; do
        # The words are quoted for a shell.
        eval "\"\$kgen\" $line" >said 2>&1 </dev/null || { echo "kgen $line: exit status $?"; cat said; exit 1; }
        case $line in
        run*) grep -q '^right: ' said || { echo "kgen $line says no word of being right"; cat said; exit 1; } ;;
        expand*) grep -q '^[A-Z_]*\(KV_TARGET \)\{0,1\}void kernel(' said || { echo "kgen $line prints no kernel"; cat said; exit 1; } ;;
        esac
    done <commands
}
top=$PWD
cp -r specs "$folder/"
commands README.md 3
cd "$folder"
run_commands
rm -r mine
cd "$top"
commands templates/README.md 6
cd "$folder"
run_commands

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
