#!/bin/sh
# Ends it: triggers and queue off, records gone. The rows of both schemas stay.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
exec confiture migrate schema-to-schema cleanup --from "$DATABASE" --to "$DATABASE" --yes
