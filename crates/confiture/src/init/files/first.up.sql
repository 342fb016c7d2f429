-- Migration: first
-- Version: VERSION
--
-- What db/schema contains. `confiture build` records it as applied; an empty database gets it from `confiture migrate up`.
-- Later ones are written by `confiture migrate diff --generate --name NAME`, after db/schema was edited.

SCHEMA
