-- case: the seed's example
-- old
CREATE TABLE users (id serial PRIMARY KEY, full_name text NOT NULL, email text);
CREATE VIEW v AS SELECT full_name FROM users;
-- new
CREATE TABLE users (id serial PRIMARY KEY, display_name text NOT NULL, email text);
CREATE VIEW v AS SELECT display_name FROM users;
-- rows
INSERT INTO users (full_name) VALUES ('a');
-- expect
RENAME COLUMN full_name TO display_name
inferred
-- never
DROP COLUMN
-- case: what is not alike is not guessed
-- old
CREATE TABLE t (id int, created_at timestamptz, price int);
CREATE TABLE u (id int, shipping_zip text);
CREATE TABLE w (id int, a_name text, b_name text);
-- new
CREATE TABLE t (id int, deleted_at timestamptz, price int);
CREATE TABLE u (id int, billing_zip integer);
CREATE TABLE w (id int, c_name text, d_name text);
-- never
RENAME
-- case: by annotation
-- old
CREATE TABLE t (id int, a text, b text);
CREATE TABLE people (x int, y int);
CREATE TYPE feeling AS ENUM ('a');
-- new
CREATE TABLE t (
    id int,
    first text, -- confiture: renamed from a
    -- confiture: renamed from b
    second text
);
-- confiture: renamed from people
CREATE TABLE humans (x int,
  z bigint -- confiture: renamed from y
);
-- confiture: renamed from feeling
CREATE TYPE mood AS ENUM ('a', 'b');
-- rows
INSERT INTO t VALUES (1, 'a', 'b'); INSERT INTO people VALUES (1, 2);
-- expect
RENAME COLUMN a TO first
RENAME COLUMN b TO second
RENAME TO humans
RENAME TO mood
-- never
DROP
-- case: on the command line
-- rename: users.full_name=label
-- rename: old_table=new_table
-- rename: public.new_table.a=b
-- old
CREATE TABLE users (id int, full_name text);
CREATE TABLE old_table (id serial PRIMARY KEY, a int UNIQUE);
CREATE INDEX old_table_i ON old_table (a);
CREATE TABLE c (r int REFERENCES old_table);
-- new
CREATE TABLE users (id int, label varchar(50));
CREATE TABLE new_table (id serial PRIMARY KEY, b int UNIQUE);
CREATE INDEX new_table_i ON new_table (b);
CREATE TABLE c (r int REFERENCES new_table);
-- rows
INSERT INTO users VALUES (1, 'a'); INSERT INTO old_table (a) VALUES (1);
-- expect
RENAME COLUMN full_name TO label
RENAME TO new_table
RENAME COLUMN a TO b
RENAME CONSTRAINT old_table_pkey TO new_table_pkey
ALTER SEQUENCE public.old_table_id_seq RENAME TO new_table_id_seq
-- never
DROP
CREATE SEQUENCE
-- case: a table that is alike
-- old
CREATE TABLE customer (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
-- new
CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
-- rows
INSERT INTO customer (name) VALUES ('a');
-- expect
RENAME TO customers
-- never
DROP
-- case: partitioned and inherited columns
-- old
CREATE TABLE t (id int, full_name text) PARTITION BY LIST (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE INDEX i ON t (full_name);
-- new
CREATE TABLE t (id int, display_name text) PARTITION BY LIST (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE INDEX i ON t (display_name);
-- rows
INSERT INTO t VALUES (1, 'x');
-- expect
RENAME COLUMN full_name TO display_name
-- never
DROP COLUMN
-- case: a view takes the old name
-- old
CREATE TABLE jobs (id serial PRIMARY KEY, a text, b int);
CREATE VIEW v AS SELECT a FROM jobs;
-- new
CREATE TABLE private_jobs (id serial PRIMARY KEY, a text, b int);
CREATE VIEW jobs AS SELECT id, a FROM private_jobs;
CREATE VIEW v AS SELECT a FROM jobs;
-- rows
INSERT INTO jobs (a) VALUES ('x');
-- expect
RENAME TO private_jobs
-- never
DROP TABLE
-- case: another one has the new name
-- old
CREATE TABLE a (x int, y text);
CREATE TABLE b (z int PRIMARY KEY, w int);
CREATE TABLE t (a int, b text, id int);
CREATE VIEW v AS SELECT a, b FROM t;
CREATE TABLE u (a int, b text, id int);
CREATE TABLE s (confirmed timestamptz, id int);
-- new
-- confiture: renamed from a
CREATE TABLE b (x int, y text);
-- confiture: renamed from b
CREATE TABLE c (z int PRIMARY KEY, w int);
CREATE TABLE t (
    b int, -- confiture: renamed from a
    c text, -- confiture: renamed from b
    id int
);
CREATE VIEW v AS SELECT b, c FROM t;
CREATE TABLE u (
    b int, -- confiture: renamed from a
    id int
);
CREATE TABLE s (
    email_confirmed timestamptz, -- confiture: renamed from confirmed
    id int,
    confirmed timestamptz GENERATED ALWAYS AS (email_confirmed) STORED
);
-- rows
INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (2, 3); INSERT INTO t VALUES (1, 'a', 7); INSERT INTO s VALUES ('2020-01-01', 1);
-- expect
RENAME COLUMN b TO c
RENAME COLUMN a TO b
RENAME COLUMN b TO b__aside
RENAME COLUMN confirmed TO email_confirmed
-- never
DROP TABLE
DROP COLUMN a
-- case: the new DDL says in which schema a table was
-- old
CREATE SCHEMA app;
CREATE SCHEMA crm;
CREATE TABLE app.users (id int, n text, x int, y int);
CREATE TABLE app."Old ""one" (a int);
CREATE TABLE app.same (k int, l int);
-- new
CREATE SCHEMA app;
CREATE SCHEMA crm;
-- confiture: renamed from app.users
CREATE TABLE crm.users (id int, name text);
-- confiture: renamed from app."Old ""one"
CREATE TABLE crm.young (a bigint, b text, c text);
-- confiture: renamed from app.same
CREATE TABLE app.other (m int);
-- rows
INSERT INTO app.users VALUES (1, 'a', 2, 3);
INSERT INTO app."Old ""one" VALUES (7);
INSERT INTO app.same VALUES (1, 2);
-- expect
ALTER TABLE app.users SET SCHEMA crm
ALTER TABLE app.same RENAME TO other
-- never
DROP TABLE
-- case: tables that move to another schema
-- old
CREATE SCHEMA a;
CREATE TABLE t (id serial PRIMARY KEY, n text CHECK (n <> ''));
CREATE TABLE r (t int REFERENCES t);
CREATE VIEW v AS SELECT * FROM t;
CREATE VIEW a.t AS SELECT 1 AS one;
CREATE TABLE p (id int) PARTITION BY RANGE (id);
CREATE TABLE p0 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (10) TO (20);
-- new
CREATE SCHEMA a;
CREATE SCHEMA "Parts";
CREATE TABLE a.t (id serial PRIMARY KEY, n text CHECK (n <> ''));
CREATE TABLE r (t int REFERENCES a.t);
CREATE VIEW v AS SELECT * FROM a.t;
CREATE VIEW t AS SELECT id FROM a.t;
CREATE TABLE p (id int) PARTITION BY RANGE (id);
CREATE TABLE "Parts".p0 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE "Parts".p1 (id int);
-- rows
INSERT INTO t VALUES (7, 'x'); INSERT INTO r VALUES (7); INSERT INTO p VALUES (1), (11);
-- expect
SET SCHEMA "Parts"
-- never
DROP TABLE
-- case: an enumeration with the same labels
-- old
CREATE TYPE parcel_type AS ENUM ('small', 'large');
CREATE TYPE shade AS ENUM ('light', 'dark');
CREATE TABLE parcel (id int, size parcel_type DEFAULT 'small', sizes parcel_type[], color shade NOT NULL);
CREATE INDEX ON parcel (id) WHERE size = 'large';
CREATE VIEW large AS SELECT id FROM parcel WHERE size = 'large';
-- new
CREATE TYPE parcel_kind AS ENUM ('small', 'large');
CREATE TYPE tone AS ENUM ('light', 'dark');
CREATE TABLE parcel (id int, size parcel_kind DEFAULT 'small', sizes parcel_kind[], color tone NOT NULL);
CREATE INDEX ON parcel (id) WHERE size = 'large';
CREATE VIEW large AS SELECT id FROM parcel WHERE size = 'large';
-- rows
INSERT INTO parcel VALUES (1, 'large', '{small}', 'dark');
-- expect
ALTER TYPE public.parcel_type RENAME TO parcel_kind
ALTER TYPE public.shade RENAME TO tone
-- never
ALTER TABLE
DROP
-- case: an enumeration and its table
-- old
CREATE TYPE "EventType" AS ENUM ('code', 'none');
CREATE TABLE "EventClass" (id int PRIMARY KEY, name text, type "EventType" DEFAULT 'code', all_types "EventType"[]);
CREATE TABLE use (id int REFERENCES "EventClass");
-- new
CREATE TYPE "ActionType" AS ENUM ('code', 'none');
CREATE TABLE "ActionClass" (id int PRIMARY KEY, name text, type "ActionType" DEFAULT 'code', all_types "ActionType"[]);
CREATE TABLE use (id int REFERENCES "ActionClass");
-- rows
INSERT INTO "EventClass" VALUES (1, 'a', 'none', '{code}');
-- expect
RENAME TO "ActionType"
RENAME TO "ActionClass"
-- never
DROP
-- case: enumerations that have no more than labels in common
-- old
CREATE TYPE door AS ENUM ('open', 'closed');
CREATE TABLE house (id int, front door);
-- new
CREATE TYPE ticket AS ENUM ('open', 'closed');
CREATE TABLE house (id int);
CREATE TABLE issue (id int, state ticket);
-- never
RENAME TO
-- case: a label in the place of another
-- old
CREATE TYPE stage AS ENUM ('new', 'declined by us', 'done');
CREATE TYPE other AS ENUM ('a', 'b', 'c');
CREATE TABLE t (id int, stage stage, other other);
-- new
CREATE TYPE stage AS ENUM ('new', 'it''s declined', 'done');
CREATE TYPE other AS ENUM ('a', 'c');
CREATE TABLE t (id int, stage stage, other other);
-- expect
label 'declined by us' of public.stage goes and 'it''s declined' comes in its place: where it is the same, say --rename public.stage."declined by us"="it's declined"
-- never
other.b
-- case: labels that are said to have new names
-- rename: stage."declined = by us"="it's declined"
-- rename: stage.done="Över"
-- rename: "Üser".mood=feeling
-- rename: "Üser".feeling.x=y
-- old
CREATE SCHEMA "Üser";
CREATE TYPE stage AS ENUM ('new', 'declined = by us', 'done');
CREATE TYPE "Üser".mood AS ENUM ('x', 'z');
CREATE TABLE t (id int, stage stage DEFAULT 'done' CHECK (stage <> 'new'), several stage[], mood "Üser".mood);
CREATE VIEW v AS SELECT id FROM t WHERE stage = 'declined = by us';
-- new
CREATE SCHEMA "Üser";
CREATE TYPE stage AS ENUM ('new', 'it''s declined', 'late', 'Över');
CREATE TYPE "Üser".feeling AS ENUM ('y', 'z');
CREATE TABLE t (id int, stage stage DEFAULT 'Över' CHECK (stage <> 'new'), several stage[], mood "Üser".feeling);
CREATE VIEW v AS SELECT id FROM t WHERE stage = 'it''s declined';
-- expect
ALTER TYPE public.stage RENAME VALUE 'declined = by us' TO 'it''s declined'
ALTER TYPE "Üser".feeling RENAME VALUE 'x' TO 'y'
-- never
CREATE TYPE
goes and
-- case: what is said to be no new name
-- no-rename: users.full_name=display_name
-- no-rename: public.old_items=new_items
-- no-rename: state.a=b
-- old
CREATE TYPE state AS ENUM ('a', 'z');
CREATE TABLE users (id int, full_name text);
CREATE TABLE old_items (id int, item text);
-- new
CREATE TYPE state AS ENUM ('b', 'z');
CREATE TABLE users (id int, display_name text);
CREATE TABLE new_items (id int, item text);
-- expect
DROP COLUMN full_name
DROP TABLE public.old_items
-- never
RENAME
goes and
-- case: what comments say is no new name
-- old
CREATE TABLE users (id int, full_name text);
CREATE TABLE "Old items" (id int, item text);
-- new
CREATE TABLE users (
    id int,
    display_name text -- confiture: not renamed from full_name
);
-- confiture: not renamed from "Old items"
CREATE TABLE new_items (id int, item text);
-- expect
DROP COLUMN full_name
DROP TABLE public."Old items"
-- never
RENAME
goes and
-- case: a table and its columns that have new names
-- rename: public.a=b
-- rename: public.a.x=x1
-- rename: public.a.y=y1
-- old
CREATE TABLE a (x int PRIMARY KEY, y text);
-- rows
INSERT INTO a VALUES (1, 'one');
-- new
CREATE TABLE b (x1 int PRIMARY KEY, y1 text);
-- never
CREATE TABLE
-- case: of one and of several
-- old
CREATE TABLE cities (id int PRIMARY KEY, name text);
CREATE TABLE "StreetsHouses" (street int, house int);
-- new
CREATE TABLE city (id int PRIMARY KEY, name text);
CREATE TABLE "HouseInStreet" (street int, house int);
-- rows
INSERT INTO cities VALUES (1, 'a'); INSERT INTO "StreetsHouses" VALUES (1, 2);
-- expect
ALTER TABLE public.cities RENAME TO city
ALTER TABLE public."StreetsHouses" RENAME TO "HouseInStreet"
-- never
DROP
-- case: what one word more makes another thing
-- old
CREATE TABLE t (id int, password text);
CREATE TABLE u (id int, "isActive" bool);
-- new
CREATE TABLE t (id int, "passwordHash" text);
CREATE TABLE u (id int, "isInactive" bool);
-- never
RENAME COLUMN
-- case: a column has a new name in a table that joins a parent, and leaves it on the way back
-- old
CREATE TABLE locks (id int, object text, n int);
-- new
CREATE TABLE p (my_object text, n int);
CREATE TABLE locks (id int, my_object text, n int);
ALTER TABLE locks INHERIT p;
-- rows
INSERT INTO locks VALUES (1, 'a', 2);
-- expect
ALTER TABLE public.locks RENAME COLUMN object TO my_object
-- case: names that are written otherwise
-- old
CREATE TABLE "User" (id serial PRIMARY KEY, "firstName" text NOT NULL, "lastName" text, "createdAt" timestamp, lone text);
CREATE TABLE "UserPost" ("postId" serial PRIMARY KEY, "userId" int REFERENCES "User", title text, "OLD" int);
CREATE INDEX ON "UserPost" ("userId");
CREATE VIEW names AS SELECT "firstName" || "lastName" AS name FROM "User";
CREATE TABLE p ("myKey" int, "myText" text);
CREATE TABLE c (more int) INHERITS (p);
-- new
CREATE TABLE "user" (id serial PRIMARY KEY, first_name text NOT NULL, last_name text, created_at timestamptz, alone int);
CREATE TABLE user_post (post_id bigserial PRIMARY KEY, user_id int REFERENCES "user", title text);
CREATE INDEX ON user_post (user_id);
CREATE VIEW names AS SELECT first_name || last_name AS name FROM "user";
CREATE TABLE p (my_key int, my_text text);
CREATE TABLE c (more int) INHERITS (p);
-- rows
INSERT INTO "User" ("firstName", "createdAt") VALUES ('a', '2020-01-01');
INSERT INTO "UserPost" ("userId", title) VALUES (1, 'b');
INSERT INTO c VALUES (1, 'c', 2);
-- expect
ALTER TABLE public."User" RENAME TO "user"
ALTER TABLE public."user" RENAME COLUMN "createdAt" TO created_at
ALTER TABLE public.p RENAME COLUMN "myText" TO my_text
-- never
DROP TABLE
ADD COLUMN first_name
-- case: of two names that are written otherwise, none is taken
-- old
CREATE TABLE t (id int, "userName" text, username text);
-- new
CREATE TABLE t (id int, user_name text);
-- rows
INSERT INTO t VALUES (1, 'a', 'b');
-- never
RENAME COLUMN
-- case: a table with most columns of one that goes is asked for
-- old
CREATE TABLE project_data (id int PRIMARY KEY, owner int, title text, price int);
CREATE TABLE other (id int, a int, b int);
-- new
CREATE TABLE projects (id bigint PRIMARY KEY, owner bigint, title text, price int, started date);
CREATE TABLE project_log (id int, x int, y int);
-- expect
say --rename public.project_data=projects
-- never
other=
-- case: a domain and a composite type
-- old
CREATE DOMAIN dim_code AS text DEFAULT 'x' NOT NULL CHECK (length(VALUE) > 0);
CREATE TYPE box_size AS (w int, h int);
CREATE TABLE t (id dim_code, size box_size, sizes box_size[]);
CREATE FUNCTION f(x dim_code) RETURNS box_size LANGUAGE plpgsql AS 'begin return null; end';
CREATE VIEW v AS SELECT id, (size).w FROM t;
-- new
CREATE DOMAIN "Dimension_Code" AS text DEFAULT 'x' NOT NULL CHECK (length(VALUE) > 0);
CREATE TYPE item_size AS (w int, h int);
CREATE TABLE t (id "Dimension_Code", size item_size, sizes item_size[]);
CREATE FUNCTION f(x "Dimension_Code") RETURNS item_size LANGUAGE plpgsql AS 'begin return null; end';
CREATE VIEW v AS SELECT id, (size).w FROM t;
-- rows
INSERT INTO t VALUES ('a', (1, 2), ARRAY[(3, 4)::box_size]);
-- expect
ALTER DOMAIN public.dim_code RENAME TO "Dimension_Code"
ALTER TYPE public.box_size RENAME TO item_size
-- never
DROP
-- case: a domain that demands more is another
-- old
CREATE DOMAIN mail AS text CHECK (VALUE ~ '@');
CREATE TABLE t (a mail);
-- new
CREATE DOMAIN mail_address AS text NOT NULL CHECK (VALUE ~ '@');
CREATE TABLE t (a mail_address);
-- rows
INSERT INTO t VALUES ('a@b');
-- never
RENAME TO
-- case: a table with most of the columns of another
-- old
CREATE TABLE queue (id int PRIMARY KEY, kind text, args jsonb, priority int);
CREATE TABLE audit_log (id int, at date, who text);
-- new
CREATE TABLE job_queue (id int PRIMARY KEY, kind text, __args jsonb, priority int);
CREATE TABLE access_log (id int, ip inet, path text);
-- expect
table public.queue goes and job_queue comes, with columns that are like its own: where it is the same, say --rename public.queue=job_queue --rename public.queue.args=__args
-- never
--rename public.audit_log
-- case: tables with new names, and their columns too
-- old
CREATE TABLE customer (customer_id int PRIMARY KEY, customer_name text NOT NULL, since date);
CREATE TABLE ware (ware_id bigint PRIMARY KEY, price numeric(10,2) NOT NULL, stock int);
CREATE TABLE colour (id int, name text);
-- new
CREATE TABLE client (id int PRIMARY KEY, full_name text NOT NULL, "From" date);
CREATE TABLE product (id bigint PRIMARY KEY, cost numeric(10,2) NOT NULL, amount int);
CREATE TABLE country (id int, title text);
-- expect
table public.customer goes and client comes, with columns that are like its own: where it is the same, say --rename public.customer=client --rename public.customer.customer_id=id --rename public.customer.customer_name=full_name --rename public.customer.since="From"
table public.ware goes and product comes, with columns that are like its own: where it is the same, say --rename public.ware=product --rename public.ware.ware_id=id --rename public.ware.price=cost --rename public.ware.stock=amount
-- never
--rename public.colour
-- case: a schema has a new name, and its tables have changed
-- rename: app.users.m=mood
-- old
CREATE SCHEMA app;
CREATE SCHEMA "Wörk";
CREATE TYPE app.mood AS ENUM ('a', 'b');
CREATE SEQUENCE app.loose;
CREATE TABLE app.users (id serial PRIMARY KEY, full_name text NOT NULL, m app.mood);
CREATE TABLE app.orders (id int PRIMARY KEY, user_id int REFERENCES app.users, total int);
CREATE TABLE app.gets_out (id int PRIMARY KEY, n text);
CREATE TABLE gets_in (id int PRIMARY KEY, n text);
CREATE TABLE "Wörk"."select" (id int, was int);
CREATE FUNCTION app.f(app.users) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE VIEW app.v AS SELECT id, total FROM app.orders;
-- new
CREATE SCHEMA apps;
CREATE SCHEMA "we""ird";
CREATE TYPE apps.mood AS ENUM ('a', 'b');
CREATE SEQUENCE apps.loose;
CREATE TABLE apps.users (id serial PRIMARY KEY, display_name text NOT NULL, mood apps.mood);
CREATE TABLE apps.orders (id int PRIMARY KEY, user_id int REFERENCES apps.users, total bigint, note text);
CREATE TABLE apps.gets_in (id int PRIMARY KEY, n text);
CREATE TABLE gets_out (id int PRIMARY KEY, n text);
CREATE TABLE "we""ird"."select" (id int, was bigint);
CREATE FUNCTION apps.f(apps.users) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE VIEW apps.v AS SELECT id, total FROM apps.orders;
-- rows
INSERT INTO app.users (full_name, m) VALUES ('x', 'b'); INSERT INTO app.orders VALUES (1, 1, 5); INSERT INTO app.gets_out VALUES (1, 'o');
INSERT INTO gets_in VALUES (1, 'i'); INSERT INTO "Wörk"."select" VALUES (1, 2); SELECT nextval('app.loose');
-- expect
ALTER SCHEMA app RENAME TO apps
ALTER SCHEMA "Wörk" RENAME TO "we""ird"
RENAME COLUMN full_name TO display_name
RENAME COLUMN m TO mood
ALTER TABLE public.gets_in SET SCHEMA apps
ALTER TABLE apps.gets_out SET SCHEMA public
-- never
DROP TABLE
DROP SEQUENCE
DROP COLUMN
data loss
-- case: tables that move to another schema have changed
-- rename: a.item=public.items
-- rename: a.less=public.less
-- rename: a.less.was=had
-- old
CREATE SCHEMA a;
CREATE TYPE a.mood AS ENUM ('a', 'b');
CREATE TABLE a.t (id serial PRIMARY KEY, n text, m a.mood);
CREATE TABLE a.item (id int PRIMARY KEY, n text);
CREATE TABLE a.less (id int, was text);
-- new
CREATE SCHEMA a;
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE TABLE t (id serial PRIMARY KEY, n varchar(20), m mood);
CREATE TABLE items (id int PRIMARY KEY, n text);
CREATE TABLE less (id int, had text);
-- rows
INSERT INTO a.t (n, m) VALUES ('x', 'b'); INSERT INTO a.item VALUES (1, 'y'); INSERT INTO a.less VALUES (1, 'z');
-- expect
ALTER TABLE a.t SET SCHEMA public
ALTER TABLE a.item SET SCHEMA public
ALTER TABLE public.item RENAME TO items
RENAME COLUMN was TO had
-- never
DROP TABLE
DROP COLUMN
data loss
-- case: an extension moves, and what uses it stays
-- old
CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE DOMAIN email AS citext CHECK (VALUE ~ '@');
CREATE TYPE pair AS (a citext, m email);
CREATE TABLE w (id int, e citext UNIQUE DEFAULT 'x', h hstore[], n text, sim real GENERATED ALWAYS AS (similarity(n, 'x')) STORED, p pair);
CREATE INDEX ON w USING gin (n gin_trgm_ops);
CREATE VIEW v AS SELECT e = 'x' AS b, h[1] -> 'a' AS ha, similarity(n, 'y') FROM w;
CREATE FUNCTION f(citext) RETURNS hstore LANGUAGE sql AS 'SELECT NULL::hstore';
CREATE POLICY p ON w USING (e = 'x');
-- new
CREATE SCHEMA "Ext ens";
CREATE EXTENSION pg_trgm SCHEMA "Ext ens"; CREATE EXTENSION hstore SCHEMA "Ext ens"; CREATE EXTENSION citext SCHEMA "Ext ens";
SET search_path = public, "Ext ens";
CREATE DOMAIN email AS citext CHECK (VALUE ~ '@');
CREATE TYPE pair AS (a citext, m email);
CREATE TABLE w (id int, e citext UNIQUE DEFAULT 'x', h hstore[], n text, sim real GENERATED ALWAYS AS (similarity(n, 'x')) STORED, p pair);
CREATE INDEX ON w USING gin (n gin_trgm_ops);
CREATE VIEW v AS SELECT e = 'x' AS b, h[1] -> 'a' AS ha, similarity(n, 'y') FROM w;
CREATE FUNCTION f(citext) RETURNS hstore LANGUAGE sql AS 'SELECT NULL::hstore';
CREATE POLICY p ON w USING (e = 'x');
-- rows
INSERT INTO w VALUES (1, 'A', ARRAY['a=>1'::hstore], 'xyz');
-- expect
ALTER EXTENSION citext SET SCHEMA "Ext ens"
-- never
ALTER TABLE
DROP INDEX
CREATE VIEW
-- case: what else moves to another schema, and what uses it stays
-- old
CREATE COLLATION c FROM "C"; CREATE TABLE t (a text COLLATE c); CREATE INDEX ON t (a);
CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION "T s" (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION "T s" ALTER MAPPING FOR asciiword WITH d;
CREATE INDEX ON t USING gin (to_tsvector('"T s"', a));
CREATE SEQUENCE s; CREATE TABLE w (id int DEFAULT nextval('s'), own serial);
CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE INDEX ON w (f(id)); CREATE TABLE g (a int, b int GENERATED ALWAYS AS (f(a)) STORED);
CREATE FUNCTION two(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; CREATE FUNCTION two(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE UNIQUE INDEX ON m (a); CREATE VIEW v AS SELECT a FROM m;
-- new
CREATE SCHEMA x; CREATE COLLATION x.c FROM "C"; CREATE TABLE t (a text COLLATE x.c); CREATE INDEX ON t (a);
CREATE TEXT SEARCH DICTIONARY x.d (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION x."T s" (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION x."T s" ALTER MAPPING FOR asciiword WITH x.d;
CREATE INDEX ON t USING gin (to_tsvector('x."T s"', a));
CREATE SEQUENCE x.s; CREATE TABLE w (id int DEFAULT nextval('x.s'), own serial);
CREATE FUNCTION x.f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE INDEX ON w (x.f(id)); CREATE TABLE g (a int, b int GENERATED ALWAYS AS (x.f(a)) STORED);
CREATE FUNCTION x.two(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; CREATE FUNCTION two(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE MATERIALIZED VIEW x.m AS SELECT 1 AS a; CREATE UNIQUE INDEX ON x.m (a); CREATE VIEW v AS SELECT a FROM x.m;
-- rows
INSERT INTO t VALUES ('a'); INSERT INTO w DEFAULT VALUES; INSERT INTO g VALUES (1);
-- expect
ALTER COLLATION public.c SET SCHEMA x
ALTER TEXT SEARCH CONFIGURATION public."T s" SET SCHEMA x
ALTER SEQUENCE public.s SET SCHEMA x
ALTER FUNCTION public.f(integer) SET SCHEMA x
ALTER MATERIALIZED VIEW public.m SET SCHEMA x
-- never
ALTER TABLE
DROP INDEX
VIEW public.v
ALTER FUNCTION public.two
-- case: a function moves under another name
-- old
CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'; CREATE TABLE t (a int); CREATE INDEX ON t (f(a));
-- new
CREATE SCHEMA "X x"; CREATE FUNCTION "X x"."Ü"(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'; CREATE TABLE t (a int); CREATE INDEX t_f_idx ON t ("X x"."Ü"(a));
-- rename: public.f="X x"."Ü"
-- expect
ALTER FUNCTION public.f(integer) SET SCHEMA "X x"
ALTER FUNCTION "X x".f(integer) RENAME TO "Ü"
-- never
DROP INDEX
