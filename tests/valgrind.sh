#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a test program under valgrind, whose reports go to files that begin with $REPORTS.
# valgrind shows programs a processor without AVX-512, so that kgen's kernels are AVX2 there; their machine code is followed
# like any other. Some tests let child processes crash, exit and leak on purpose: those are run in silence.
case $(basename "$1") in
test_tune | test_worker | test_verify_broken | test_cache_layers | test_cache_sharing) silent=yes ;;
*) silent=no ;;
esac
exec valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
    --show-leak-kinds=definite,indirect,possible --child-silent-after-fork=$silent \
    --log-file="${REPORTS:?names the reports}.%p" "$@"
