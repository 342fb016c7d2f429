-- Outside a transaction block a local setting is gone at the end of the statement; inside, the next statement sees it.
SELECT pg_catalog.set_config('confiture.in_transaction', 'yes', true);
