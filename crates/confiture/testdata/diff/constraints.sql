-- case: primary key added
-- old
CREATE TABLE t (id int, b int);
-- new
CREATE TABLE t (id int PRIMARY KEY, b int);
-- rows
INSERT INTO t VALUES (1, 2);
-- case: primary key over others
-- old
CREATE TABLE t (a int PRIMARY KEY, b int);
-- new
CREATE TABLE t (a int NOT NULL, b int, PRIMARY KEY (b, a));
-- rows
INSERT INTO t VALUES (1, 2);
-- case: primary key moves with a foreign key on it
-- old
CREATE TABLE p (a int PRIMARY KEY, b int NOT NULL UNIQUE);
CREATE TABLE c (a int REFERENCES p, b int);
-- new
CREATE TABLE p (a int NOT NULL UNIQUE, b int PRIMARY KEY);
CREATE TABLE c (a int REFERENCES p (a), b int REFERENCES p);
-- rows
INSERT INTO p VALUES (1, 2); INSERT INTO c VALUES (1, 2);
-- case: renamed
-- old
CREATE TABLE t (a int CONSTRAINT old_pk PRIMARY KEY, b int CONSTRAINT old_u UNIQUE, c int CONSTRAINT old_c CHECK (c > 0));
CREATE TABLE u (a int CONSTRAINT old_fk REFERENCES t);
-- new
CREATE TABLE t (a int CONSTRAINT new_pk PRIMARY KEY, b int CONSTRAINT new_u UNIQUE, c int CONSTRAINT new_c CHECK (c > 0));
CREATE TABLE u (a int CONSTRAINT new_fk REFERENCES t);
-- case: check changes
-- old
CREATE TABLE t (a int, b int, CONSTRAINT c CHECK (a > 0), CONSTRAINT d CHECK (b > 0) NOT VALID);
-- new
CREATE TABLE t (a int, b int, CONSTRAINT c CHECK (a > 1), CONSTRAINT d CHECK (b > 0), CONSTRAINT e CHECK (a > b) NO INHERIT);
-- rows
INSERT INTO t VALUES (3, 2);
-- case: not valid stays not valid
-- old
CREATE TABLE t (a int);
CREATE TABLE p (id int PRIMARY KEY);
-- new
CREATE TABLE t (a int);
CREATE TABLE p (id int PRIMARY KEY);
ALTER TABLE t ADD CONSTRAINT c CHECK (a > 5) NOT VALID;
ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p NOT VALID;
-- rows
INSERT INTO t VALUES (1);
-- case: foreign key actions
-- old
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (a int REFERENCES p, b int REFERENCES p ON DELETE CASCADE, d int REFERENCES p);
-- new
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (a int REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE, b int REFERENCES p, d int REFERENCES p DEFERRABLE INITIALLY DEFERRED);
-- case: unique nulls not distinct and deferrable
-- since: 15
-- old
CREATE TABLE t (a int UNIQUE, b int, c int UNIQUE);
-- new
CREATE TABLE t (a int UNIQUE NULLS NOT DISTINCT, b int UNIQUE DEFERRABLE INITIALLY DEFERRED, c int UNIQUE DEFERRABLE);
-- case: exclusion
-- old
CREATE TABLE t (r int4range, s int4range);
-- new
CREATE TABLE t (r int4range, s int4range, CONSTRAINT x EXCLUDE USING gist (r WITH &&), CONSTRAINT y EXCLUDE USING gist (s WITH =, r WITH &&) WHERE (s IS NOT NULL));
-- case: unique with include and parameters
-- old
CREATE TABLE t (a int, b int, UNIQUE (a));
-- new
CREATE TABLE t (a int, b int, UNIQUE (a) INCLUDE (b) WITH (fillfactor = 70));
-- case: mutual foreign keys
-- old
CREATE TABLE x (id int);
-- new
CREATE TABLE x (id int);
CREATE TABLE a (id int PRIMARY KEY, b int);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
-- case: foreign key to itself
-- old
CREATE TABLE t (id int PRIMARY KEY, p int);
-- new
CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES t);
CREATE TABLE n (id int PRIMARY KEY, p int REFERENCES n);
-- case: check by a function
-- old
CREATE TABLE t (a int);
-- new
CREATE FUNCTION ok(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE TABLE t (a int CHECK (ok(a)));
CREATE TABLE u (a int DEFAULT 1 CHECK (ok(a)));
-- rows
INSERT INTO t VALUES (1);
-- case: comments clustering replica identity
-- old
CREATE TABLE t (a int NOT NULL PRIMARY KEY, b int NOT NULL UNIQUE);
-- new
CREATE TABLE t (a int NOT NULL PRIMARY KEY, b int NOT NULL UNIQUE);
COMMENT ON CONSTRAINT t_pkey ON t IS 'the key';
COMMENT ON INDEX t_b_key IS 'an index';
ALTER TABLE t CLUSTER ON t_pkey;
ALTER TABLE t REPLICA IDENTITY USING INDEX t_b_key;
-- case: unique index becomes a constraint
-- old
CREATE TABLE t (a int, b int);
CREATE UNIQUE INDEX u ON t (a);
-- new
CREATE TABLE t (a int, b int, CONSTRAINT u UNIQUE (a));
-- case: multi column foreign key
-- since: 15
-- old
CREATE TABLE p (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE c (a int, b int);
-- new
CREATE TABLE p (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE c (a int, b int, FOREIGN KEY (a, b) REFERENCES p MATCH FULL ON DELETE SET NULL (b));
-- case: two tables go that refer to each other
-- old
CREATE TABLE a (id int PRIMARY KEY, b int);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
CREATE TABLE c (id int REFERENCES a);
-- new
CREATE TABLE c (id int);
-- case: swapped names
-- old
CREATE TABLE t (a int, b int, CONSTRAINT x CHECK (a > 0), CONSTRAINT y CHECK (b > 0));
-- new
CREATE TABLE t (a int, b int, CONSTRAINT y CHECK (a > 0), CONSTRAINT x CHECK (b > 0));
-- case: checks that are not valid on a parent and on its child
-- old
SELECT;
-- new
CREATE TABLE p (d date);
CREATE TABLE c () INHERITS (p);
ALTER TABLE c ADD CONSTRAINT of_child CHECK (d >= '2010-01-01') NOT VALID;
ALTER TABLE p ADD CONSTRAINT of_parent CHECK (d >= '2001-01-01') NOT VALID;
-- case: keys on what another key of a new table is on, with options and a comment
-- old
CREATE TABLE other (a int);
-- new
CREATE TABLE t (id int, n int, CONSTRAINT pk PRIMARY KEY (id));
ALTER TABLE t ADD CONSTRAINT uk UNIQUE (id) WITH (fillfactor = 70);
ALTER TABLE t ADD CONSTRAINT uk2 UNIQUE (id);
COMMENT ON CONSTRAINT uk2 ON t IS 'kept';
ALTER TABLE t ADD CONSTRAINT uk3 UNIQUE (id) DEFERRABLE;
ALTER TABLE t ADD CONSTRAINT ex EXCLUDE (n WITH =), ADD CONSTRAINT ex2 EXCLUDE (n WITH =);
COMMENT ON CONSTRAINT ex2 ON t IS 'kept, too';
-- case: arrays of another type than what is compared with them
-- old
CREATE TABLE t (n numeric CHECK (n = ANY (ARRAY[1, 2])), f float CONSTRAINT f CHECK (f <> ALL (ARRAY[1, -2])), s varchar);
CREATE TABLE gone (n numeric CHECK (n = ANY (ARRAY[3, 4])));
-- new
CREATE TABLE t (n numeric CHECK (n = ANY (ARRAY[1, 2])), f float CONSTRAINT f CHECK (f <> ALL (ARRAY[1, -3])), s varchar);
CREATE VIEW v AS SELECT n FROM t WHERE n = ANY (ARRAY[1, length(s)]) AND f::real = ANY (ARRAY[1, 2]) AND s = ANY (ARRAY[s, 'a'::varchar]);
CREATE INDEX i ON t (n) WHERE n = ANY (ARRAY[5, 6]);
-- case: a foreign key that may use either of two unique constraints
-- old
CREATE TABLE actor (id int PRIMARY KEY, name text);
CREATE TABLE part (actor_id int REFERENCES actor, film int, PRIMARY KEY (actor_id, film));
-- new
CREATE TABLE actor (name text, uid uuid NOT NULL CONSTRAINT actor_uid UNIQUE);
CREATE TABLE part (film int, actor_uid uuid REFERENCES actor (uid), PRIMARY KEY (actor_uid, film));
ALTER TABLE actor ADD PRIMARY KEY (uid);
-- case: a key to which others refer is built before it takes the place of another
-- old
CREATE TABLE t (id int NOT NULL UNIQUE, a int NOT NULL, b int, CONSTRAINT "Ü" UNIQUE (a));
CREATE UNIQUE INDEX "we""ird" ON t (b); COMMENT ON CONSTRAINT "Ü" ON t IS 'x';
CREATE TABLE u (t int REFERENCES t (id), a int REFERENCES t (a), b int REFERENCES t (b));
-- new
CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int, CONSTRAINT "Ü" UNIQUE (a) INCLUDE (b));
CREATE UNIQUE INDEX "we""ird" ON t (b) INCLUDE (a); COMMENT ON CONSTRAINT "Ü" ON t IS 'y';
CREATE TABLE u (t int REFERENCES t (id), a int REFERENCES t (a), b int REFERENCES t (b));
-- rows
INSERT INTO t VALUES (1, 1, 1); INSERT INTO u VALUES (1, 1, 1);
-- expect
CREATE UNIQUE INDEX CONCURRENTLY t_pkey ON public.t (id)
CREATE UNIQUE INDEX CONCURRENTLY "Ü__new" ON public.t (a) INCLUDE (b)
ALTER INDEX public."we""ird__new" RENAME TO "we""ird"
-- never
blocks writes
-- case: a key of what comes in the same transaction is built there
-- old
CREATE TABLE t (id int NOT NULL UNIQUE, a int); CREATE TABLE u (t int REFERENCES t (id));
-- new
CREATE TABLE t (id bigint PRIMARY KEY, a int); CREATE TABLE u (t bigint REFERENCES t (id));
-- rows
INSERT INTO t VALUES (1); INSERT INTO u VALUES (1);
-- never
CREATE UNIQUE INDEX CONCURRENTLY
