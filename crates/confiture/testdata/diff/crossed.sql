-- Names that objects of different kinds exchange, and what turns into another kind under what uses it.
-- case: the name of a check that passes is taken on a partition
-- both
CREATE TABLE t (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE t1 PARTITION OF t DEFAULT;
ALTER TABLE t1 ADD CONSTRAINT b_not_null__check CHECK (b <> 7);
-- new
ALTER TABLE t ALTER b SET NOT NULL;
-- rows
INSERT INTO t VALUES (1, 2);
-- expect
ADD CONSTRAINT b_not_null__check2 CHECK (b IS NOT NULL) NOT VALID
-- case: the name of a sequence that passes is taken
-- both
CREATE SEQUENCE id__numbers;
-- old
CREATE TABLE p (x int);
CREATE TABLE c () INHERITS (p);
-- new
CREATE TABLE p (x int, id int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE c () INHERITS (p);
-- rows
INSERT INTO p VALUES (1);
INSERT INTO c VALUES (2);
-- case: the name of a function that passes is taken
-- both
CREATE FUNCTION k__each1(anyarray) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- old
CREATE TYPE k AS (a int);
CREATE TABLE t (x k[]);
-- new
CREATE TYPE k AS (b text, a bigint);
CREATE TABLE t (x k[]);
-- rows
INSERT INTO t VALUES (ARRAY[ROW(1)::k]);
-- case: a type takes the name of a partition whose table is made anew
-- old
CREATE TABLE t (id int) PARTITION BY RANGE (id);
CREATE TABLE p PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE q PARTITION OF p DEFAULT;
CREATE INDEX j ON p ((id + 1));
-- new
CREATE TYPE p AS (id int);
CREATE TABLE t OF p;
-- rows
INSERT INTO t VALUES (11), (12);
-- case: partitions become a view and an index of the plain table
-- old
CREATE TABLE t (a int) PARTITION BY LIST (a);
CREATE TABLE p PARTITION OF t FOR VALUES IN (1);
CREATE TABLE q PARTITION OF t DEFAULT;
CREATE INDEX i ON t (a);
CREATE INDEX j ON p ((a + 1));
-- new
CREATE TABLE t (a int);
CREATE INDEX q ON t (a);
CREATE VIEW p AS SELECT a FROM t WHERE a = 1;
-- rows
INSERT INTO t VALUES (1), (2);
-- case: an enumeration becomes a table on whose row its column stands
-- old
CREATE TYPE a AS ENUM ('x');
CREATE TABLE t (b int, c a);
-- new
CREATE TABLE a (n text, x bigint, id int GENERATED ALWAYS AS IDENTITY);
CREATE TYPE c AS (one a, many a[]);
CREATE DOMAIN d AS a CHECK ((VALUE).x > 0);
CREATE TABLE t (id int, a a, c c, d d, ds d[], k text GENERATED ALWAYS AS ((a).n) STORED);
CREATE VIEW v AS SELECT (a).n, k FROM t;
CREATE MATERIALIZED VIEW m AS SELECT a FROM a;
-- case: a foreign table becomes a table, and its rows are elsewhere
-- both
CREATE EXTENSION file_fdw;
CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;
-- old
CREATE FOREIGN TABLE "F" (a int, b text) SERVER s OPTIONS (filename '/dev/null');
CREATE VIEW v AS SELECT a FROM "F";
CREATE TABLE u (r "F");
-- new
CREATE TABLE "F" (a int, c int, b text);
CREATE VIEW v AS SELECT a FROM "F";
CREATE TABLE u (r "F");
-- rows
INSERT INTO u VALUES (ROW(1, 'x'));
-- case: the row of a view in a column
-- both
CREATE TABLE t (a int, b text);
-- old
CREATE VIEW v AS SELECT a FROM t;
CREATE VIEW w AS SELECT b FROM t;
CREATE TABLE u (r v, rs v[], w w);
-- new
CREATE VIEW v AS SELECT a::bigint AS a FROM t;
CREATE TYPE w AS (b text);
CREATE TABLE u (r v, rs v[], w w);
-- rows
INSERT INTO u VALUES (ROW(1), ARRAY[ROW(2)::v], ROW('x'));
-- case: a materialized view becomes a table under a domain over its row
-- old
CREATE TABLE t (a int, b text);
CREATE MATERIALIZED VIEW v AS SELECT a FROM t;
CREATE DOMAIN d AS v CHECK ((VALUE).a > 0);
CREATE TABLE u (r d);
-- new
CREATE TABLE t (a int, b text);
CREATE TABLE v (a int);
CREATE DOMAIN d AS v CHECK ((VALUE).a > 0);
CREATE TABLE u (r d);
-- rows
INSERT INTO u VALUES (ROW(1));
-- case: a range type has a new name
-- old
CREATE TYPE period AS RANGE (subtype = int);
CREATE TABLE t (a period, b period[], m period_multirange, EXCLUDE USING gist (a WITH &&));
CREATE VIEW v AS SELECT period(1, 2) AS x, a * a AS y, period_multirange(a) AS z FROM t;
CREATE FUNCTION f(period) RETURNS period LANGUAGE sql AS 'SELECT $1';
COMMENT ON TYPE period IS 'p';
-- new
CREATE TYPE "Periods" AS RANGE (subtype = int);
CREATE TABLE t (a "Periods", b "Periods"[], m "Periods_multirange", EXCLUDE USING gist (a WITH &&));
CREATE VIEW v AS SELECT "Periods"(1, 2) AS x, a * a AS y, "Periods_multirange"(a) AS z FROM t;
CREATE FUNCTION f("Periods") RETURNS "Periods" LANGUAGE sql AS 'SELECT $1';
COMMENT ON TYPE "Periods" IS 'p';
-- rows
INSERT INTO t VALUES ('[1,2)', '{"[1,2)"}', '{[1,2)}');
-- expect
ALTER TYPE public.period RENAME TO "Periods"
ALTER TYPE public.period_multirange RENAME TO "Periods_multirange"
ALTER FUNCTION public.period(integer,integer) RENAME TO "Periods"
-- never
ALTER COLUMN
VIEW
function public.f
-- case: a range type and its multirange move to another schema
-- both
CREATE SCHEMA "X y";
-- old
CREATE TYPE period AS RANGE (subtype = int);
CREATE TABLE t (a period, m period_multirange);
-- new
CREATE TYPE "X y".period AS RANGE (subtype = int);
CREATE TABLE t (a "X y".period, m "X y".period_multirange);
-- rows
INSERT INTO t VALUES ('[1,2)', '{[1,2)}');
-- expect
ALTER TYPE public.period_multirange SET SCHEMA "X y"
-- never
ALTER COLUMN
-- case: a multirange alone has a new name
-- old
CREATE TYPE r AS RANGE (subtype = int, multirange_type_name = mr);
CREATE TABLE t (a r, m mr);
-- new
CREATE TYPE r AS RANGE (subtype = int, multirange_type_name = rs);
CREATE TABLE t (a r, m rs);
-- rows
INSERT INTO t VALUES ('[1,2)', '{[1,2)}');
-- never
ALTER COLUMN
-- case: views move to another schema with what they use
-- both
CREATE SCHEMA x;
-- old
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW v AS SELECT f(1) AS a, 2 AS b;
CREATE VIEW w AS SELECT a FROM v;
COMMENT ON VIEW w IS 'w';
-- new
CREATE FUNCTION x.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW x.v AS SELECT x.f(1) AS a, 2 AS b;
CREATE VIEW x.w AS SELECT a FROM x.v;
COMMENT ON VIEW x.w IS 'w';
-- never
CREATE VIEW
-- case: a default takes numbers from the identity of a partition
-- until: 16
-- old
CREATE TABLE t (a int NOT NULL, b int NOT NULL) PARTITION BY HASH (a);
CREATE TABLE t2 PARTITION OF t FOR VALUES WITH (modulus 2, remainder 1);
-- new
CREATE TABLE t (a int NOT NULL, b int NOT NULL) PARTITION BY HASH (a);
CREATE TABLE t2 PARTITION OF t FOR VALUES WITH (modulus 2, remainder 1);
ALTER TABLE t2 ALTER COLUMN a ADD GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME named CACHE 5);
ALTER TABLE t ALTER COLUMN b SET DEFAULT nextval('named');
-- case: a sequence of an identity and a key have each other's names
-- old
CREATE TABLE t (a int CONSTRAINT k PRIMARY KEY);
CREATE TABLE d (a int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME "S"));
-- new
CREATE TABLE t (a int CONSTRAINT "S" PRIMARY KEY);
CREATE TABLE d (a int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME k));
-- rows
INSERT INTO t VALUES (1);
INSERT INTO d DEFAULT VALUES;
-- case: a key and an index have each other's names
-- old
CREATE TABLE t (a int CONSTRAINT k PRIMARY KEY, b text);
CREATE INDEX i ON t (b);
CREATE TABLE f (a int REFERENCES t);
-- new
CREATE TABLE t (a int CONSTRAINT i PRIMARY KEY, b text);
CREATE INDEX k ON t (b);
CREATE TABLE f (a int REFERENCES t);
-- rows
INSERT INTO t VALUES (1, 'x');
INSERT INTO f VALUES (1);
-- never
DROP CONSTRAINT
-- case: a parent's column gets another type, and a child's is an identity no more
-- old
CREATE TABLE p (a int, b int);
CREATE TABLE c (a int GENERATED ALWAYS AS IDENTITY, own text) INHERITS (p);
-- new
CREATE TABLE p (a text, b int);
CREATE TABLE c (a text NOT NULL, own text) INHERITS (p);
-- rows
INSERT INTO c (b) VALUES (1), (2);
-- case: a column has the rows of a partition that another one replaces
-- old
CREATE TABLE a (x int, n int) PARTITION BY LIST (x);
CREATE TABLE a1 PARTITION OF a FOR VALUES IN (1);
CREATE TABLE t (id int, r a1);
-- new
CREATE TABLE a (x int, n int) PARTITION BY LIST (x);
CREATE TABLE n3 PARTITION OF a FOR VALUES IN (1);
CREATE TABLE t (id int, r n3);
-- rows
INSERT INTO t VALUES (1, ROW(1, 2)), (2, NULL);
-- case: rows are said to go with a table whose name a type takes
-- old
CREATE TABLE a (x int);
CREATE TABLE t (c a);
-- new
CREATE TYPE a AS (x int);
CREATE TABLE t (c a);
-- rows
INSERT INTO a VALUES (1);
INSERT INTO t VALUES (ROW(1));
-- expect
data loss: the rows of the table are lost
-- case: values are said to give way to generated ones in a table that is made anew
-- old
CREATE TABLE t (a int, b int);
-- new
CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a) STORED) PARTITION BY RANGE (a);
CREATE TABLE t1 PARTITION OF t DEFAULT;
-- rows
INSERT INTO t VALUES (1, 2);
-- expect
data loss: the values of the column b are lost
