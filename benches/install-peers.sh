#!/usr/bin/env bash
# Installs what `make bench-migrate` and `make bench-lint` compare with, and the tests of refinery_cli run, without touching what is installed:
#   benches/install-peers.sh [refinery|sqlx|dbmate|supabase|sqitch|squawk]…     all of them where none is named
# They go into ~/.cache/chartchek-db-peers, or CHARTCHEK_DB_PEERS; sqitch is Debian's and needs root. What cannot be
# installed is said, and is printed as absent by the benchmark.
set -uo pipefail

peers=${CHARTCHEK_DB_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/chartchek-db-peers}
mkdir -p "$peers/bin"
failed=0

# The build folder is shared by both crates and goes away; what was installed stays.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

from_cargo() { # program crate version features
    [ -x "$peers/bin/$1" ] || cargo install --quiet --locked --root "$peers" --target-dir "$build" \
        "$2" --version "$3" --no-default-features --features "$4"
}

from_npm() { # program, its package, and the scope of the packages with the program for each platform
    [ -e "$peers/bin/$1" ] && return
    # Install scripts would download more from elsewhere: without them a package has what its registry has.
    npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$peers" "$2" || return
    # The program itself, not the script for Node.js that starts it: that alone takes longer than a migration.
    local program
    program=$(find "$peers/node_modules/$3" -type f -path "*/bin/$1" | head -n 1)
    [ -n "$program" ] && ln -sf "$program" "$peers/bin/$1"
}

install() {
    case $1 in
    refinery) from_cargo refinery refinery_cli 0.10.0 postgresql ;;
    sqlx) from_cargo sqlx sqlx-cli 0.9.0 postgres,rustls ;;
    dbmate) from_npm dbmate dbmate @dbmate ;;
    supabase) from_npm supabase supabase @supabase ;;
    squawk) from_npm squawk squawk-cli @squawk-cli ;;
    sqitch) command -v sqitch >/dev/null || apt-get install -y -qq --no-install-recommends sqitch libdbd-pg-perl postgresql-client ;;
    *) echo "no such peer: $1" >&2; return 2 ;;
    esac
}

[ $# -gt 0 ] || set -- refinery sqlx dbmate supabase sqitch squawk
for peer; do
    if install "$peer"; then
        echo "installed: $peer"
    else
        echo "NOT installed: $peer" >&2
        failed=1
    fi
done
echo "to use them: export PATH=\"$peers/bin:\$PATH\""
exit "$failed"
