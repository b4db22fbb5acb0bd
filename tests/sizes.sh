#!/bin/sh
# SPDX-License-Identifier: MIT
# Fails where a source file of gen/, runtime/, tests/ or bench/ has more than 600 lines, or a function there more than 60.
# A function is counted from its opening brace to its closing one, without the tables in it: a table is a declaration of
# constants, "[static] const ... = {", that takes more than one line.
#     sh tests/sizes.sh [FOLDER]
cd "${1:-.}" || exit 1
files=$(find gen runtime tests bench -type f \( -name '*.c' -o -name '*.h' -o -name '*.sh' \) 2>/dev/null | sort)
[ -n "$files" ] || { echo "no source file was found in gen/, runtime/, tests/ and bench/"; exit 1; }
# shellcheck disable=SC2086
awk -v FILE_LINES=600 -v FUNCTION_LINES=60 '
function fail(message) {
    print message
    failures++
}
function end_file() {
    if (file != "" && lines > FILE_LINES)
        fail(file ":" lines ": the file has " lines " lines, " FILE_LINES " is the most: split it by subject")
}
FNR == 1 {
    end_file()
    file = FILENAME
    inside = 0
    table = ""
    code = file ~ /\.[ch]$/
}
{ lines = FNR }
!code { next }
/^{$/ {
    inside = 1
    begin = FNR
    counted = 0
}
!inside { next }
!table && /^ +(static )?const [^;]* = {/ && !/;$/ { table = "rows" }
!table && /^ +(static )?const (struct|union) ?{$/ { table = "type" }
!table { counted++ }
table == "rows" && /;$/ { table = "" }
table == "type" && / = {/ { table = /;$/ ? "" : "rows" }
/^}/ {
    functions++
    if (counted > FUNCTION_LINES)
        fail(file ":" begin ": this function has " counted " lines besides its tables, " FUNCTION_LINES " is the most")
    inside = 0
    table = ""
}
END {
    end_file()
    if (!functions)
        fail("no function was found in gen/, runtime/, tests/ and bench/")
    exit failures > 0
}' $files
