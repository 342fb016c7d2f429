-- What users of tools like this have met.
-- case: conditions within conditions
-- since: 15
-- old
CREATE TABLE t (a int, b int, c int);
CREATE TABLE s (a int, b int, CHECK (a BETWEEN 1 AND 9 AND b > 0));
CREATE INDEX sx ON s (b) WHERE a NOT BETWEEN 1 AND 9 OR b > 0;
CREATE STATISTICS st ON (a BETWEEN 1 AND 9 AND b > 0), b FROM s;
CREATE TABLE r (a int, b int);
CREATE PUBLICATION pub FOR TABLE r WHERE (a > 0) WITH (publish = 'insert');
-- new
CREATE FUNCTION f(a int, b boolean DEFAULT (1 BETWEEN 0 AND 2 AND true)) RETURNS int LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION g(a int, b int) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT (a, b, 1) IN ((1, 2, 3), (b, a, 2), (2, b, a)) OR a > b; END;
CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE DOMAIN d AS int DEFAULT 1 CHECK (value BETWEEN 0 AND 9 AND value <> 5);
CREATE TABLE t (a int, b int, c int, n boolean GENERATED ALWAYS AS ((a, b, c) IS DISTINCT FROM (1, 2, 3)) STORED,
    m boolean DEFAULT (length(current_user::text) BETWEEN 1 AND 9 AND true), CHECK (a IN (b, c, 7, b + c) OR b IS NULL));
CREATE VIEW v AS SELECT a FROM t WHERE (a BETWEEN 1 AND 9 AND b > 0) IS TRUE AND a NOT IN (b, c, b + c) GROUP BY a HAVING max(c) BETWEEN 1 AND 2 AND true;
CREATE POLICY p ON t USING (b IN (a, c, 1) OR a BETWEEN SYMMETRIC 1 AND c OR a = 4);
CREATE TRIGGER tg BEFORE UPDATE ON t FOR EACH ROW WHEN (old.a BETWEEN 1 AND 9 AND new.b > 0) EXECUTE FUNCTION tr();
CREATE RULE ru AS ON DELETE TO t WHERE old.a BETWEEN 1 AND 9 AND old.b > 0 DO ALSO SELECT 1;
CREATE TABLE s (a bigint, b int, CHECK (a BETWEEN 1 AND 9 AND b > 0));
CREATE INDEX sx ON s (b) WHERE a NOT BETWEEN 1 AND 9 OR b > 0;
CREATE STATISTICS st ON (a BETWEEN 1 AND 9 AND b > 0), b FROM s;
CREATE TABLE r (a numeric, b int);
CREATE PUBLICATION pub FOR TABLE r WHERE (a BETWEEN 0 AND 4 AND b > 0) WITH (publish = 'insert');
CREATE TABLE h (a int, b int) PARTITION BY LIST ((b BETWEEN 0 AND 10 AND a >= 0));
CREATE TABLE h1 PARTITION OF h DEFAULT;
-- rows
INSERT INTO t VALUES (1, 1, 3);
INSERT INTO s VALUES (1, 2);
-- case: a view no longer needs the one that goes
-- old
CREATE TABLE t (a int, b int);
CREATE VIEW v1 AS SELECT a, b FROM t;
CREATE VIEW v2 AS SELECT a FROM v1;
CREATE VIEW v3 AS SELECT a FROM v2;
CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN (SELECT max(a) FROM v2);
-- new
CREATE TABLE t (a int, b int);
CREATE VIEW v1 AS SELECT a FROM t;
CREATE VIEW v3 AS SELECT a FROM v1;
CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN (SELECT max(a) FROM v1);
-- case: a view no longer needs the primary key that goes
-- old
CREATE TABLE t (id int PRIMARY KEY, a text);
CREATE VIEW v AS SELECT id, a, count(*) FROM t GROUP BY id;
-- new
CREATE TABLE t (id int, a text);
CREATE VIEW v AS SELECT id, a, count(*) FROM t GROUP BY id, a;
-- expect
CREATE OR REPLACE VIEW public.v
-- case: a name of two lines
-- old
CREATE TABLE t (a int, "b
c" int);
-- new
CREATE TABLE t (a int);
-- case: values that a domain no longer takes
-- old
CREATE DOMAIN d AS text;
CREATE TABLE t (d d);
-- new
CREATE DOMAIN d AS text NOT NULL CHECK (value <> '');
CREATE TABLE t (d d);
-- expect
SET NOT NULL
