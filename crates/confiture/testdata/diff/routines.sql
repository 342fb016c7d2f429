-- case: replaced
-- old
CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS 'SELECT 1';
COMMENT ON FUNCTION f IS 'f';
-- new
CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 5 SECURITY DEFINER SET search_path = 'public' AS $$BEGIN RETURN 2; END$$;
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION come(VARIADIC a int[], OUT x int, OUT y text) RETURNS record LANGUAGE sql AS $$SELECT 1, 'a'$$;
CREATE FUNCTION tab() RETURNS TABLE (a int, b text) LANGUAGE sql ROWS 5 AS $$SELECT 1, 'a'$$;
COMMENT ON FUNCTION f IS 'other';
GRANT EXECUTE ON FUNCTION f TO PUBLIC;
REVOKE EXECUTE ON FUNCTION come FROM PUBLIC;
-- case: result and names change
-- old
CREATE FUNCTION f(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION g(a int) RETURNS TABLE (x int) LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION h(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW v AS SELECT f(1, 2) AS x;
-- new
CREATE FUNCTION f(b int, a int) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
CREATE FUNCTION g(a int) RETURNS TABLE (x int, y int) LANGUAGE sql AS 'SELECT 1, 2';
CREATE FUNCTION h(named int DEFAULT 5) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW v AS SELECT f(1, 2) AS x;
-- case: overloads
-- old
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- new
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION f(text, int DEFAULT 5) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(date) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- case: function becomes procedure
-- old
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int);
-- new
CREATE PROCEDURE f() LANGUAGE sql AS 'SELECT';
CREATE FUNCTION ag(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- case: aggregates
-- old
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE FUNCTION fin(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE TABLE t (a int);
CREATE VIEW v AS SELECT total(a) FROM t;
-- new
CREATE FUNCTION fin(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '5', COMBINEFUNC = int4pl, PARALLEL = SAFE);
CREATE AGGREGATE other(int) (SFUNC = int4pl, STYPE = int, FINALFUNC = fin);
CREATE AGGREGATE starred(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
CREATE AGGREGATE least_of(int) (SFUNC = int4smaller, STYPE = int, SORTOP = <);
COMMENT ON AGGREGATE other(int) IS 'o';
CREATE TABLE t (a int);
CREATE VIEW v AS SELECT total(a) FROM t;
-- case: calls each other
-- old
CREATE TABLE x (a int);
-- new
CREATE TABLE x (a int);
CREATE FUNCTION a(n int) RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN b(n); END$$;
CREATE FUNCTION b(n int) RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN a(n); END$$;
CREATE FUNCTION c() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a(1); END;
-- case: default argument by another function
-- old
CREATE FUNCTION d() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(a int DEFAULT d()) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- new
CREATE FUNCTION d() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
CREATE FUNCTION f(a bigint DEFAULT d()) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- case: triggers
-- old
CREATE TABLE t (a int, b int);
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER gone BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
CREATE TRIGGER changed BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
CREATE TRIGGER state BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
-- new
CREATE TABLE t (a int, b int);
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OF a ON t FOR EACH ROW WHEN (NEW.a > 1) EXECUTE FUNCTION tf('x', 'y');
CREATE TRIGGER state BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
ALTER TABLE t DISABLE TRIGGER state;
CREATE CONSTRAINT TRIGGER con AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tf();
CREATE TRIGGER trans AFTER UPDATE ON t REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION tf();
ALTER TABLE t ENABLE ALWAYS TRIGGER trans;
COMMENT ON TRIGGER con ON t IS 'c';
-- case: trigger function goes with its trigger
-- old
CREATE TABLE t (a int);
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
-- new
CREATE TABLE t (a int);
CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tg();
-- case: event triggers
-- old
CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION ev();
-- new
CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';
CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('DROP TYPE') EXECUTE FUNCTION ev();
CREATE EVENT TRIGGER f ON sql_drop EXECUTE FUNCTION ev();
ALTER EVENT TRIGGER f DISABLE;
COMMENT ON EVENT TRIGGER f IS 'f';
-- case: rules
-- old
CREATE TABLE t (a int, b int);
CREATE TABLE l (a int);
CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO l VALUES (NEW.a);
CREATE RULE gone AS ON DELETE TO t DO INSTEAD NOTHING;
-- new
CREATE TABLE t (a int, b int);
CREATE TABLE l (a int);
CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO l VALUES (NEW.b);
CREATE RULE come AS ON UPDATE TO t WHERE OLD.a > 1 DO INSTEAD (UPDATE l SET a = NEW.a; DELETE FROM l WHERE a = OLD.a);
ALTER TABLE t DISABLE RULE come;
COMMENT ON RULE come ON t IS 'c';
-- case: policies
-- old
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_reader') THEN CREATE ROLE diff_reader; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TABLE t (a int, b text);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY p1 ON t USING (a > 0);
CREATE POLICY p2 ON t FOR SELECT TO diff_reader USING (b = CURRENT_USER);
CREATE POLICY gone ON t FOR INSERT WITH CHECK (true);
-- new
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diff_reader') THEN CREATE ROLE diff_reader; END IF; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TABLE t (a int, b text);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
CREATE POLICY p1 ON t TO diff_reader USING (a > 1);
CREATE POLICY p2 ON t AS RESTRICTIVE FOR SELECT TO PUBLIC USING (b = CURRENT_USER);
CREATE POLICY come ON t FOR UPDATE USING (a IN (SELECT 1)) WITH CHECK (a > 2);
COMMENT ON POLICY come ON t IS 'c';
-- case: procedures that differ in what they give back
-- old
CREATE PROCEDURE p(OUT a int, IN b int, IN c int) LANGUAGE plpgsql AS 'BEGIN a := b - c; END';
-- new
CREATE PROCEDURE p(INOUT a int, IN b int, IN c int) LANGUAGE plpgsql AS 'BEGIN a := b - c; END';
CREATE PROCEDURE p(OUT a int, IN b int, IN c int) LANGUAGE plpgsql AS 'BEGIN a := b - c; END';
COMMENT ON PROCEDURE p(OUT a int, IN b int, IN c int) IS 'the other one';
-- case: a view goes over to another function, whose type gets an attribute
-- old
CREATE TYPE entry AS (class text, field int);
CREATE FUNCTION entries(id int, by text DEFAULT ' ') RETURNS SETOF entry LANGUAGE plpgsql AS 'BEGIN END';
CREATE VIEW v AS SELECT * FROM entries(1);
-- new
CREATE TYPE entry AS (class text, field int, found bool);
CREATE FUNCTION entries(id int, by text, more int[]) RETURNS SETOF entry LANGUAGE plpgsql AS 'BEGIN END';
CREATE VIEW v AS SELECT * FROM entries(1, ' ', '{1}');
-- case: bodies and strings that have what the server would write otherwise
-- old
CREATE TABLE t (s varchar(99));
-- new
CREATE TABLE t (s varchar(99) DEFAULT ' = ANY ((ARRAY[1])::numeric[]) ON TRUE');
CREATE FUNCTION f(n numeric, s varchar) RETURNS boolean LANGUAGE sql AS
    $$ SELECT n = ANY ((ARRAY[1, 2])::numeric[]) AND (s)::text = ANY ((ARRAY['a'::character varying])::text[]) $$;
-- rows
INSERT INTO t VALUES ('a');
-- case: an event trigger that writes down what is done, elsewhere than before
-- old
CREATE TABLE log (tag text, one text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.log (tag, one) SELECT 'x', 'y' FROM pg_event_trigger_ddl_commands() WHERE false; END $$;
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION note();
-- new
CREATE TABLE log (tag text, other int);
CREATE TABLE last (tag text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.log (tag, other) SELECT 'x', 1 FROM public.last WHERE false; END $$;
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION note();
-- rows
INSERT INTO log VALUES ('x', 'y');
-- case: event triggers that read what gets another type
-- old
CREATE TABLE log (note text, n int);
CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log SELECT tg_tag, max(n) + 1 FROM log; END $$;
CREATE EVENT TRIGGER "We ird" ON ddl_command_end EXECUTE FUNCTION f();
CREATE FUNCTION g() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM n + 1 FROM log; END $$;
CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION g(); ALTER EVENT TRIGGER e ENABLE ALWAYS;
-- new
CREATE TABLE log (note text, n boolean);
CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log SELECT tg_tag, bool_or(n) FROM log; END $$;
CREATE EVENT TRIGGER "We ird" ON ddl_command_end EXECUTE FUNCTION f();
CREATE FUNCTION g() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM NOT n FROM log; END $$;
CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION g(); ALTER EVENT TRIGGER e ENABLE ALWAYS;
-- expect
ALTER EVENT TRIGGER "We ird" DISABLE
ALTER EVENT TRIGGER e ENABLE ALWAYS
