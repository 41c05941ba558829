#!/bin/sh
# A document for each line of standard input. The command has no placeholder, so each gets its document on its own
# standard input.
set -eu
cd "$(dirname "$0")"
printf 'one\ntwo\nthree\n' | ${EVENKEEL:-cargo run --release --quiet --} run --keep-order -- sh -c 'tr a-z A-Z; echo'
