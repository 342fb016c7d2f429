-- Who keeps the sessions $1 (pids) waiting for a lock, others than themselves: one line each, the pid, and
-- whether others wait for them meanwhile. Of sessions of other roles pg_locks says more than pg_stat_activity.
SELECT blocker.pid,
       pg_catalog.format('pid %s (%s)', blocker.pid, pg_catalog.concat_ws(', ',
           'role ' || activity.usename,
           nullif(activity.application_name, ''),
           activity.state,
           'since ' || pg_catalog.to_char(activity.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')))
           AS shown,
       (SELECT pg_catalog.format('%I.%I', namespace.nspname, class.relname)
        FROM pg_catalog.pg_locks AS waiting
        JOIN pg_catalog.pg_class AS class ON class.oid = waiting.relation
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE waiting.pid = ours.pid AND NOT waiting.granted LIMIT 1) AS relation,
       EXISTS (SELECT FROM pg_catalog.pg_locks AS behind
               WHERE NOT behind.granted AND behind.pid <> ALL ($1)
                 AND ours.pid = ANY (pg_catalog.pg_blocking_pids(behind.pid))) AS queued
FROM pg_catalog.unnest($1::pg_catalog.int4[]) AS ours (pid)
CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(ours.pid)) AS blocker (pid)
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = blocker.pid
WHERE blocker.pid <> ALL ($1);
