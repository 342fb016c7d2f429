#!/bin/sh
# How far it is. `6_status.sh --watch` shows it every second, beside a sync at work.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
exec confiture migrate schema-to-schema status --from "$DATABASE" --to "$DATABASE" "$@"
