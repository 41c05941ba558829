#!/bin/sh
# A document for each file that matches; its length is its size. The pattern is quoted: evenkeel matches it, not the shell.
set -eu
cd "$(dirname "$0")"
${EVENKEEL:-cargo run --release --quiet --} run --keep-order --files 'inputs/orders.*' -- wc -l {}
