#!/bin/sh
# The new schema beside the old one, the two functions, and what they must give.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
cd "$(dirname "$0")/.."
psql -X -q -v ON_ERROR_STOP=1 -d "$DATABASE" -f new/schema.sql -f new/functions.sql -f new/vectors.sql
