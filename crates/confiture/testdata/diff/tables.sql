-- case: made with everything
-- old
CREATE TABLE other (id int PRIMARY KEY);
-- new
CREATE TABLE other (id int PRIMARY KEY);
CREATE UNLOGGED TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, o int NOT NULL REFERENCES other, n numeric(5,2) DEFAULT 0 CHECK (n >= 0), UNIQUE (o, n)) WITH (fillfactor = 80, autovacuum_enabled = false);
COMMENT ON TABLE t IS 'a table';
GRANT SELECT, INSERT ON t TO PUBLIC;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
ALTER TABLE t REPLICA IDENTITY FULL;
-- case: parameters are in the order of the new schema
-- old
CREATE TABLE t (a int, n text) WITH (fillfactor = 50, autovacuum_enabled = false, autovacuum_vacuum_threshold = 5, toast.autovacuum_enabled = false);
CREATE INDEX i ON t (a) WITH (fillfactor = 50, deduplicate_items = off);
-- new
CREATE TABLE t (a int, n text) WITH (parallel_workers = 2, fillfactor = 60, autovacuum_vacuum_threshold = 5, toast.vacuum_truncate = false, toast.autovacuum_enabled = false);
CREATE INDEX i ON t (a) WITH (fillfactor = 60, deduplicate_items = off);
-- case: settings
-- old
CREATE TABLE t (a int) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 5);
CREATE UNLOGGED TABLE u (a int);
CREATE TABLE w (a int);
ALTER TABLE w ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE w IS 'x';
-- new
CREATE TABLE t (a int) WITH (fillfactor = 60, toast.autovacuum_enabled = false);
CREATE TABLE u (a int);
CREATE UNLOGGED TABLE w (a int);
ALTER TABLE u REPLICA IDENTITY NOTHING;
-- rows
INSERT INTO t VALUES (1); INSERT INTO u VALUES (1); INSERT INTO w VALUES (1);
-- case: no columns
-- old
CREATE TABLE a ();
-- new
CREATE TABLE a (x int);
CREATE TABLE b ();
-- case: table becomes view
-- old
CREATE TABLE t (a int);
CREATE VIEW w AS SELECT a FROM t;
-- new
CREATE VIEW t AS SELECT 1 AS a;
CREATE VIEW w AS SELECT a FROM t;
-- case: owner
-- old
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_owner') THEN CREATE ROLE diff_owner; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TABLE t (id serial, a int);
CREATE TABLE u (a int);
ALTER TABLE u OWNER TO diff_owner;
-- new
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_owner') THEN CREATE ROLE diff_owner; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TABLE t (id serial, a int);
ALTER TABLE t OWNER TO diff_owner;
CREATE TABLE u (a int);
CREATE TABLE n (id serial);
ALTER TABLE n OWNER TO diff_owner;
GRANT SELECT ON t TO PUBLIC;
-- case: privileges
-- old
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_reader') THEN CREATE ROLE diff_reader; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TABLE t (a int);
GRANT SELECT, UPDATE ON t TO diff_reader;
GRANT ALL ON t TO PUBLIC;
-- new
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_reader') THEN CREATE ROLE diff_reader; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TABLE t (a int);
GRANT SELECT ON t TO diff_reader WITH GRANT OPTION;
GRANT INSERT ON t TO PUBLIC;
REVOKE DELETE ON t FROM CURRENT_USER;
-- case: of a type
-- old
CREATE TYPE ct AS (a int, b text);
-- new
CREATE TYPE ct AS (a int, b text);
CREATE TABLE t OF ct (PRIMARY KEY (a));
-- case: two schemas of one name each
-- old
CREATE SCHEMA a; CREATE SCHEMA b;
CREATE TABLE a.t (x int); CREATE TABLE b.t (x int);
-- new
CREATE SCHEMA a; CREATE SCHEMA b;
CREATE TABLE a.t (x int, y int); CREATE TABLE b.t (x text);
-- case: inheritance
-- old
CREATE TABLE p (a int, b text DEFAULT 'x');
CREATE TABLE c (d int) INHERITS (p);
CREATE TABLE alone (a int, b text);
-- new
CREATE TABLE p (a bigint, b text DEFAULT 'y', n int DEFAULT 5);
CREATE TABLE c (d int) INHERITS (p);
ALTER TABLE c ALTER b SET DEFAULT 'mine';
CREATE TABLE alone (a bigint, b text, n int);
ALTER TABLE alone INHERIT p;
CREATE TABLE q (w int);
CREATE TABLE two (v int) INHERITS (p, q);
-- rows
INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 'a', 2);
-- case: inherited checks and not null
-- old
CREATE TABLE p (a int CHECK (a > 0), b int);
CREATE TABLE c () INHERITS (p);
-- new
CREATE TABLE p (a int CONSTRAINT other CHECK (a > 1), b int NOT NULL);
CREATE TABLE c (CONSTRAINT own CHECK (b > 5)) INHERITS (p);
-- case: inherited column goes
-- old
CREATE TABLE p (a int, b int);
CREATE TABLE c (x int) INHERITS (p);
-- new
CREATE TABLE p (a int);
CREATE TABLE c (x int) INHERITS (p);
-- case: a function takes its row
-- old
CREATE TABLE x (a int);
-- new
CREATE TABLE x (a int);
CREATE TABLE t (a int, b int);
CREATE FUNCTION total(t) RETURNS int LANGUAGE sql AS 'SELECT $1.a + $1.b';
CREATE FUNCTION all_t() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t';
-- case: default and function in a circle
-- old
CREATE TABLE x (a int);
-- new
CREATE TABLE t (a int, b int);
CREATE FUNCTION f(t) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
ALTER TABLE t ADD CHECK (f(t) > 0);
CREATE FUNCTION g(t DEFAULT NULL) RETURNS int LANGUAGE sql AS 'SELECT 2';
ALTER TABLE t ALTER b SET DEFAULT g();
-- case: a column that a child declares as well has another type
-- old
CREATE TABLE a (id int, n text);
CREATE TABLE b (n text, x int) INHERITS (a);
-- new
CREATE TABLE a (id int, n text COLLATE "C");
CREATE TABLE b (n text COLLATE "C", x int) INHERITS (a);
-- rows
INSERT INTO b VALUES (1, 'x', 2);
-- case: a grandchild is taken off with its check
-- old
CREATE TABLE a (id int CHECK (id > 0));
CREATE TABLE b (x int) INHERITS (a);
CREATE TABLE c (id int, x int);
-- new
CREATE TABLE a (id int);
CREATE TABLE b (x int) INHERITS (a);
CREATE TABLE c (id int, x int);
ALTER TABLE c INHERIT b;
ALTER TABLE c NO INHERIT b;
-- case: one of two parents goes, and the columns of the other change
-- old
CREATE TABLE a (id int, e date);
CREATE TABLE b (id int, x int);
CREATE TABLE c (id int, e date, x int, y int);
ALTER TABLE c INHERIT a;
ALTER TABLE c INHERIT b;
-- new
CREATE TABLE a (id bigint NOT NULL, e date);
CREATE TABLE b (id bigint, x int);
CREATE TABLE c (id bigint NOT NULL, e date, x int, y int);
ALTER TABLE c INHERIT a;
-- rows
INSERT INTO c VALUES (1, '2020-01-01', 2, 3);
-- case: a child declares what it inherited
-- old
CREATE TABLE p (id int, n text DEFAULT 'x');
CREATE TABLE c (x int) INHERITS (p);
CREATE TABLE g () INHERITS (c);
-- new
CREATE TABLE p (id int, n text DEFAULT 'x', m int);
CREATE TABLE c (id int, n text DEFAULT 'x', x int, m int);
ALTER TABLE c INHERIT p;
CREATE TABLE g () INHERITS (c);
-- rows
INSERT INTO p VALUES (1); INSERT INTO c VALUES (2, 'a', 3); INSERT INTO g VALUES (3, 'b', 4);
-- expect
ALTER TABLE public.c NO INHERIT public.p, INHERIT public.p
-- never
only inherited
-- case: parents change their places
-- old
CREATE TABLE a (id int, e date);
CREATE TABLE b (id int, x int);
CREATE TABLE c (id int, e date, x int) INHERITS (a, b);
-- new
CREATE TABLE a (id int, e date);
CREATE TABLE b (id int, x int);
CREATE TABLE c (id int, e date, x int) INHERITS (b, a);
-- rows
INSERT INTO c VALUES (1, '2020-01-01', 2);
-- expect
ALTER TABLE public.c NO INHERIT public.b, NO INHERIT public.a, INHERIT public.b, INHERIT public.a
-- never
another order than in the files: no
the parents of
-- case: a child that does not declare all keeps its parents
-- old
CREATE TABLE p (id int, n text);
CREATE TABLE c (x int) INHERITS (p);
-- new
CREATE TABLE p (id int, n text);
CREATE TABLE c (id int, x int, z int) INHERITS (p);
-- rows
INSERT INTO c VALUES (1, 'a', 2);
-- expect
the column public.c.id is only inherited, other than in the files
-- never
NO INHERIT
-- case: identity sequences that are on disk other than their tables
-- since: 15
-- old
CREATE TABLE logged (a int GENERATED ALWAYS AS IDENTITY);
CREATE UNLOGGED TABLE unlogged (a int GENERATED ALWAYS AS IDENTITY);
CREATE UNLOGGED TABLE with_its_table (a int GENERATED ALWAYS AS IDENTITY);
-- new
CREATE TABLE logged (a int GENERATED ALWAYS AS IDENTITY);
ALTER SEQUENCE logged_a_seq SET UNLOGGED;
CREATE UNLOGGED TABLE unlogged (a int GENERATED ALWAYS AS IDENTITY);
ALTER SEQUENCE unlogged_a_seq SET LOGGED;
CREATE TABLE with_its_table (a int GENERATED ALWAYS AS IDENTITY);
CREATE UNLOGGED TABLE new_one (a int GENERATED ALWAYS AS IDENTITY);
ALTER SEQUENCE new_one_a_seq SET LOGGED;
-- case: a child that may hold NULL where its parent may not joins it
-- until: 17
-- old
CREATE TABLE note (id int PRIMARY KEY, about int NOT NULL, "b c" text NOT NULL);
CREATE TABLE task_note (id int PRIMARY KEY, about int, "b c" text);
-- new
CREATE TABLE note (id int PRIMARY KEY, about int NOT NULL, "b c" text NOT NULL);
CREATE TABLE task_note (id int PRIMARY KEY, about int, "b c" text);
ALTER TABLE task_note ALTER about SET NOT NULL, ALTER "b c" SET NOT NULL, INHERIT note;
ALTER TABLE task_note ALTER about DROP NOT NULL, ALTER "b c" DROP NOT NULL;
-- rows
INSERT INTO note VALUES (1, 2, 'a');
INSERT INTO task_note VALUES (1, NULL, NULL), (2, 3, 'b');
-- case: a child that may hold NULL where its parent may not declares what it inherited
-- until: 17
-- old
CREATE TABLE note (id int, about int NOT NULL);
CREATE TABLE task_note () INHERITS (note);
ALTER TABLE task_note ALTER about DROP NOT NULL;
-- new
CREATE TABLE note (id int, about int NOT NULL);
CREATE TABLE task_note (id int, about int) INHERITS (note);
ALTER TABLE task_note ALTER about DROP NOT NULL;
-- rows
INSERT INTO task_note VALUES (1, NULL);
