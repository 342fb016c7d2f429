-- On the target: what comparisons of both sides found, the newest first.
SELECT at, batch, ok, tables, rows, elapsed_ms, found
FROM confiture.verification
ORDER BY id DESC
LIMIT 20;
