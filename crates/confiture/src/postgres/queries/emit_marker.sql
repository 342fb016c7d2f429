-- Writes the marker of a batch: prefix $1, then the slot's name $2 and the number of the transaction, which no other marker has.
SELECT number, pg_catalog.pg_logical_emit_message(true, $1::text, $2::text || ':' || number)::text
FROM (SELECT pg_catalog.pg_current_xact_id()::text AS number) AS transaction;
