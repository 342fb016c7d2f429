#!/bin/sh
# Captures changes, copies, catches up, compares, and follows until Ctrl-C. Call it again and it goes on.
# `4_sync.sh --until-caught-up` stops by itself as soon as both sides are equal.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
cd "$(dirname "$0")/.."
exec confiture migrate schema-to-schema sync --from "$DATABASE" --to "$DATABASE" --mapping mapping.yaml --yes "$@"
