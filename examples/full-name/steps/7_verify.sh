#!/bin/sh
# Applies what has changed, and compares every row of both sides. Exit status 7 where they differ.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
cd "$(dirname "$0")"
exec ./4_sync.sh --until-caught-up
