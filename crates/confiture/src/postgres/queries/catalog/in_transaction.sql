-- Right after probe.sql: is the session in a transaction block?
SELECT coalesce(pg_catalog.current_setting('confiture.in_transaction', true) = 'yes', false) AS in_transaction;
