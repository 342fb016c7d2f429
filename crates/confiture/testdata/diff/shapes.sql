-- case: add column
-- old
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL);
-- new
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, bio text DEFAULT 'x');
-- rows
INSERT INTO users (email) VALUES ('a'), ('b');
-- case: a whole schema
-- old
CREATE TABLE gone (id int);
-- new
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'ok');
CREATE TABLE app.users (id serial PRIMARY KEY, mood app.mood DEFAULT 'ok', email text UNIQUE CHECK (email <> ''));
CREATE TABLE app.posts (id int PRIMARY KEY, author int REFERENCES app.users);
CREATE INDEX ON app.posts (author);
CREATE VIEW app.v AS SELECT u.id, p.id AS post FROM app.users u JOIN app.posts p ON p.author = u.id;
CREATE FUNCTION app.f(a int) RETURNS int LANGUAGE sql AS 'select 1';
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER t BEFORE UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();
-- case: type of a column under a view
-- old
CREATE TABLE t (id int PRIMARY KEY, n int);
CREATE VIEW v AS SELECT id, n FROM t;
CREATE VIEW w AS SELECT n FROM v;
GRANT SELECT ON w TO PUBLIC;
COMMENT ON COLUMN v.n IS 'n';
-- new
CREATE TABLE t (id bigint PRIMARY KEY, n text);
CREATE VIEW v AS SELECT id, n FROM t;
CREATE VIEW w AS SELECT n FROM v;
GRANT SELECT ON w TO PUBLIC;
COMMENT ON COLUMN v.n IS 'n';
-- rows
INSERT INTO t VALUES (1, 2);
-- case: enum loses a label
-- old
CREATE TYPE mood AS ENUM ('a', 'b', 'c');
CREATE TABLE t (id int PRIMARY KEY, m mood DEFAULT 'a', ms mood[]);
CREATE INDEX i ON t (id) WHERE m = 'a';
CREATE FUNCTION f(m mood) RETURNS int LANGUAGE sql AS 'select 1';
-- new
CREATE TYPE mood AS ENUM ('a', 'c');
CREATE TABLE t (id int PRIMARY KEY, m mood DEFAULT 'a', ms mood[]);
CREATE INDEX i ON t (id) WHERE m = 'a';
CREATE FUNCTION f(m mood) RETURNS int LANGUAGE sql AS 'select 1';
-- rows
INSERT INTO t VALUES (1, 'a', '{a,c}');
-- case: enum gets a label that is used at once
-- old
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE TABLE t (id int PRIMARY KEY, m mood DEFAULT 'a');
-- new
CREATE TYPE mood AS ENUM ('a', 'new', 'b', 'last');
CREATE TABLE t (id int PRIMARY KEY, m mood DEFAULT 'new');
-- case: partitions
-- old
CREATE TABLE m (id int, at date NOT NULL, v int DEFAULT 1) PARTITION BY RANGE (at);
CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
-- new
CREATE TABLE m (id int, at date NOT NULL, v int DEFAULT 2, w text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE m2 PARTITION OF m FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE INDEX ON m (w);
-- rows
INSERT INTO m VALUES (1, '2020-05-05');
