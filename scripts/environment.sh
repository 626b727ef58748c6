#!/bin/sh
# Makes a virtual environment from hashed requirements, on a machine that has only Python and make.
#
#     scripts/environment.sh FOLDER REQUIREMENTS [--with-project]
#
# Does nothing when neither the requirements nor the project's own settings changed. PYTHON=... names the Python to use.
set -eu
cd "$(dirname "$0")/.."
folder=$1
requirements=$2
project=${3:-}
stamp=$folder/.antiphon-stamp
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0

say() { printf '%s\n' "$*" >&2; }

version() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }

# Is this Python new enough, and (where a second word is given) no newer than what Antiphon is tested on?
fits() {
    "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, ${2:-99}))" 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" && printf '%s' "$PYTHON"
        return
    fi
    for python in python3 python3.13 python3.12 python3.11; do
        if fits "$python" 13; then printf '%s' "$python" && return; fi
    done
    fits python3 && printf python3
}

# What the environment was made of; another place counts as a change, because its scripts name their own path.
contents() {
    pwd -P
    cat "$requirements"
    if [ -n "$project" ]; then cat pyproject.toml; fi
}

if fits "$folder/bin/python"; then
    if [ -n "${PYTHON:-}" ] && [ "$(version "$PYTHON")" != "$(version "$folder/bin/python")" ]; then
        say "$folder has Python $(version "$folder/bin/python"), PYTHON=$PYTHON asks for another: making it anew."
        rebuild=yes
    elif [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" != "$(pwd -P)" ]; then
        say "$folder was made in another place: making it anew."
        rebuild=yes
    elif [ -f "$stamp" ] && contents | cmp -s - "$stamp"; then
        exit 0
    else
        rebuild=no
    fi
else
    [ ! -e "$folder" ] || say "$folder has no Python that works and is 3.11 or newer: making it anew."
    rebuild=yes
fi

if [ $rebuild = yes ]; then
    if ! python=$(find_python); then
        say "Antiphon needs Python 3.11 or newer, and found: ${PYTHON:-python3} $(version "${PYTHON:-python3}" || echo "(none)")."
        say "Install one (on Debian or Ubuntu: apt-get install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3.12"
        exit 2
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        say "$python (Python $(version "$python")) has no module venv, which makes environments."
        say "On Debian or Ubuntu install it with: apt-get install python3-venv"
        exit 2
    fi
    say "Making $folder with Python $(version "$python")."
    "$python" -m venv --clear "$folder"
fi

# An environment that another tool made may have no pip.
"$folder/bin/python" -m pip --version >/dev/null 2>&1 || "$folder/bin/python" -m ensurepip --default-pip >/dev/null

# Shows where pip is; all that it said only when it fails.
follow() {
    [ -t 2 ] && end='\r' || end='\n'
    awk -v total="$1" -v end="$end" '
        function show(text) { printf "  %-60s" end, text >"/dev/stderr" }
        $1 == "pip-ended-with" { status = $2; next }
        { said = said $0 "\n" }
        $1 == "Collecting" || $1 == "Processing" || $1 " " $2 == "Requirement already" {
            count++
            name = $1 == "Requirement" ? $4 : $2
            sub(".*/", "", name)
            if (end == "\r" || count % 20 == 0) show(count " of " total ": " name)
        }
        /^Installing collected/ { show("installing them") }
        END { if (end == "\r") show(""); if (status) printf "%s", said >"/dev/stderr"; exit status }
    '
}

install() {
    { "$folder/bin/python" -m pip install --progress-bar off "$@" 2>&1 || echo "pip-ended-with $?"; } | follow "$packages"
}

packages=$(grep -c '==' "$requirements")
say "Fetching and installing up to $packages packages (the first time this takes a minute or two)."
if ! install --require-hashes -r "$requirements"; then
    say "The packages could not be installed: see pip's words above. Check the network, a proxy (HTTPS_PROXY) or the"
    say "package index (PIP_INDEX_URL), then run the same command again; what was fetched is kept."
    exit 1
fi
if [ -n "$project" ]; then
    "$folder/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
fi
contents >"$stamp"
say "$folder is ready."
