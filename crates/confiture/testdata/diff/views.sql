-- case: replaced
-- old
CREATE TABLE t (a int, b int);
CREATE VIEW v AS SELECT a FROM t;
CREATE VIEW w AS SELECT a FROM v;
COMMENT ON VIEW v IS 'v';
-- new
CREATE TABLE t (a int, b int);
CREATE VIEW v AS SELECT a, b FROM t WHERE a > 0;
CREATE VIEW w AS SELECT a FROM v;
COMMENT ON VIEW v IS 'v';
-- case: rebuilt with all that stands on it
-- old
CREATE TABLE t (a int, b int);
CREATE VIEW v AS SELECT a, b FROM t;
CREATE VIEW w AS SELECT b FROM v;
CREATE MATERIALIZED VIEW m AS SELECT b FROM w;
CREATE INDEX i ON m (b);
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER tr INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION tf();
CREATE RULE r AS ON UPDATE TO w DO INSTEAD NOTHING;
CREATE FUNCTION f() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM v';
COMMENT ON VIEW w IS 'w';
GRANT SELECT ON v, w, m TO PUBLIC;
GRANT SELECT (b) ON v TO PUBLIC;
ALTER VIEW v ALTER a SET DEFAULT 5;
-- new
CREATE TABLE t (a int, b int);
CREATE VIEW v AS SELECT b, a FROM t;
CREATE VIEW w AS SELECT b FROM v;
CREATE MATERIALIZED VIEW m AS SELECT b FROM w;
CREATE INDEX i ON m (b);
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER tr INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION tf();
CREATE RULE r AS ON UPDATE TO w DO INSTEAD NOTHING;
CREATE FUNCTION f() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM v';
COMMENT ON VIEW w IS 'w';
GRANT SELECT ON v, w, m TO PUBLIC;
GRANT SELECT (b) ON v TO PUBLIC;
ALTER VIEW v ALTER a SET DEFAULT 5;
-- case: column goes under a star
-- old
CREATE TABLE t (a int, b int, c int);
CREATE VIEW v AS SELECT * FROM t;
-- new
CREATE TABLE t (a int, c int);
CREATE VIEW v AS SELECT * FROM t;
-- case: options
-- since: 15
-- old
CREATE TABLE t (a int);
CREATE VIEW v WITH (security_barrier) AS SELECT a FROM t;
CREATE VIEW w AS SELECT a FROM t;
CREATE VIEW x AS SELECT a FROM t WITH LOCAL CHECK OPTION;
-- new
CREATE TABLE t (a int);
CREATE VIEW v AS SELECT a FROM t;
CREATE VIEW w WITH (security_invoker = true, security_barrier = false) AS SELECT a FROM t;
CREATE VIEW x AS SELECT a FROM t WITH CASCADED CHECK OPTION;
-- case: materialized
-- old
CREATE TABLE t (a int, b int);
CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
CREATE MATERIALIZED VIEW n AS SELECT a FROM m;
CREATE MATERIALIZED VIEW o WITH (fillfactor = 50) AS SELECT a FROM t;
-- new
CREATE TABLE t (a int, b int);
CREATE MATERIALIZED VIEW m AS SELECT b FROM t;
COMMENT ON COLUMN m.b IS 'b';
CREATE MATERIALIZED VIEW n AS SELECT b FROM m;
CREATE MATERIALIZED VIEW o WITH (fillfactor = 60) AS SELECT a FROM t;
CREATE MATERIALIZED VIEW p AS SELECT a FROM t WITH NO DATA;
ALTER MATERIALIZED VIEW o ALTER a SET STATISTICS 50;
-- case: view becomes materialized and table
-- old
CREATE VIEW v AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;
CREATE VIEW w AS SELECT a FROM v;
-- new
CREATE MATERIALIZED VIEW v AS SELECT 1 AS a;
CREATE VIEW m AS SELECT 1 AS a;
CREATE VIEW w AS SELECT a FROM v;
-- case: recursive and set operations and values
-- old
CREATE TABLE t (id int PRIMARY KEY, p int);
-- new
CREATE TABLE t (id int PRIMARY KEY, p int);
CREATE RECURSIVE VIEW r (id, depth) AS SELECT id, 1 FROM t WHERE p IS NULL UNION ALL SELECT t.id, depth + 1 FROM t JOIN r ON r.id = t.p;
CREATE VIEW u (x) AS SELECT id FROM t UNION SELECT p FROM t;
CREATE VIEW l (a, b) AS VALUES (1, 'x'), (2, 'y');
CREATE VIEW g AS SELECT t.*, count(*) AS n FROM t GROUP BY id;
-- case: view of a function and function of a view
-- old
CREATE TABLE x (a int);
-- new
CREATE TABLE t (a int);
CREATE VIEW v AS SELECT a FROM t;
CREATE FUNCTION f() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM public.v';
CREATE VIEW w AS SELECT * FROM f();
CREATE FUNCTION g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM w; END;
CREATE VIEW z AS SELECT g();
-- case: column renamed by alias
-- old
CREATE TABLE t (a int);
CREATE VIEW v AS SELECT a AS x FROM t;
CREATE VIEW w AS SELECT x FROM v;
-- new
CREATE TABLE t (a int);
CREATE VIEW v AS SELECT a AS y FROM t;
CREATE VIEW w AS SELECT y AS x FROM v;
-- case: privileges of its owner
-- old
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_owner') THEN CREATE ROLE diff_owner; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TABLE t (a int, b int);
CREATE VIEW v AS SELECT a, b FROM t;
ALTER VIEW v OWNER TO diff_owner;
GRANT SELECT ON v TO PUBLIC;
-- new
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_owner') THEN CREATE ROLE diff_owner; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TABLE t (a int, b int);
CREATE VIEW v AS SELECT b, a FROM t;
ALTER VIEW v OWNER TO diff_owner;
GRANT SELECT ON v TO PUBLIC;
-- case: a table becomes a view under a view
-- old
CREATE TABLE a (id int, n text);
CREATE VIEW b AS SELECT * FROM a;
COMMENT ON VIEW b IS 'x';
-- new
CREATE TABLE t (id int, n text, m int);
CREATE VIEW a AS SELECT id, n, m FROM t;
CREATE VIEW b AS SELECT * FROM a;
-- case: columns are named by their places, and one comes last
-- old
CREATE TABLE t (gone int, b int);
-- new
CREATE TABLE t (comes int, b int);
CREATE TABLE u (x t DEFAULT ROW(1, 2)::t);
CREATE VIEW v AS SELECT x.q FROM t x(p, q);
CREATE VIEW by_name AS SELECT x.b FROM t x WHERE x.b IN (SELECT t.b FROM t);
-- expect
view public.v counts on the places of the columns of public.t
default public.u.x counts on the places of the columns of public.t
-- never
public.by_name counts
-- case: options of views of nothing but VALUES
-- since: 15
-- old
CREATE VIEW v (x, "Y", "select") AS VALUES (1, 'a', 'AS '), (2, 'b', ' WITH (');
CREATE VIEW w (x) WITH (security_barrier) AS VALUES (1);
CREATE VIEW x WITH (security_barrier) AS VALUES (1, 2);
-- new
CREATE VIEW v (x, "Y", "select") WITH (security_barrier, security_invoker = false) AS VALUES (1, 'a', 'AS '), (2, 'b', ' WITH (');
CREATE VIEW w (x) AS VALUES (1);
CREATE VIEW x WITH (security_barrier = false) AS VALUES (1, 2), (3, 4);
-- case: a part of a time in capitals
-- old
CREATE TABLE t (a timestamp);
-- new
CREATE TABLE t (a timestamp CHECK (EXTRACT('Year' FROM a) > 0));
CREATE VIEW v AS SELECT EXTRACT('YEAR' FROM a) AS y, 'EXTRACT(YEAR FROM a)' AS z FROM t;
-- rows
INSERT INTO t VALUES ('2020-01-01');
-- case: an arm of a union that has no name
-- old
CREATE VIEW v AS SELECT 1 AS a;
-- new
CREATE VIEW v AS SELECT 1 AS a;
CREATE VIEW w AS SELECT s.a FROM (SELECT 0 AS n, relname AS a FROM pg_class UNION ALL SELECT DISTINCT 1, 'x' UNION SELECT 2, NULL) AS s;
