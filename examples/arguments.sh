#!/bin/sh
# A document for each word after `:::`, on two nodes with one slot each.
set -eu
cd "$(dirname "$0")"
${EVENKEEL:-cargo run --release --quiet --} run --nodes 2 -j 1 --keep-order -- factor {} ::: 60 97 1001 65537
