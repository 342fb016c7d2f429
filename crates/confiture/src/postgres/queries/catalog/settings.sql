-- How definitions are rendered: nothing but pg_catalog goes without its schema, and nothing is quoted without need.
-- All local: the end of the transaction, or of the savepoint, puts back what was.
SET LOCAL search_path = '';
SET LOCAL quote_all_identifiers = off;
-- Catalog queries are many and short: compiling them costs more than running them.
SET LOCAL jit = off;
