#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches the programs that kgen is held against, from PyPI, and builds them in FOLDER: llama.cpp from the sources of
# llama-cpp-python, and MLX in a virtual environment. What is there already is neither fetched nor built again. Used by
# `make bench-peers`. Prints the folder of llama.cpp's programs, or the python3 that has MLX.
#     sh bench/peers.sh llama FOLDER
#     sh bench/peers.sh mlx FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
what=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
python=${PYTHON3:-python3}
llama=${LLAMA_PACKAGE:-llama-cpp-python==0.3.36}
mlx=${MLX_PACKAGE:-mlx[cpu]}
programs="llama-bench test-backend-ops llama-perplexity"

fail() {
    echo "error: $1." >&2
    echo "  Without a network: copy a build of llama.cpp to this machine ($programs), and call" >&2
    echo "    make bench-peers PEERS=path/to/build MLX=no" >&2
    exit 1
}

say() {
    echo "bench-peers: $1" >&2
}

# What a private environment and a build need of Debian, where it is not there in another way.
need() {
    command -v c++ >/dev/null && "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        sh "$here/../tests/install-packages.sh" python3-venv python3-pip g++ >&2 ||
        fail "Debian's packages python3-venv, python3-pip and g++ cannot be installed"
}

# A private environment, made once.
environment() {
    [ -x "$1/bin/python3" ] || "$python" -m venv "$1" >&2 ||
        fail "$python makes no private environment in $1"
}

install() {
    into=$1
    shift
    "$into/bin/python3" -m pip install --quiet --disable-pip-version-check "$@" >&2
}

fetch_llama() {
    need
    environment "$folder/venv"
    say "fetching the tools that unpack and build $llama"
    install "$folder/venv" scikit-build-core || fail "pip cannot install scikit-build-core"
    command -v cmake >/dev/null || install "$folder/venv" cmake || fail "pip cannot install cmake"
    command -v ninja >/dev/null || install "$folder/venv" ninja || fail "pip cannot install ninja"
    say "fetching the sources of $llama (about 70 MB)"
    rm -rf "$folder/parts"
    mkdir "$folder/parts"
    "$folder/venv/bin/python3" -m pip download --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --no-binary llama-cpp-python --dest "$folder/parts" "$llama" >&2 || fail "pip cannot fetch the sources of $llama"
    say "unpacking"
    for archive in "$folder"/parts/*.tar.gz; do
        tar -xzf "$archive" -C "$folder/parts" || fail "$archive cannot be unpacked"
    done
    set -- "$folder"/parts/*/vendor/llama.cpp
    [ -f "$1/CMakeLists.txt" ] || fail "the sources of $llama hold no vendor/llama.cpp"
    rm -rf "$folder/llama.cpp"
    mv "$1" "$folder/llama.cpp"
    echo "$llama" >"$folder/llama.cpp/package"
    rm -rf "$folder/parts"
}

build_llama() {
    PATH=$PATH:$folder/venv/bin
    say "building llama.cpp (about 10 minutes on 2 cores)"
    nice -n 10 cmake -S "$folder/llama.cpp" -B "$folder/llama.cpp/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
        -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF >"$folder/configure.log" 2>&1 || fail "cmake fails: see $folder/configure.log"
    # shellcheck disable=SC2086
    nice -n 10 ninja -C "$folder/llama.cpp/build" $programs >&2 || fail "llama.cpp cannot be built"
}

case $what in
llama)
    ready=yes
    for program in $programs; do [ -x "$folder/llama.cpp/build/bin/$program" ] || ready=no; done
    if [ $ready = no ]; then
        [ -f "$folder/llama.cpp/package" ] || fetch_llama
        build_llama
    fi
    echo "$folder/llama.cpp/build/bin"
    ;;
mlx)
    [ -x "$folder/mlx/bin/python3" ] || need
    environment "$folder/mlx"
    if ! "$folder/mlx/bin/python3" -c 'import mlx.core' 2>/dev/null; then
        say "fetching $mlx"
        install "$folder/mlx" "$mlx" || { say "pip cannot install $mlx: MLX is left out"; exit 1; }
        "$folder/mlx/bin/python3" -c 'import mlx.core' >&2 || { say "MLX does not run on this machine: it is left out"; exit 1; }
    fi
    echo "$folder/mlx/bin/python3"
    ;;
*)
    echo "usage: sh bench/peers.sh llama|mlx FOLDER" >&2
    exit 2
    ;;
esac
