#!/bin/sh
# A document for each line of a file.
set -eu
cd "$(dirname "$0")"
${EVENKEEL:-cargo run --release --quiet --} run --keep-order -a inputs/lines.txt -- echo 'document {n} is {}'
