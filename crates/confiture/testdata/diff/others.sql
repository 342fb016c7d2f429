-- case: schemas
-- old
CREATE SCHEMA gone;
CREATE TABLE gone.t (a int);
CREATE SCHEMA kept;
-- new
CREATE SCHEMA come;
CREATE TABLE come.t (a int);
CREATE SCHEMA kept;
COMMENT ON SCHEMA kept IS 'k';
GRANT USAGE ON SCHEMA kept TO PUBLIC;
-- case: the public schema
-- old
CREATE TABLE t (a int);
-- new
CREATE TABLE t (a int);
COMMENT ON SCHEMA public IS 'ours';
REVOKE ALL ON SCHEMA public FROM PUBLIC;
-- case: no public schema
-- old
CREATE TABLE t (a int);
-- new
DROP SCHEMA public;
CREATE SCHEMA app;
CREATE TABLE app.t (a int);
-- case: sequences
-- old
CREATE SEQUENCE gone;
CREATE SEQUENCE s START 5 INCREMENT 2;
CREATE SEQUENCE small AS int;
-- new
CREATE SEQUENCE come AS smallint MINVALUE 5 MAXVALUE 50 START 7 CACHE 3 CYCLE;
CREATE SEQUENCE s START 6 INCREMENT -1 MAXVALUE 100;
CREATE SEQUENCE small;
COMMENT ON SEQUENCE s IS 's';
GRANT USAGE ON SEQUENCE s TO PUBLIC;
-- case: sequence ownership
-- old
CREATE TABLE t (a int, b int);
CREATE SEQUENCE s OWNED BY t.a;
CREATE SEQUENCE r;
-- new
CREATE TABLE t (a int, b int DEFAULT 1);
CREATE SEQUENCE s;
CREATE SEQUENCE r OWNED BY t.b;
ALTER TABLE t ALTER a SET DEFAULT nextval('s');
-- case: sequence survives its table
-- old
CREATE TABLE t (a serial);
-- new
CREATE SEQUENCE t_a_seq AS int;
-- case: extensions
-- old
CREATE EXTENSION citext;
CREATE TABLE t (a citext);
-- new
CREATE SCHEMA ext;
CREATE EXTENSION citext WITH SCHEMA ext;
CREATE EXTENSION pgcrypto;
CREATE TABLE t (a ext.citext, b uuid DEFAULT gen_random_uuid());
COMMENT ON EXTENSION pgcrypto IS 'mine';
-- case: extension with what uses it
-- old
CREATE TABLE t (a text);
-- new
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
CREATE TABLE t (a citext UNIQUE);
CREATE INDEX i ON t USING gin ((a::text) gin_trgm_ops);
CREATE FUNCTION f(citext) RETURNS citext LANGUAGE sql AS 'SELECT $1';
-- case: extended statistics of another table
-- old
CREATE TABLE s (a int, b int);
CREATE TABLE r (a int, b int);
CREATE STATISTICS st ON a, b FROM s;
CREATE STATISTICS ex ON (a + b), b FROM s;
-- new
CREATE TABLE s (a int, b int);
CREATE TABLE r (a int, b int);
CREATE STATISTICS st ON a, b FROM r;
CREATE STATISTICS ex ON (a + b), b FROM r;

