#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs cmocka test programs and ends with one line that counts every test. Exit status 1 where one failed, or none ran.
# JOBS: how many run beside each other; half of the processors, at least 2, where it is not set. RUNNER: a command that
# runs each of them. REPORTS: what a sanitizer or valgrind has to say comes in files of names that begin so, and a
# program is a failure where there is one that is not empty; the programs run one after another then.
set -u
# The templates in use are those of the binary, whatever the user of this machine has kept.
export KGEN_TEMPLATES_DIR=
cores=$(getconf _NPROCESSORS_ONLN)
[ "$cores" -ge 4 ] && jobs=$((cores / 2)) || jobs=2
[ "$cores" -ge 2 ] && [ -z "${REPORTS:-}" ] || jobs=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
[ $# -eq 0 ] || printf '%s\0' "$@" | xargs -0 -n 1 -P "${JOBS:-$jobs}" sh "$(dirname "$0")/run-one.sh" "$folder"
for program in "$@"; do
    # A program that ended its runner has failed.
    cat "$folder/$(basename "$program")" 2>/dev/null || echo 0 1 0
done | awk '
    { passed += $1; failed += $2; skipped += $3 }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 || passed == 0 }'
