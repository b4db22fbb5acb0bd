#!/bin/sh
# SPDX-License-Identifier: MIT
# Fails where a file of gen/ or runtime/ includes one of a higher folder, and names both files.
# Usage: arrows.sh [TOP]. TOP is the folder that holds gen/ and runtime/, by default the current one.
set -eu
cd "${1:-.}"

# The order, lowest first. A file may include files of its own line and of the lines above it. What a line names
# includes its subfolders.
order='
gen/base
gen/ops
gen/spec
gen/template
gen/target
gen/emit
runtime/process
runtime/machine
runtime/jit
runtime/prove
runtime/cache
runtime/tune
runtime/model
runtime/api runtime/kgen.h
runtime/command
'

find gen runtime -name '*.[ch]' | LC_ALL=C sort | ORDER=$order awk '
function level(path,    length_found, found, name) {
    for (name in level_of)
        if ((path == name || index(path, name "/") == 1) && length(name) > length_found) {
            length_found = length(name)
            found = level_of[name]
        }
    return found
}
function fail(message) {
    print message
    failures++
}
BEGIN {
    lines = split(ENVIRON["ORDER"], line, "\n")
    for (i = 1; i <= lines; i++) {
        names = split(line[i], name, " ")
        for (j = 1; j <= names; j++)
            level_of[name[j]] = i
    }
}
{
    file = $0
    if (!level(file))
        fail(file ": its folder is not in the order of tests/arrows.sh")
    while ((getline text < file) > 0) {
        if (text !~ /^[ \t]*#[ \t]*include[ \t]*["<]/)
            continue
        quoted = text ~ /include[ \t]*"/
        sub(/^[^"<]*["<]/, "", text)
        sub(/[">].*/, "", text)
        if (!quoted && text !~ /^(gen|runtime)\//)
            continue
        includes++
        if (!level(text))
            fail(file " includes " text ": write the path from the top, in a folder of the order")
        else if (level(text) > level(file))
            fail(file " includes " text ", which is higher")
    }
    close(file)
}
END {
    if (!includes)
        fail("no include was found in gen/ and runtime/")
    exit failures > 0
}'
