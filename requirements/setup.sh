#!/usr/bin/env bash
# Install the pinned environment that fits this machine, and fasttier itself (editable) into it.
#
#     make setup                                        # picks, and says what and why
#     make setup KIND=cpu|gpu-train|gpu-serve|analysis|router    # you pick
#     make setup PYTHON=/path/to/python3.12
#
# gpu-serve goes into .venv-serve, everything else into .venv. Nothing happens while the pins are unchanged.
# WHOLE=1: for training or tests, so an environment of the kind analysis (`make profile`) is replaced.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 2; }

# "KIND in FOLDER" of the environment in folder $1, empty if there is none that this script made.
made_as() { cat "$1/fasttier-kind" 2>/dev/null || true; }

find_python() { # prints the interpreter
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            "$candidate" -c 'import ensurepip, venv' 2>/dev/null ||
                fail "$candidate has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)"
            command -v "$candidate"
            return
        fi
    done
    local found
    found=$("${PYTHON:-python3}" -V 2>/dev/null) || found='not to be run'
    fail "Python 3.11 to 3.13 is needed (${PYTHON:-python3} is $found);" \
        "install python3.11, or name one: make setup PYTHON=/path/to/python3.11"
}

install() { # KIND REASON
    local kind=$1 reason=$2 venv=.venv pins made stamp before python
    if [[ $kind == gpu-serve ]]; then venv=.venv-serve; fi
    pins=requirements/$kind.txt
    [[ -f $pins && $kind != */* ]] || fail "no kind '$kind'; there are: cpu, gpu-train, gpu-serve, analysis, router"
    made="$kind in $PWD"
    stamp="$made: $(cat "$pins" pyproject.toml | sha256sum | cut -d' ' -f1)"
    if [[ $(cat "$venv/fasttier-stamp" 2>/dev/null) == "$stamp" && -x $venv/bin/fasttier ]]; then
        say "$venv is up to date ($kind: $reason)"
        return
    fi
    say "$kind into $venv ($reason): $(grep -c '==' "$pins") pinned packages; KIND=... picks another"
    case "$kind $(uname -sm)" in
        *' Linux x86_64' | *' Linux aarch64') ;;
        gpu-*) fail "the $kind pins are for Linux on x86_64 or aarch64 and this is $(uname -sm)" ;;
        'cpu Darwin arm64') say "there is no vLLM for macOS: own models are served with transformers" ;;
        *' Darwin arm64') ;;
        *) fail "the pins are for Linux (x86_64, aarch64) and macOS (arm64) and this is $(uname -sm)" ;;
    esac
    before=$(made_as "$venv")
    if [[ -n $before && $before != "$made" ]]; then
        # torch 2.13.0+cpu satisfies torch==2.13.0, so one kind cannot grow out of another; and scripts hold the path
        # that they were installed to.
        say "$venv was made as $before: it is made anew"
        rm -rf "$venv"
    fi
    if [[ ! -x $venv/bin/python ]] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        "$python" -m venv --clear "$venv"
    fi
    rm -f "$venv/fasttier-stamp"
    echo "$made" >"$venv/fasttier-kind"

    export PIP_DISABLE_PIP_VERSION_CHECK=1
    "$venv/bin/python" -m pip install -qq --no-deps "$(grep '^uv==' "$pins")" ||
        fail "uv could not be installed into $venv (see above); 'make setup' again goes on where it stopped"
    "$venv/bin/python" requirements/install.py "$pins" || exit 2
    say "compiling the modules that fasttier imports"
    "$venv/bin/python" requirements/bytecode.py
    echo "$stamp" >"$venv/fasttier-stamp" # last, so that a run that broke half-way is not taken for a whole one
    say "done in $SECONDS s: $venv/bin/fasttier --help"
}

light=
if [[ $(made_as .venv) =~ ^(router|analysis)\  ]]; then light=${BASH_REMATCH[1]}; fi
if [[ -n ${KIND:-} ]]; then
    install "$KIND" 'as asked'
elif [[ -n ${WHOLE:-} && $light == router ]]; then
    # A router may be running from it.
    fail '.venv was made for a router, without what trains and tests: make setup KIND=cpu makes it anew'
elif [[ -n $light && -z ${WHOLE:-} ]]; then
    install "$light" 'as .venv was made'
elif nvidia-smi -L >/dev/null 2>&1; then
    gpu=$(nvidia-smi -L | head -1 | sed 's/ (UUID.*//')
    install gpu-train "$gpu"
    install gpu-serve "$gpu"
elif command -v nvidia-smi >/dev/null; then
    install cpu 'nvidia-smi is here but finds no GPU'
else
    install cpu 'no GPU: there is no nvidia-smi'
fi
