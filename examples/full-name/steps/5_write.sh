#!/bin/sh
# What the application does meanwhile, in the old schema: new, changed, renumbered and deleted users.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
psql -X -q -v ON_ERROR_STOP=1 -d "$DATABASE" <<'SQL'
INSERT INTO public.users (email, full_name) VALUES ('grace@example.com', 'Grace Brewster Hopper') ON CONFLICT DO NOTHING;
UPDATE public.users SET full_name = 'Vincent van Gogh', updated_at = now() WHERE id = 7;
UPDATE public.users SET bio = NULL, updated_at = now() WHERE id BETWEEN 100 AND 199;
UPDATE public.users SET id = id + 1000000 WHERE id = 8;
DELETE FROM public.users WHERE id = 9;
SQL
