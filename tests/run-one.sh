#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one cmocka test program for tests/run.sh: prints what became of it, and writes "passed failed skipped" into a
# file of its name in the folder given first. RUNNER and REPORTS are those of tests/run.sh.
set -u
folder=$1 program=$2
name=$(basename "$program")
log=$folder/$name.log told=$folder/$name.told
reported() {
    [ -n "${REPORTS:-}" ] && find "$(dirname "$REPORTS")" -maxdepth 1 -name "$(basename "$REPORTS")*" -size +0 | grep -q .
}
[ -z "${REPORTS:-}" ] || rm -f "$REPORTS"*
CMOCKA_MESSAGE_OUTPUT=TAP ${RUNNER:-} "$program" >"$log" 2>&1
status=$?
s=$(grep -c '# SKIP' "$log")
p=$(grep '^ok ' "$log" | grep -vc '# SKIP')
f=$(grep '^not ok ' "$log" | grep -vc '# SKIP')
# A program that dies, or runs nothing, is a failure of its own.
if [ "$f" -eq 0 ] && { [ "$status" -ne 0 ] || [ $((p + s)) -eq 0 ]; }; then
    f=1
fi
if reported; then
    f=$((f + 1))
    cat "$REPORTS"* >>"$log"
fi
[ -z "${REPORTS:-}" ] || rm -f "$REPORTS"*
if [ "$f" -gt 0 ]; then
    echo "FAILED  $name (exit status $status)" >"$told"
    cat "$log" >>"$told"
else
    echo "ok      $name: $p passed, $s skipped" >"$told"
    grep -i '^skipped' "$log" >>"$told"
fi
cat "$told"
rm -f "$log" "$told"
echo "$p $f $s" >"$folder/$name"
