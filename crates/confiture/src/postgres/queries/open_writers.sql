-- Who has an open transaction that has written: those with the numbers $1, or with NULL all of them and whoever keeps the
-- process $2 waiting; and prepared transactions. One line each.
SELECT pg_catalog.format('pid %s (%s)', activity.pid, pg_catalog.concat_ws(', ',
           'role ' || activity.usename,
           nullif(activity.application_name, ''),
           activity.state,
           'since ' || pg_catalog.to_char(activity.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'),
           'for ' || pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - activity.xact_start)) || ' s')) AS shown
FROM pg_catalog.pg_stat_activity AS activity
WHERE activity.pid <> pg_catalog.pg_backend_pid()
  AND CASE WHEN $1::text[] IS NULL
           THEN activity.backend_xid IS NOT NULL AND activity.pid <> $2::int4
                OR activity.pid = ANY (pg_catalog.pg_blocking_pids($2::int4))
           ELSE activity.backend_xid::text = ANY ($1::text[]) END
UNION ALL
SELECT pg_catalog.format('the prepared transaction %L of role %s, since %s', prepared.gid, prepared.owner,
           pg_catalog.to_char(prepared.prepared, 'YYYY-MM-DD HH24:MI:SS TZ'))
FROM pg_catalog.pg_prepared_xacts AS prepared
WHERE $1::text[] IS NULL OR prepared.transaction::text = ANY ($1::text[])
ORDER BY 1;
