#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into a folder, builds the example from there in every way a user may, runs it, and uninstalls.
# FOLDER has a small checkpoint, model.gguf. Usage: install.sh FOLDER. Prints what failed; exit status 0 where nothing did.
set -eu
folder=$1
prefix=$folder/prefix
unset MAKEFLAGS MAKELEVEL MFLAGS 2>/dev/null || true
make -s install PREFIX="$prefix" BUILD=build CFLAGS="-O2 -g" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }

for file in bin/kgen include/kgen.h lib/libkgen.a lib/libkgen.so lib/pkgconfig/kgen.pc share/kgen/specs/qwen.json \
    share/man/man1/kgen.1 share/bash-completion/completions/kgen share/zsh/site-functions/_kgen \
    share/doc/kgen/README.md share/doc/kgen/templates/README.md share/doc/kgen/runtime/text.md; do
    [ -s "$prefix/$file" ] || { echo "$file is not installed"; exit 1; }
done
# Every document is there.
for file in $(find . -name '*.md' ! -path './build*' ! -path './out/*'); do
    [ -s "$prefix/share/doc/kgen/$file" ] || { echo "$file is not installed"; exit 1; }
done

# What the libraries export is what is listed.
nm -g --defined-only "$prefix/lib/libkgen.a" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort >"$folder/static"
nm -D --defined-only "$prefix/lib/libkgen.so" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort >"$folder/shared"
sed -n 's/^KGEN_API .*[ *]\(kgen_[a-z_]*\)(.*/\1/p' "$prefix/include/kgen.h" | LC_ALL=C sort >"$folder/declared"
for list in static shared declared; do
    diff tests/exported-symbols.txt "$folder/$list" || { echo "the $list symbols differ from tests/exported-symbols.txt"; exit 1; }
done
# Every one of them is called by a test.
while read -r symbol; do
    grep -q "$symbol(" tests/test_api*.c tests/api_fixture.c tests/model_fixture.c || { echo "no test calls $symbol"; exit 1; }
done <tests/exported-symbols.txt

# The header stands alone, in C and C++.
echo '#include <kgen.h>' >"$folder/header.c"
cp "$folder/header.c" "$folder/header.cpp"
for compiler in "gcc -std=c11 -pedantic" "clang -std=c11 -pedantic" "g++ -std=c++11" "clang++ -std=c++11"; do
    name=${compiler%% *}
    case $name in *++) source=$folder/header.cpp ;; *) source=$folder/header.c ;; esac
    command -v "$name" >/dev/null || continue
    $compiler -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include" "$source" || exit 1
done

PKG_CONFIG_PATH=$prefix/lib/pkgconfig
KGEN_CACHE_DIR=$folder/cache
export PKG_CONFIG_PATH KGEN_CACHE_DIR
${CC:-cc} -o "$folder/shared-program" "$prefix/share/kgen/examples/down_proj.c" $(pkg-config --cflags --libs kgen) -pthread \
    -Wl,-rpath,"$prefix/lib"
${CC:-cc} -o "$folder/static-program" "$prefix/share/kgen/examples/down_proj.c" $(pkg-config --cflags kgen) \
    "$prefix/lib/libkgen.a" $(pkg-config --libs-only-l --static kgen | sed 's/-lkgen//')
cat >"$folder/spec.json" <<'SPEC'
{"kgen_schema": 1, "problems": [{"op": "qmv", "N": 100, "K": 256, "bits": 4, "group_size": 64, "tensors": "layers.*.mlp.down_proj"}]}
SPEC
for program in shared-program static-program; do
    said=$("$folder/$program" "$folder/spec.json" 2>&1) || { echo "$program: $said"; exit 1; }
    [ "$said" = "100 rows, y[0] = 0" ] || { echo "$program said: $said"; exit 1; }
    if "$folder/$program" /nowhere.json 2>"$folder/said"; then echo "$program took a spec that is not there"; exit 1; fi
    grep -q '^/nowhere.json: ' "$folder/said" || { echo "$program did not say what is wrong"; exit 1; }
done

# README.md's program, with the spec that it names, and runtime/library.md's, which is the example that is installed.
block() {
    awk -v start="$2" 'index($0, start) > 0 { on = 1; next }
        on && /^    / { seen = 1; print substr($0, 5); next }
        on && seen && $0 != "" { exit }
        on && seen { print "" }' "$1"
}
block README.md "mine.json is a list of one matrix:" >"$folder/mine.json"
block README.md "library.c calls" | sed '/^cc /d' >"$folder/library.c"
grep -q kgen_function_run "$folder/library.c" || { echo "README.md has no library.c"; exit 1; }
${CC:-cc} -Wall -Wextra -Werror -o "$folder/library" "$folder/library.c" $(pkg-config --cflags --libs kgen) -Wl,-rpath,"$prefix/lib"
said=$(cd "$folder" && ./library 2>&1) || { echo "library.c: $said"; exit 1; }
[ "$said" = "512 rows, y[0] = 0" ] || { echo "library.c said: $said"; exit 1; }
block runtime/library.md "brings its own threads:" | sed '/^cc /,$d' >"$folder/listed.c"
sed 1d tests/examples/down_proj.c | diff -B "$folder/listed.c" - || { echo "runtime/library.md's program is not tests/examples/down_proj.c"; exit 1; }
# Text from a model, as the command gives it.
for way in shared static; do
    libraries=$(pkg-config --libs kgen)
    [ $way = shared ] || libraries="$prefix/lib/libkgen.a $(pkg-config --libs-only-l --static kgen | sed 's/-lkgen//')"
    ${CC:-cc} -Wall -Wextra -Werror -o "$folder/$way-text" "$prefix/share/kgen/examples/text.c" $(pkg-config --cflags kgen) \
        $libraries -Wl,-rpath,"$prefix/lib"
    "$folder/$way-text" "$folder/model.gguf" "abc user" 12 >"$folder/$way-said" 2>&1 || { cat "$folder/$way-said"; exit 1; }
    "$prefix/bin/kgen" generate "$folder/model.gguf" -p "abc user" -n 12 -q --tune-seconds 0.1 >"$folder/command-said"
    [ "$(wc -c <"$folder/command-said")" -gt 4 ] || { echo "the command said next to nothing"; exit 1; }
    cmp -s "$folder/$way-said" "$folder/command-said" || { cat "$folder/$way-said" "$folder/command-said"; exit 1; }
    if "$folder/$way-text" /nowhere.gguf x 1 >/dev/null 2>"$folder/said"; then echo "$way-text took a model that is not there"; exit 1; fi
    grep -q '^/nowhere.gguf: ' "$folder/said" || { echo "$way-text did not say what is wrong"; exit 1; }
done

make -s uninstall PREFIX="$prefix" >>"$folder/log" 2>&1
left=$(find "$prefix" -type f -o -type l)
[ -z "$left" ] || { echo "left after uninstall: $left"; exit 1; }
