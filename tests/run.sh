#!/usr/bin/env bash
# Runs every test, and says at the end how many ran on each engine and what could not run here.
# A test that cannot run names itself in the file CHARTCHEK_DB_TESTS_NOT_RUN; it is counted as not run, not as passed.
set -uo pipefail
cd "$(dirname "$0")/.."
CHARTCHEK_DB_TESTS_NOT_RUN=$(mktemp)
export CHARTCHEK_DB_TESTS_NOT_RUN
log=$(mktemp)
trap 'rm -f "$CHARTCHEK_DB_TESTS_NOT_RUN" "$log"' EXIT

cargo test --locked --no-fail-fast --all-targets "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

awk -v not_run_file="$CHARTCHEK_DB_TESTS_NOT_RUN" '
    BEGIN {
        while ((getline line < not_run_file) > 0) {
            split(line, part, "\t")
            if (!(part[1] in not_run)) { not_run[part[1]] = part[2]; skipped++ }
        }
    }
    # "     Running tests/migrate.rs (target/…)": which file the tests that follow are in
    /^ +Running / { binary = $2; if (binary == "unittests") binary = $3 }
    /^test .* \.\.\. / {
        name = $2
        if ($0 ~ /should panic/) name = $2
        if (name in not_run) next
        if ($NF == "FAILED") { failed++; next }
        if ($NF != "ok") next
        passed++
        engine = "no server"
        if (binary ~ /container/) engine = "docker"
        else if (name ~ /embedded/) engine = "embedded"
        else if (binary ~ /^tests\// && binary !~ /floors|contract_text/) engine = "local"
        count[engine]++
    }
    END {
        print "\nTests that ran, by engine:"
        split("embedded local docker", engines, " ")
        for (i = 1; i <= 3; i++) printf "  %-10s %d\n", engines[i], count[engines[i]]
        printf "  %-10s %d\n", "no server", count["no server"]
        if (skipped) {
            print "\nNOT RUN here:"
            for (name in not_run) printf "  %s: %s\n", name, not_run[name]
        }
        printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped
    }
' "$log"
exit "$status"