-- case: extended statistics
-- old
CREATE TABLE t (a int, b int, c int);
CREATE STATISTICS gone ON a, b FROM t;
CREATE STATISTICS s ON a, b FROM t;
-- new
CREATE TABLE t (a int, b int, c int);
CREATE STATISTICS s (ndistinct, dependencies) ON a, b, c FROM t;
CREATE STATISTICS come (mcv) ON a, (b + c) FROM t;
ALTER STATISTICS come SET STATISTICS 300;
COMMENT ON STATISTICS come IS 'c';
-- case: operators
-- old
CREATE FUNCTION eq(int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR === (FUNCTION = eq, LEFTARG = int, RIGHTARG = text);
-- new
CREATE FUNCTION eq(int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR === (FUNCTION = eq, LEFTARG = int, RIGHTARG = text, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES);
CREATE FUNCTION ne(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION ee(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR =!= (FUNCTION = ne, LEFTARG = int, RIGHTARG = int, COMMUTATOR = =!=, NEGATOR = =?=);
CREATE OPERATOR =?= (FUNCTION = ee, LEFTARG = int, RIGHTARG = int, COMMUTATOR = =?=, NEGATOR = =!=);
COMMENT ON OPERATOR === (int, text) IS 'o';
-- case: operator classes and families
-- old
CREATE OPERATOR FAMILY f USING btree;
-- new
CREATE OPERATOR FAMILY f USING btree;
ALTER OPERATOR FAMILY f USING btree ADD OPERATOR 1 < (int4, int8), FUNCTION 1 (int4, int8) btint48cmp(int4, int8);
CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE TABLE t (a int);
CREATE INDEX i ON t (a c);
COMMENT ON OPERATOR CLASS c USING btree IS 'c';
-- case: casts
-- old
CREATE TYPE e AS ENUM ('a');
CREATE FUNCTION toi(e) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE CAST (e AS int) WITH FUNCTION toi(e);
-- new
CREATE TYPE e AS ENUM ('a');
CREATE FUNCTION toi(e) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE CAST (e AS int) WITH FUNCTION toi(e) AS IMPLICIT;
CREATE CAST (text AS e) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (text AS e) IS 'c';
-- case: collations
-- old
CREATE COLLATION gone (PROVIDER = icu, LOCALE = 'de');
CREATE COLLATION c (PROVIDER = icu, LOCALE = 'de');
-- new
CREATE COLLATION c (PROVIDER = icu, LOCALE = 'fr');
CREATE COLLATION come (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE COLLATION plain FROM "C";
CREATE TABLE t (a text COLLATE come, b text COLLATE c);
-- case: collation in use changes
-- old
CREATE COLLATION c (PROVIDER = icu, LOCALE = 'de');
CREATE TABLE t (a text COLLATE c);
CREATE INDEX i ON t (a);
-- new
CREATE COLLATION c (PROVIDER = icu, LOCALE = 'fr');
CREATE TABLE t (a text COLLATE c);
CREATE INDEX i ON t (a);
-- rows
INSERT INTO t VALUES ('a');
-- case: text search
-- old
CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION c (COPY = simple);
-- new
CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple, STOPWORDS = german);
CREATE TEXT SEARCH DICTIONARY s (TEMPLATE = snowball, LANGUAGE = english);
CREATE TEXT SEARCH CONFIGURATION c (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION c ALTER MAPPING FOR word, asciiword WITH d, s;
ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR url;
CREATE TEXT SEARCH CONFIGURATION n (PARSER = "default");
COMMENT ON TEXT SEARCH CONFIGURATION c IS 'c';
CREATE TABLE t (a text, v tsvector GENERATED ALWAYS AS (to_tsvector('c', a)) STORED);
-- case: publications
-- since: 15
-- old
CREATE TABLE t (a int PRIMARY KEY, b int);
CREATE TABLE u (a int PRIMARY KEY);
CREATE PUBLICATION gone FOR ALL TABLES;
CREATE PUBLICATION p FOR TABLE t, u;
-- new
CREATE SCHEMA s;
CREATE TABLE t (a int PRIMARY KEY, b bigint);
CREATE TABLE u (a int PRIMARY KEY);
CREATE PUBLICATION p FOR TABLE t (a, b) WHERE (a > 5) WITH (publish = 'insert, update');
CREATE PUBLICATION q FOR TABLES IN SCHEMA s;
COMMENT ON PUBLICATION q IS 'q';
-- case: foreign data
-- old
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a', port '1');
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (u 'x');
CREATE FOREIGN TABLE f (a int OPTIONS (x '1'), b text) SERVER s OPTIONS (t 'a');
CREATE SERVER gone FOREIGN DATA WRAPPER w;
-- new
CREATE FOREIGN DATA WRAPPER w OPTIONS (o 'p');
CREATE SERVER s VERSION '2' FOREIGN DATA WRAPPER w OPTIONS (host 'b', dbname 'd');
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (u 'y', p 'z');
CREATE USER MAPPING FOR CURRENT_USER SERVER s;
CREATE FOREIGN TABLE f (a bigint OPTIONS (x '2', y '3') NOT NULL, c text DEFAULT 'q') SERVER s OPTIONS (t 'b', u 'c');
CREATE FOREIGN TABLE g (a int CHECK (a > 0)) SERVER s;
COMMENT ON SERVER s IS 's';
GRANT USAGE ON FOREIGN SERVER s TO PUBLIC;
COMMENT ON FOREIGN TABLE f IS 'f';
-- case: default privileges
-- old
CREATE SCHEMA s;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE TABLE s.t (a int);
-- new
CREATE SCHEMA s;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT, INSERT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO PUBLIC;
CREATE TABLE s.t (a int);
CREATE TABLE s.u (a int);
CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
-- case: languages conversions and access methods
-- old
CREATE TABLE t (a int);
-- new
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE t (a int) USING heap2;
CREATE TABLE u (a int) USING heap2;
CREATE CONVERSION cv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE LANGUAGE mysql_like HANDLER plpgsql_call_handler;
-- rows
INSERT INTO t VALUES (1);
-- case: a sequence goes to another column of a table that gets another owner
-- old
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_owner') THEN CREATE ROLE diff_owner; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE SEQUENCE t_id_seq AS smallint;
CREATE TABLE t (n smallint NOT NULL DEFAULT nextval('t_id_seq'), m text);
ALTER SEQUENCE t_id_seq OWNED BY t.n;
ALTER TABLE t OWNER TO diff_owner;
-- new
CREATE TABLE t (id smallserial, m text, o int);
-- rows
INSERT INTO t (m) VALUES ('a');
-- case: an owner with the option to hand on
-- both
CREATE TABLE t (a int);
CREATE SCHEMA app;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
-- old
GRANT SELECT ON t TO postgres WITH GRANT OPTION;
-- new
GRANT INSERT, UPDATE ON t TO postgres WITH GRANT OPTION;
GRANT USAGE ON SCHEMA app TO postgres WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION f() TO postgres WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO postgres WITH GRANT OPTION;
