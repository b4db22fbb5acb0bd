#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs cmocka test programs and ends with one line that counts every test. Exit status 1 where one failed, or none ran.
# RUNNER: a command that runs each of them. REPORTS: what a sanitizer or valgrind has to say comes in files of names that
# begin so, and a program is a failure where there is one that is not empty.
set -u
# The templates in use are those of the binary, whatever the user of this machine has kept.
export KGEN_TEMPLATES_DIR=
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
reported() {
    [ -n "${REPORTS:-}" ] && find "$(dirname "$REPORTS")" -maxdepth 1 -name "$(basename "$REPORTS")*" -size +0 | grep -q .
}
[ -z "${REPORTS:-}" ] || rm -f "$REPORTS"*
for program in "$@"; do
    name=$(basename "$program")
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
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" -gt 0 ]; then
        echo "FAILED  $name (exit status $status)"
        cat "$log"
    else
        echo "ok      $name: $p passed, $s skipped"
        grep -i '^skipped' "$log"
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
