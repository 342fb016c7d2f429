-- Making a slot and following it take as long as they take. Which of these there are depends on the version.
SELECT pg_catalog.set_config(name, '0', false)
FROM pg_catalog.pg_settings
WHERE name IN ('lock_timeout', 'statement_timeout', 'idle_session_timeout',
               'idle_in_transaction_session_timeout', 'transaction_timeout');
