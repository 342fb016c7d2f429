#!/bin/sh
# What would happen. Changes nothing.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
cd "$(dirname "$0")/.."
confiture migrate schema-to-schema analyze --from "$DATABASE" --to "$DATABASE" --mapping mapping.yaml
