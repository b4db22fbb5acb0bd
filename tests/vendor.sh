#!/bin/sh
# SPDX-License-Identifier: MIT
# Takes the three files of README.md's example in C++ and CMake, and does with them what it says.
# Usage: vendor.sh KGEN FOLDER. Prints what failed; exit status 0 where nothing did, 77 where there is no cmake.
set -eu
kgen=$1
folder=$2
command -v cmake >/dev/null && command -v c++ >/dev/null || exit 77

# The first block of indented lines behind the line that begins with a text.
block() {
    awk -v start="$1" 'index($0, start) == 1 { on = 1; next }
        on && /^    / { seen = 1; print substr($0, 5); next }
        on && seen && $0 != "" { exit }
        on && seen { print "" }' README.md
}
block "mine.json is a list" >"$folder/mine.json"
block "CMakeLists.txt compiles" >"$folder/CMakeLists.txt"
block "main.cpp calls" >"$folder/main.cpp"
for file in mine.json CMakeLists.txt main.cpp; do
    [ -s "$folder/$file" ] || { echo "README.md has no $file"; exit 1; }
done
cd "$folder"
unset MAKEFLAGS MAKELEVEL MFLAGS 2>/dev/null || true
"$kgen" mine.json --effort estimate --no-cache -q -o kernels >log || { cat log; exit 1; }
CXXFLAGS="-Wall -Wextra -Werror" CFLAGS="-Wall -Wextra -Werror" cmake -S . -B build >log 2>&1 || { cat log; exit 1; }
cmake --build build >log 2>&1 || { cat log; exit 1; }
said=$(./build/app)
[ "$said" = "y[0] = 256" ] || { echo "the program said: $said"; exit 1; }
# The example that comes along, by its Makefile.
env -u MAKEFLAGS -u CFLAGS -u BUILD make -s -C kernels/example >log 2>&1 || { cat log; exit 1; }
kernels/example/build/example >log || { cat log; exit 1; }
# Nothing that was built lies beside sources, and a build elsewhere leaves nothing at all.
left=$(find kernels -name '*.o' ! -path 'kernels/example/build/*')
[ -z "$left" ] || { echo "built beside sources: $left"; exit 1; }
env -u MAKEFLAGS -u CFLAGS make -s -C kernels/example clean BUILD=build >log 2>&1 || { cat log; exit 1; }
rmdir kernels/example/build
env -u MAKEFLAGS -u CFLAGS make -s -C kernels/example BUILD="$PWD/elsewhere" >log 2>&1 || { cat log; exit 1; }
elsewhere/example >log || { cat log; exit 1; }
[ ! -e kernels/example/build ] || { echo "BUILD is not honoured"; exit 1; }
