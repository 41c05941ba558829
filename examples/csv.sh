#!/bin/sh
# A document for each row of a CSV file. The header line names the fields.
set -eu
cd "$(dirname "$0")"
${EVENKEEL:-cargo run --release --quiet --} run --keep-order --csv inputs/orders.csv --length-field pages -- \
    echo {.id} {.customer} {.pages}
