#!/bin/sh
# A document for each line of JSON. The field `pages` is its length: what has most pages starts first. Fields may be nested.
# Fields reach the shell as arguments ($1, $2), never as part of the script: whatever they hold is not run.
set -eu
cd "$(dirname "$0")"
${EVENKEEL:-cargo run --release --quiet --} run --keep-order --jsonl inputs/orders.jsonl --length-field pages -- \
    sh -c 'echo "$1: $2 pages, $3 bytes"' sh {.id} {.pages} {.size.bytes}
