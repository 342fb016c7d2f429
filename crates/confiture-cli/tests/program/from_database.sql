-- What makes the order of a schema's files hard, beside the catalog's own rich schema; valid on PostgreSQL 14 to 18.

-- A table's type needs a view, a view needs a routine that needs a view, a routine's body needs a table.
CREATE VIEW app.chain AS SELECT * FROM app.open_orders;
CREATE FUNCTION app.all_orders() RETURNS SETOF app.open_orders LANGUAGE sql AS 'SELECT * FROM app.open_orders';
CREATE VIEW app.a_uses_function AS SELECT id FROM app.all_orders();
CREATE TABLE app.latecomer (a int DEFAULT length(app.shorten('x')), b app.chain);
CREATE FUNCTION app.atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM app.latecomer; END;
CREATE FUNCTION app.rows() RETURNS int LANGUAGE plpgsql AS $$ DECLARE one app.latecomer%ROWTYPE; BEGIN RETURN 1; END $$;
COMMENT ON TABLE app.latecomer IS 'x; -- Name: y; Type: TABLE; Schema: app; Owner: -';
COMMENT ON COLUMN app.latecomer.a IS 'it''s';
CREATE VIEW app.grouped AS SELECT id, note FROM app."order" GROUP BY id;
CREATE TABLE app.zebra (id int PRIMARY KEY);
CREATE TABLE app.ant (id int REFERENCES app.zebra, z app.zebra);
CREATE FUNCTION app.over(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.over(text) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE PROCEDURE app.run() LANGUAGE plpgsql AS 'BEGIN PERFORM app.rows(); END';

-- Views that read each other's rows in a circle, by a rule.
CREATE TABLE app.looping (a int);
CREATE VIEW app.loop_one AS SELECT 1 AS a;
CREATE VIEW app.loop_two AS SELECT a FROM app.loop_one;
CREATE RULE spread AS ON INSERT TO app.looping DO ALSO INSERT INTO app.no_columns SELECT;
CREATE RULE quiet AS ON DELETE TO app.no_columns DO INSTEAD NOTHING;

-- Keys in a circle, and a check, a default, an index and a generated column that need routines.
CREATE TABLE app.hen (id int PRIMARY KEY, egg int);
CREATE TABLE app.egg (id int PRIMARY KEY, hen int REFERENCES app.hen);
ALTER TABLE app.hen ADD FOREIGN KEY (egg) REFERENCES app.egg DEFERRABLE INITIALLY DEFERRED;
CREATE FUNCTION app.good(app.hen) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.id > 0';
ALTER TABLE app.hen ADD CONSTRAINT good CHECK (app.good(hen.*));
CREATE INDEX hen_good ON app.hen (app.good(hen.*));
CREATE TABLE app.computed (a text, b text GENERATED ALWAYS AS (app.shorten(a)) STORED);
CREATE TABLE "odd name; Type: VIEW" ("a;b" text DEFAULT ';');
CREATE TABLE "Odd" (); CREATE TABLE "odd" ();

-- Kinds that are rare.
CREATE AGGREGATE app.agg(int) (sfunc = int4pl, stype = int);
CREATE OPERATOR app.=== (leftarg = int, rightarg = int, function = int4eq);
CREATE OPERATOR FAMILY app.family USING btree;
CREATE FUNCTION app.as_text(app.money) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '' $$;
CREATE CAST (app.money AS text) WITH FUNCTION app.as_text(app.money);
CREATE TEXT SEARCH DICTIONARY app.dictionary (TEMPLATE = pg_catalog.simple, stopwords = 'english');
CREATE TEXT SEARCH CONFIGURATION app.search (PARSER = pg_catalog."default");
ALTER TEXT SEARCH CONFIGURATION app.search ADD MAPPING FOR asciiword WITH app.dictionary;
CREATE STATISTICS app.st ON id, tenant FROM app.customer;
CREATE POLICY p ON app.customer USING (tenant > 0);
CREATE PUBLICATION pub FOR TABLE app.customer;
CREATE FUNCTION app.noop() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION app.noop();
GRANT SELECT ON app.latecomer TO PUBLIC;
REVOKE EXECUTE ON FUNCTION app.over(int) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;
CREATE EXTENSION hstore SCHEMA app;
CREATE TABLE app.stored (h app.hstore DEFAULT ''::app.hstore);

-- What is said of a partition's trigger comes after what is said of that of its table, which goes down to it.
CREATE FUNCTION app.seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE app.watched (a int) PARTITION BY RANGE (a);
CREATE TABLE app.watched_2 PARTITION OF app.watched FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (a);
CREATE TABLE app.watched_2_1 PARTITION OF app.watched_2 FOR VALUES FROM (0) TO (5);
CREATE TRIGGER seen AFTER INSERT ON app.watched FOR EACH ROW EXECUTE FUNCTION app.seen();
ALTER TABLE app.watched_2 DISABLE TRIGGER seen;
ALTER TABLE app.watched_2_1 ENABLE ALWAYS TRIGGER seen;
