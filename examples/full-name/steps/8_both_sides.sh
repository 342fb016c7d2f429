#!/bin/sh
# Both schemas are written at once: each write stands in the other one when it commits. Then the new one follows again.
set -eu
: "${DATABASE:?set it to the URL of an empty database: see README.md}"
cd "$(dirname "$0")/.."
both() {
    confiture migrate schema-to-schema bidirectional --from "$DATABASE" --to "$DATABASE" --mapping mapping.yaml --yes "$@"
}
both --sync immediate
psql -X -v ON_ERROR_STOP=1 -d "$DATABASE" <<'SQL'
UPDATE new_users.users SET last_name = 'Hopper-Murray' WHERE email = 'grace@example.com';
INSERT INTO new_users.users (email, first_name, last_name) VALUES ('ada@example.com', 'Ada', 'Lovelace') ON CONFLICT DO NOTHING;
UPDATE public.users SET full_name = 'Ada King' WHERE email = 'ada@example.com';
SELECT o.id, o.full_name, n.first_name, n.last_name
FROM public.users o JOIN new_users.users n USING (id) WHERE o.email IN ('grace@example.com', 'ada@example.com') ORDER BY 1;
SQL
both --stop
