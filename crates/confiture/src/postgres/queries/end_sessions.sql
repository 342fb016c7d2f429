-- Ends those of the sessions $1 (pids) that are still ours and there, and waits up to half a second for each.
SELECT pg_catalog.pg_terminate_backend(pid, 500)
FROM pg_catalog.pg_stat_activity
WHERE pid = ANY ($1::pg_catalog.int4[]) AND application_name = 'confiture' AND usename = session_user;
