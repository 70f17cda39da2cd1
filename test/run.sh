#!/usr/bin/env bash
# Runs every test and closes with the line "N passed, N failed, N skipped", counted from the JUnit report.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
report=.cache/junit.xml
rm -f "$report"
bun test --timeout 60000 --reporter=junit --reporter-outfile="$report"
status=$?
bun test/summary.ts "$report" || status=1
exit "$status"
