-- case: made and dropped
-- since: 15
-- old
CREATE TABLE t (a int, b text, c int[]);
CREATE INDEX gone ON t (a);
-- new
CREATE TABLE t (a int, b text, c int[]);
CREATE INDEX i1 ON t (a DESC NULLS LAST);
CREATE UNIQUE INDEX i2 ON t (lower(b)) WHERE a > 0;
CREATE INDEX i3 ON t USING gin (c);
CREATE INDEX i4 ON t USING hash (b);
CREATE INDEX i5 ON t (a) INCLUDE (b) WITH (fillfactor = 50);
CREATE INDEX i6 ON t (b text_pattern_ops, b COLLATE "C");
CREATE INDEX i7 ON t USING brin (a) WITH (pages_per_range = 32);
CREATE UNIQUE INDEX i8 ON t (a) NULLS NOT DISTINCT;
-- case: changed
-- old
CREATE TABLE t (a int, b text);
CREATE INDEX i ON t (a);
CREATE INDEX j ON t (b);
COMMENT ON INDEX j IS 'x';
-- new
CREATE TABLE t (a int, b text);
CREATE INDEX i ON t (a, b);
CREATE UNIQUE INDEX j ON t (b);
COMMENT ON INDEX j IS 'y';
-- case: renamed
-- old
CREATE TABLE t (a int);
CREATE INDEX old_name ON t (a) WHERE a > 1;
-- new
CREATE TABLE t (a int);
CREATE INDEX new_name ON t (a) WHERE a > 1;
-- case: statistics clustering identity
-- old
CREATE TABLE t (a int NOT NULL, b text);
CREATE INDEX i ON t ((a + 1));
CREATE UNIQUE INDEX j ON t (a);
-- new
CREATE TABLE t (a int NOT NULL, b text);
CREATE INDEX i ON t ((a + 1));
CREATE UNIQUE INDEX j ON t (a);
ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 400;
ALTER TABLE t CLUSTER ON j;
ALTER TABLE t REPLICA IDENTITY USING INDEX j;
-- case: over a function that changes
-- old
CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a';
CREATE TABLE t (a int);
CREATE INDEX i ON t (f(a));
-- new
CREATE FUNCTION f(b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT b';
CREATE TABLE t (a int);
CREATE INDEX i ON t (f(a));
-- case: on a materialized view
-- old
CREATE TABLE t (a int, b int);
CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
CREATE UNIQUE INDEX i ON m (a);
-- new
CREATE TABLE t (a int, b int);
CREATE MATERIALIZED VIEW m AS SELECT a, b FROM t;
CREATE UNIQUE INDEX i ON m (a);
CREATE INDEX j ON m (b);
-- case: over a function that uses a table
-- old
CREATE TABLE x (a int);
-- new
CREATE TABLE x (a int);
CREATE FUNCTION zz() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 5';
CREATE FUNCTION aa(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT public.zz() + $1';
CREATE INDEX i ON x (aa(a));
-- case: another one takes the place of each
-- old
CREATE SCHEMA "we""ird";
CREATE TABLE "we""ird"."Ü ON x" (a int NOT NULL, b text NOT NULL, c int, PRIMARY KEY (a), CONSTRAINT "Key" UNIQUE (b));
CREATE INDEX "I ON t USING" ON "we""ird"."Ü ON x" (a) WITH (fillfactor = 70);
CREATE UNIQUE INDEX "select" ON "we""ird"."Ü ON x" (a);
COMMENT ON INDEX "we""ird"."select" IS 'first';
ALTER TABLE "we""ird"."Ü ON x" CLUSTER ON "select";
-- new
CREATE SCHEMA "we""ird";
CREATE TABLE "we""ird"."Ü ON x" (a int NOT NULL, b text NOT NULL, c int, n int, PRIMARY KEY (a, b) INCLUDE (c), CONSTRAINT "Key" UNIQUE (b, c) DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX "I ON t USING" ON "we""ird"."Ü ON x" (a, (n + 1)) WITH (fillfactor = 80);
ALTER INDEX "we""ird"."I ON t USING" ALTER COLUMN 2 SET STATISTICS 77;
CREATE UNIQUE INDEX "select" ON "we""ird"."Ü ON x" (a) INCLUDE (b);
COMMENT ON INDEX "we""ird"."select" IS 'second';
ALTER TABLE "we""ird"."Ü ON x" CLUSTER ON "select";
COMMENT ON CONSTRAINT "Key" ON "we""ird"."Ü ON x" IS 'of two';
-- rows
INSERT INTO "we""ird"."Ü ON x" SELECT i, 'b' || i, i % 3 FROM generate_series(1, 9) i;
-- case: a unique index becomes the key
-- old
CREATE SCHEMA "we""ird";
CREATE TABLE "we""ird"."Ü ON x" (a int NOT NULL, b text, c int);
CREATE UNIQUE INDEX "I USING btree" ON "we""ird"."Ü ON x" (b);
CREATE UNIQUE INDEX "select" ON "we""ird"."Ü ON x" (a) INCLUDE (c);
CREATE UNIQUE INDEX "Key" ON "we""ird"."Ü ON x" (b DESC);
CREATE TABLE f (a text REFERENCES "we""ird"."Ü ON x" (b));
-- new
CREATE SCHEMA "we""ird";
CREATE TABLE "we""ird"."Ü ON x" (a int PRIMARY KEY, b text NOT NULL, c int);
ALTER TABLE "we""ird"."Ü ON x" ADD CONSTRAINT "select" UNIQUE (a) INCLUDE (c), ADD CONSTRAINT "Key" UNIQUE (b) DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT "Key" ON "we""ird"."Ü ON x" IS 'of b';
CREATE TABLE f (a text);
-- rows
INSERT INTO "we""ird"."Ü ON x" SELECT i, 'b' || i, i % 3 FROM generate_series(1, 9) i;
-- expect
ADD CONSTRAINT "select" UNIQUE USING INDEX "select"
ADD CONSTRAINT "Key" UNIQUE USING INDEX "I USING btree" DEFERRABLE INITIALLY DEFERRED
