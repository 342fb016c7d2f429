-- What other tools have in their test suites.
-- case: what a script sets for itself
-- old
CREATE TABLE t (a text DEFAULT 'x\y');
SET quote_all_identifiers = on;
-- new
CREATE TABLE t (a text DEFAULT 'x\y', b int);
CREATE VIEW v AS SELECT b FROM t WHERE a <> 'p\q';
SET datestyle = 'German';
SET intervalstyle = 'iso_8601';
SET timezone = 'Asia/Tokyo';
ALTER TABLE t ADD c date DEFAULT '01.02.2020', ADD d interval DEFAULT 'P1Y', ADD e timestamptz DEFAULT '01.01.2020 00:00';
CREATE INDEX i ON t (e) WHERE e > '01.01.2020 00:00';
SET ROLE pg_monitor;
SET standard_conforming_strings = off;
-- case: parameters of an index
-- old
CREATE TABLE t (a int, v tsvector);
CREATE INDEX i ON t (a) WITH (fillfactor = 70, deduplicate_items = off) WHERE a > 0;
CREATE INDEX j ON t USING gin (v);
CREATE INDEX k ON t (a) WITH (fillfactor = 70);
-- new
CREATE TABLE t (a int, v tsvector);
CREATE INDEX i ON t (a) WITH (fillfactor = 60) WHERE a > 0;
CREATE INDEX j ON t USING gin (v) WITH (fastupdate = off, gin_pending_list_limit = 70);
CREATE INDEX l ON t (a) WITH (fillfactor = 70);
-- expect
ALTER INDEX public.i SET (fillfactor='60')
ALTER INDEX public.i RESET (deduplicate_items)
-- never
DROP INDEX
-- case: parameters of an index of a partition
-- old
CREATE TABLE t (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE INDEX i ON t (b);
-- new
CREATE TABLE t (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE q PARTITION OF t FOR VALUES FROM (10) TO (20);
CREATE INDEX i ON t (b);
ALTER INDEX p_b_idx SET (fillfactor = 50);
ALTER INDEX q_b_idx SET (fillfactor = 60);
-- case: who may call an aggregate
-- old
CREATE AGGREGATE mid(float8 ORDER BY float8) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_cont_float8_final);
CREATE AGGREGATE num(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
-- new
CREATE AGGREGATE mid(float8 ORDER BY float8) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_cont_float8_final);
CREATE AGGREGATE num(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
GRANT EXECUTE ON FUNCTION mid TO pg_monitor;
REVOKE EXECUTE ON FUNCTION num() FROM PUBLIC;
-- case: how an aggregate ends over a window
-- old
CREATE AGGREGATE mean(numeric) (SFUNC = numeric_avg_accum, STYPE = internal, FINALFUNC = numeric_avg,
    MSFUNC = numeric_accum, MINVFUNC = numeric_accum_inv, MSTYPE = internal, MFINALFUNC = numeric_avg);
-- new
CREATE AGGREGATE mean(numeric) (SFUNC = numeric_avg_accum, STYPE = internal, FINALFUNC = numeric_avg,
    MSFUNC = numeric_accum, MINVFUNC = numeric_accum_inv, MSTYPE = internal, MFINALFUNC = numeric_avg, MFINALFUNC_MODIFY = READ_WRITE);
-- case: options of a column of a materialized view
-- old
CREATE TABLE t (a int);
CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
ALTER MATERIALIZED VIEW m ALTER a SET (n_distinct = 5);
-- new
CREATE TABLE t (a bigint);
CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
ALTER MATERIALIZED VIEW m ALTER a SET (n_distinct = 6);
-- case: an operator class that orders
-- old
CREATE TABLE t (a point);
-- new
CREATE TABLE t (a point);
CREATE OPERATOR CLASS near FOR TYPE point USING gist AS
    STORAGE box,
    OPERATOR 11 |>> (point, point),
    OPERATOR 15 <-> (point, point) FOR ORDER BY float_ops,
    FUNCTION 1 gist_point_consistent(internal, point, smallint, oid, internal),
    FUNCTION 2 gist_box_union(internal, internal),
    FUNCTION 5 gist_box_penalty(internal, internal, internal),
    FUNCTION 6 gist_box_picksplit(internal, internal),
    FUNCTION 7 gist_box_same(box, box, internal),
    FUNCTION 8 gist_point_distance(internal, point, smallint, oid, internal);
CREATE INDEX i ON t USING gist (a near);
-- case: a foreign table has the name that a table would get
-- old
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE TABLE my_films (code int NOT NULL, kind text);
CREATE FOREIGN TABLE new_films (code int NOT NULL, kind text) SERVER s;
-- new
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE FOREIGN TABLE my_films (code int NOT NULL, kind text) SERVER s;
CREATE TABLE new_films (code int NOT NULL, kind text);
-- case: a check that a child declares as well
-- old
CREATE TABLE p (a int, CONSTRAINT k CHECK (a > 0));
CREATE TABLE c (CONSTRAINT k CHECK (a > 0)) INHERITS (p);
-- new
CREATE TABLE p (a int, CONSTRAINT k CHECK (a > 1));
CREATE TABLE c (CONSTRAINT k CHECK (a > 1)) INHERITS (p);
-- rows
INSERT INTO c VALUES (5);
-- case: rows that become an identity's
-- old
CREATE TABLE t (id int NOT NULL, n text);
INSERT INTO t VALUES (7, '1');
-- new
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, n text);
INSERT INTO t (n) VALUES ('2'), ('3');
-- case: a column that two parents have gets another type
-- old
CREATE TABLE a (id int, x text);
CREATE TABLE b (id int, y text);
CREATE TABLE c (id int, x text, y text);
ALTER TABLE c INHERIT a, INHERIT b;
CREATE TABLE d (w int) INHERITS (c);
-- new
CREATE TABLE a (id bigint, x varchar(10));
CREATE TABLE b (id bigint, y text);
CREATE TABLE c (id bigint, x varchar(10), y text);
ALTER TABLE c INHERIT a, INHERIT b;
CREATE TABLE d (w int) INHERITS (c);
-- rows
INSERT INTO d VALUES (1, 'k', 'l', 2);
-- case: attributes in another order
-- old
CREATE TYPE i AS (n int, m int);
CREATE TYPE o AS (x text, y text, i i);
CREATE TABLE t (a o, b o DEFAULT ROW('p', 'q', ROW(1, 2)), k i);
-- new
CREATE TYPE i AS (m int, n int);
CREATE TYPE o AS (y text, x text, z date, i i);
CREATE TABLE t (a o, b o DEFAULT ROW('q', 'p', NULL, ROW(2, 1)), k i);
-- rows
INSERT INTO t (a, k) VALUES (ROW('x', 'y', ROW(3, 4)), NULL), (NULL, ROW(5, 6));
-- expect
USING CASE WHEN a IS DISTINCT FROM NULL THEN ROW((a).y, (a).x, NULL, CASE WHEN (a).i IS DISTINCT FROM NULL THEN
-- case: an attribute's type changes while another goes
-- old
CREATE TYPE c AS (x int, y text, z date);
CREATE TABLE t (a c);
-- new
CREATE TYPE c AS (x bigint, y text, w int);
CREATE TABLE t (a c);
-- rows
INSERT INTO t VALUES (ROW(1, 'x', '2020-01-01'));
-- case: a body that makes a row of a table that changes
-- old
CREATE TABLE t (a int, b text, c int);
CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql RETURN ROW(1, 'x', 2)::t;
-- new
CREATE TABLE t (a bigint, b varchar(9), d int);
CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql RETURN ROW(1, 'x', 2)::t;
-- case: an identity becomes a serial number
-- old
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, n text);
CREATE TABLE u (id bigint NOT NULL);
-- new
CREATE TABLE t (id serial, n text);
CREATE TABLE u (id bigserial);
-- rows
INSERT INTO t (n) VALUES ('x'); INSERT INTO u VALUES (7);
-- expect
SELECT pg_catalog.setval('public.t_id_seq', pg_catalog.max(id), true) FROM public.t HAVING pg_catalog.max(id) >= 1
SELECT pg_catalog.setval('public.u_id_seq', pg_catalog.max(id), true) FROM public.u HAVING pg_catalog.max(id) >= 1
numbers go on after the highest one in the rows, not where the identity stood
-- case: serial numbers become identities that go on where they stood
-- old
CREATE SCHEMA "we""ird";
CREATE TABLE t (id serial PRIMARY KEY, n text);
CREATE TABLE "we""ird"."Ü t" ("Id" bigserial, n text);
CREATE SEQUENCE numbers START 100 INCREMENT 5;
CREATE TABLE u (id bigint NOT NULL DEFAULT nextval('numbers'), n text);
ALTER SEQUENCE numbers OWNED BY u.id;
CREATE SEQUENCE down INCREMENT -1;
CREATE TABLE w (id bigint NOT NULL DEFAULT nextval('down'), n text);
ALTER SEQUENCE down OWNED BY w.id;
CREATE TABLE small (id smallserial);
-- new
CREATE SCHEMA "we""ird";
CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n text);
CREATE TABLE "we""ird"."Ü t" ("Id" bigint GENERATED ALWAYS AS IDENTITY, n text);
CREATE TABLE u (id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT 5), n text);
CREATE TABLE w (id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT -1), n text);
CREATE TABLE small (id smallint GENERATED ALWAYS AS IDENTITY (MINVALUE 3 MAXVALUE 99 START 7));
-- rows
INSERT INTO t (n) VALUES ('a'), ('b'), ('c'); DELETE FROM t WHERE id > 1;
INSERT INTO "we""ird"."Ü t" (n) VALUES ('a'), ('b'); DELETE FROM "we""ird"."Ü t";
INSERT INTO u (n) VALUES ('a'), ('b'); DELETE FROM u WHERE id > 100;
INSERT INTO w (n) VALUES ('a'), ('b');
INSERT INTO small DEFAULT VALUES; INSERT INTO small DEFAULT VALUES;
-- expect
SELECT pg_catalog.setval('public.t_id_seq', last_value, is_called) FROM public.t_id_seq__aside
SELECT pg_catalog.setval('public.u_id_seq', last_value, is_called) FROM public.numbers
SELECT pg_catalog.setval('public.w_id_seq', last_value, is_called) FROM public.down
SELECT pg_catalog.setval('public.small_id_seq', last_value, is_called) FROM public.small_id_seq__aside WHERE last_value BETWEEN 3 AND 99
-- never
data loss
-- case: a serial number becomes an identity of a partitioned table
-- old
CREATE TABLE a_table_whose_name_is_about_as_long_as_a_name_can_be (n serial, k int);
-- new
CREATE TABLE a_table_whose_name_is_about_as_long_as_a_name_can_be (n bigint GENERATED ALWAYS AS IDENTITY, k int) PARTITION BY RANGE (k);
CREATE TABLE p PARTITION OF a_table_whose_name_is_about_as_long_as_a_name_can_be DEFAULT;
-- rows
INSERT INTO a_table_whose_name_is_about_as_long_as_a_name_can_be (k) VALUES (1), (2);
-- never
RENAME TO a_table_whose_name_is_about_as_long_as_a_name_can_be_n_seq
-- case: the type of a typed table changes
-- old
CREATE TYPE c AS (a int, b text, d int);
CREATE TABLE t OF c (PRIMARY KEY (a), b DEFAULT 'x');
CREATE VIEW v AS SELECT a, d FROM t;
CREATE TABLE u (a int, b text, d int);
CREATE TABLE w OF c;
-- new
CREATE TYPE c AS (a bigint, b text, d numeric, e date);
CREATE TABLE t OF c (PRIMARY KEY (a), b DEFAULT 'y', e DEFAULT '2020-01-01');
CREATE VIEW v AS SELECT a, d FROM t;
CREATE TABLE u OF c;
CREATE TABLE w (a int, b text, d int);
-- rows
INSERT INTO t VALUES (1, 'p', 2); INSERT INTO u VALUES (3, 'q', 4); INSERT INTO w VALUES (5, 'r', 6);
-- never
DROP TABLE
-- case: the columns of a typed table change their places
-- old
CREATE TYPE c AS (a int, b text);
CREATE TABLE t OF c;
-- new
CREATE TYPE c AS (z int, b text, a int);
CREATE TABLE t OF c;
-- rows
INSERT INTO t VALUES (1, 'p');
-- case: a partition demands what its table does not, and the column gets another type and collation
-- old
CREATE TABLE t (a int, b int NOT NULL, c text COLLATE "C") PARTITION BY LIST (a);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE p (b int);
CREATE TABLE c (b int NOT NULL) INHERITS (p);
CREATE VIEW v AS SELECT b FROM c;
-- new
CREATE TABLE t (a int, b bigint, c text) PARTITION BY LIST (a);
CREATE TABLE t1 PARTITION OF t (b NOT NULL, PRIMARY KEY (a, c)) FOR VALUES IN (1);
CREATE TABLE p (b bigint);
CREATE TABLE c (b bigint NOT NULL) INHERITS (p);
CREATE VIEW v AS SELECT b FROM c;
-- rows
INSERT INTO t VALUES (1, 2, 'x');
INSERT INTO c VALUES (3);
-- case: a view of a column that a child declares and inherits, beside one with two parents
-- old
CREATE TABLE t (b bigint);
CREATE TABLE u (b bigint);
CREATE TABLE w () INHERITS (t, u);
CREATE TABLE c (b bigint) INHERITS (t);
CREATE VIEW v AS SELECT b FROM c;
-- new
CREATE TABLE t (b int);
CREATE TABLE u (b int);
CREATE TABLE w () INHERITS (t, u);
CREATE TABLE c (b int NOT NULL) INHERITS (t);
CREATE VIEW v AS SELECT b FROM c;
-- rows
INSERT INTO c VALUES (1); INSERT INTO w VALUES (2);
-- case: a foreign key to an index that is whole only with the keys of partitions
-- old
CREATE TABLE t (a int, b text, PRIMARY KEY (a), UNIQUE (a, b));
CREATE TABLE f (a int, b text, FOREIGN KEY (a, b) REFERENCES t (a, b));
-- new
CREATE TABLE t (a int, b text) PARTITION BY LIST (a);
CREATE TABLE t1 PARTITION OF t (PRIMARY KEY (a, b)) FOR VALUES IN (1);
CREATE UNIQUE INDEX i ON t (a, b);
CREATE TABLE f (a int, b text, FOREIGN KEY (a, b) REFERENCES t (a, b));
-- rows
INSERT INTO t VALUES (1, 'x');
INSERT INTO f VALUES (1, 'x');
-- case: a column's sequence takes the name of another one's identity
-- old
CREATE TABLE t (a int NOT NULL GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME s));
CREATE TABLE u (a bigserial);
-- new
CREATE SEQUENCE s;
CREATE TABLE t (a int NOT NULL);
CREATE TABLE u (a bigint NOT NULL DEFAULT nextval('s'));
ALTER SEQUENCE s OWNED BY u.a;
-- rows
INSERT INTO t VALUES (DEFAULT);
INSERT INTO u VALUES (DEFAULT), (DEFAULT);
-- case: what a type cuts off without a word, and what fits any value
-- old
CREATE TABLE t (a text, b varchar(80), c text, d int, e time, f time, g jsonb);
-- new
CREATE TABLE t (a name, b "char", c bit(3), d bit(4), e timetz, f interval, g json);
-- rows
INSERT INTO t VALUES ('x', 'y', '101', 5, '10:00', '11:00', '{"a": 1}');
-- expect
a: all beyond 63 bytes is cut off
b: all but the first byte is lost
c: bits beyond its length are cut off, and a value of anything else stops it
d: bits beyond its length are cut off
e: the time zone is that of whoever runs it
-- never
that the new type cannot hold
-- case: what is never longer than its length
-- old
CREATE TYPE mood AS ENUM ('sad', 'quite happy');
CREATE TABLE t (a mood, b uuid, c int, d boolean, e mood);
-- new
CREATE TABLE t (a varchar(11), b varchar(36), c varchar(11), d char(5), e varchar(10));
-- rows
INSERT INTO t VALUES ('quite happy', gen_random_uuid(), -2147483648, false, 'sad');
-- expect
e: a value that the new type cannot hold stops it
-- never
a: a value that
b: a value that
c: a value that
d: a value that
-- case: policies of two tables in a circle, by way of a view
-- old
-- new
CREATE TABLE a (x int); CREATE TABLE b (x int);
CREATE VIEW v AS SELECT x FROM b;
CREATE POLICY p ON a USING (x IN (SELECT x FROM v));
CREATE POLICY p ON b USING (x IN (SELECT x FROM a));
-- case: defaults of two tables in a circle, by way of functions
-- old
-- new
CREATE TABLE a (x int); CREATE TABLE b (x int);
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT max(x) FROM b; END;
CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT max(x) FROM a; END;
ALTER TABLE a ALTER x SET DEFAULT f(); ALTER TABLE b ALTER x SET DEFAULT g();
-- case: the primary key of a partitioned table gets another column, or has them in another order
-- both
CREATE TABLE t (a int NOT NULL, b int) PARTITION BY LIST (a);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2) PARTITION BY LIST (b);
CREATE TABLE t21 PARTITION OF t2 DEFAULT;
CREATE TABLE u (a int, b int) PARTITION BY LIST (a);
CREATE TABLE u1 PARTITION OF u FOR VALUES IN (1);
-- old
ALTER TABLE t ADD PRIMARY KEY (b, a);
ALTER TABLE u ADD PRIMARY KEY (a);
-- new
ALTER TABLE t ADD PRIMARY KEY (a, b);
ALTER TABLE u ADD PRIMARY KEY (a, b);
ALTER TABLE u1 CLUSTER ON u1_pkey;
COMMENT ON CONSTRAINT u_pkey ON u IS 'x';
-- rows
INSERT INTO t VALUES (1, 1), (2, 1);
INSERT INTO u VALUES (1, 1);
-- case: a partition whose key belongs to an index of the whole comes, or the index does
-- both
CREATE TABLE t (a int NOT NULL, b int NOT NULL) PARTITION BY LIST (a);
CREATE UNIQUE INDEX i ON t (a, b);
CREATE TABLE u (a int, b int) PARTITION BY LIST (a);
CREATE TABLE u1 PARTITION OF u (CONSTRAINT u1_key UNIQUE (a, b)) FOR VALUES IN (1);
-- new
CREATE TABLE t1 (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a, b));
ALTER TABLE t ATTACH PARTITION t1 FOR VALUES IN (1);
ALTER TABLE t1 ADD FOREIGN KEY (a, b) REFERENCES t (a, b);
CREATE UNIQUE INDEX i2 ON u (a, b);
-- rows
INSERT INTO u VALUES (1, 1);
