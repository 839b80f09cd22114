#!/usr/bin/env bash
# Install the pinned environment that fits this machine, and fasttier itself (editable) into it.
#
#     make setup                                        # picks, and says what and why
#     make setup KIND=cpu|gpu-train|gpu-serve|router    # you pick
#     make setup PYTHON=/path/to/python3.12
#
# gpu-serve goes into .venv-serve, everything else into .venv. Nothing happens while the pins are unchanged.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 2; }

# "KIND in FOLDER" of the environment in folder $1, empty if there is none that this script made.
made_as() { cat "$1/fasttier-kind" 2>/dev/null || true; }

# Progress bars are for people.
quiet=-qq
if [[ -t 1 ]]; then quiet=--progress-bar=on; fi

find_python() { # prints the interpreter
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import ensurepip, venv' 2>/dev/null ||
                fail "$candidate has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)"
            command -v "$candidate"
            return
        fi
    done
    local found
    found=$("${PYTHON:-python3}" -V 2>/dev/null) || found='not to be run'
    fail "Python 3.11 or newer is needed (${PYTHON:-python3} is $found);" \
        "install python3.11, or name one: make setup PYTHON=/path/to/python3.11"
}

# The +cpu wheel is on no package index; machines without a local copy take it from PyTorch's own.
install_cpu_torch() { # VENV PIN
    "$1/bin/python" -m pip install "$quiet" --no-deps "$2" 2>/dev/null ||
        "$1/bin/python" -m pip install "$quiet" --no-deps --index-url https://download.pytorch.org/whl/cpu "$2" ||
        fail "$2 was found neither where pip looks nor on https://download.pytorch.org/whl/cpu"
}

install() { # KIND REASON
    local kind=$1 reason=$2 venv=.venv pins made stamp before python
    if [[ $kind == gpu-serve ]]; then venv=.venv-serve; fi
    pins=requirements/$kind.txt
    [[ -f $pins && $kind != */* ]] || fail "no kind '$kind'; there are: cpu, gpu-train, gpu-serve, router"
    made="$kind in $PWD"
    stamp="$made: $(cat "$pins" pyproject.toml | sha256sum | cut -d' ' -f1)"
    if [[ $(cat "$venv/fasttier-stamp" 2>/dev/null) == "$stamp" && -x $venv/bin/fasttier ]]; then
        say "$venv is up to date ($kind: $reason)"
        return
    fi
    say "$kind into $venv ($reason): $(grep -c '==' "$pins") pinned packages, some minutes; KIND=... picks another"
    if [[ $kind != router && $(uname -sm) != 'Linux x86_64' ]]; then
        fail "the $kind pins are for Linux x86_64 and this is $(uname -sm); KIND=router is the one that may work here"
    fi
    before=$(made_as "$venv")
    if [[ -n $before && $before != "$made" ]]; then
        # pip takes torch 2.13.0+cpu for torch 2.13.0, so one kind cannot grow out of another; and scripts hold the
        # path that they were installed to.
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
    if [[ $kind == cpu ]]; then install_cpu_torch "$venv" "$(grep '^torch==' "$pins")"; fi
    "$venv/bin/python" -m pip install "$quiet" --no-deps -r "$pins" ||
        fail "$pins could not be installed into $venv (see above); 'make setup' again goes on where it stopped"
    "$venv/bin/python" -m pip install "$quiet" --no-deps --no-build-isolation -e . ||
        fail "fasttier itself could not be installed into $venv (see above)"
    echo "$stamp" >"$venv/fasttier-stamp" # last, so that a run that broke half-way is not taken for a whole one
    say "done: $venv/bin/fasttier --help"
}

if [[ -n ${KIND:-} ]]; then
    install "$KIND" 'as asked'
elif [[ $(made_as .venv) == router\ * ]]; then
    install router 'as .venv was made'
elif nvidia-smi -L >/dev/null 2>&1; then
    gpu=$(nvidia-smi -L | head -1 | sed 's/ (UUID.*//')
    install gpu-train "$gpu"
    install gpu-serve "$gpu"
elif command -v nvidia-smi >/dev/null; then
    install cpu 'nvidia-smi is here but finds no GPU'
else
    install cpu 'no GPU: there is no nvidia-smi'
fi
