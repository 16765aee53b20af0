#!/usr/bin/env bash
# Runs every test, and says at the end how many ran on each engine and what could not run here.
#
# A test that finds, while it runs, that it cannot, names itself in the file CHARTCHEK_DB_TESTS_NOT_RUN; it is counted as
# not run, not as passed. Where no PostgreSQL is installed, the test files that start one run only what runs embedded
# (the tests with that word, and not "local", in their name), and the others are counted as not run. CHARTCHEK_DB_TESTS_WITHOUT_LOCAL=1
# makes it so where one is installed.
set -uo pipefail
cd "$(dirname "$0")/.."
CHARTCHEK_DB_TESTS_NOT_RUN=$(mktemp)
export CHARTCHEK_DB_TESTS_NOT_RUN
log=$(mktemp)
trap 'rm -f "$CHARTCHEK_DB_TESTS_NOT_RUN" "$log"' EXIT

found_postgres() {
    [ -z "${CHARTCHEK_DB_TESTS_WITHOUT_LOCAL:-}" ] || return 1
    [ -z "${PGBIN:-}" ] || [ ! -x "$PGBIN/initdb" ] || return 0
    command -v initdb >/dev/null && return 0
    local folder
    for folder in /usr/lib/postgresql/1[5-8]/bin /opt/homebrew/opt/postgresql@1[5-8]/bin; do
        [ -x "$folder/initdb" ] && return 0
    done
    return 1
}

# The test files that start a PostgreSQL themselves, or run the local engine.
local_files=$(grep -l -E 'mod (cluster|server|support)|"local"' tests/*.rs tests/*/*.rs |
    sed -E 's|tests/([a-z_]+).*|\1|' | grep -v -E '^(support|container)$' | sort -u)

status=0
run() { cargo test --locked --no-fail-fast "$@" 2>&1 | tee -a "$log"; local code=${PIPESTATUS[0]}; [ "$code" = 0 ] || status=$code; }

if found_postgres; then
    run --all-targets
else
    files=() with_local=()
    for file in tests/*.rs; do
        name=$(basename "$file" .rs)
        if grep -q -x "$name" <<<"$local_files"; then with_local+=(--test "$name"); else files+=(--test "$name"); fi
    done
    run --lib --bins "${files[@]}"
    run "${with_local[@]}" embedded -- --skip local
    cargo test --locked --quiet "${with_local[@]}" -- --list 2>/dev/null | sed -n 's/: test$//p' |
        awk '!/embedded/ || /local/' |
        sed 's/$/\tno PostgreSQL 15 or newer is installed here/' >>"$CHARTCHEK_DB_TESTS_NOT_RUN"
fi

awk -v not_run_file="$CHARTCHEK_DB_TESTS_NOT_RUN" -v local_files="$local_files" '
    BEGIN {
        while ((getline line < not_run_file) > 0) {
            split(line, part, "\t")
            not_run[part[1]] = part[2]
            skipped++
        }
        split(local_files, names, "\n")
        for (i in names) is_local[names[i]] = 1
    }
    # "     Running tests/migrate.rs (target/…)": the file that the tests after it are in
    /^ +Running / {
        file = $2
        sub(/^tests\//, "", file)
        sub(/\.rs$/, "", file)
    }
    /^test .* \.\.\. (ok|FAILED)$/ {
        name = $2
        if (name in not_run) next
        if ($NF == "FAILED") { failed++; next }
        passed++
        engine = "no server"
        if (file == "container") engine = "docker"
        else if (name ~ /embedded/) engine = "embedded"
        else if (file in is_local) engine = "local"
        count[engine]++
    }
    END {
        print "\nTests that passed, by engine:"
        n = split("embedded local docker", engines, " ")
        for (i = 1; i <= n; i++) printf "  %-10s %d\n", engines[i], count[engines[i]]
        printf "  %-10s %d\n", "no server", count["no server"]
        if (skipped) {
            print "\nNOT RUN here:"
            for (name in not_run) printf "  %s: %s\n", name, not_run[name]
        }
        printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped
    }
' "$log"
exit "$status"
