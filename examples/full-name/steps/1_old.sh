#!/bin/sh
# The old schema with 20,000 users: the application that must not stop.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
cd "$(dirname "$0")/.."
psql -X -q -v ON_ERROR_STOP=1 -d "$DATABASE" -f old/schema.sql
