//! The query that stands in for `pg_dump` sees what changes, and nothing where nothing changed.

use local_postgres::testing::{Database, Witness};

use crate::support::psql;

const SCHEMA: &str = "
    CREATE SCHEMA s;
    CREATE TYPE s.mood AS ENUM ('calm', 'glad');
    CREATE DOMAIN s.positive AS int CONSTRAINT positive CHECK (VALUE > 0);
    CREATE TABLE s.parent (id int PRIMARY KEY, note text);
    CREATE TABLE s.t (id int GENERATED ALWAYS AS IDENTITY, gone int, parent int, mood s.mood, name varchar(9),
                      CONSTRAINT u UNIQUE (name), CONSTRAINT f FOREIGN KEY (parent) REFERENCES s.parent);
    ALTER TABLE s.t DROP COLUMN gone;
    CREATE INDEX i ON s.t (lower(name), parent);
    CREATE SEQUENCE s.q;
    CREATE VIEW s.v AS SELECT id FROM s.t;
    CREATE FUNCTION s.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touch BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.touch();
    INSERT INTO s.parent VALUES (1, 'one');";

/// Each changes something that a dump must show.
const CHANGES: &[&str] = &[
    "ALTER TABLE s.t ALTER name TYPE varchar(10)",
    "ALTER TABLE s.t ALTER parent SET NOT NULL",
    "ALTER TABLE s.t ALTER parent SET DEFAULT 1",
    "ALTER TABLE s.t ALTER name SET STORAGE EXTERNAL",
    "ALTER TABLE s.t ALTER name SET STATISTICS 7",
    "ALTER TABLE s.t ALTER id DROP IDENTITY",
    "ALTER TABLE s.t ADD COLUMN added int",
    "ALTER TABLE s.t REPLICA IDENTITY FULL",
    "ALTER TABLE s.t SET (fillfactor = 70)",
    "ALTER TABLE s.t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE s.t DISABLE TRIGGER touch",
    "ALTER TABLE s.t DISABLE TRIGGER ALL",
    "ALTER TABLE s.t CLUSTER ON i",
    "ALTER TABLE s.t DROP CONSTRAINT u",
    "ALTER TABLE s.t DROP CONSTRAINT f, ADD CONSTRAINT f FOREIGN KEY (parent) REFERENCES s.parent NOT VALID",
    "ALTER TABLE s.t ALTER CONSTRAINT f DEFERRABLE",
    "ALTER TABLE s.t RENAME CONSTRAINT f TO g",
    "ALTER TABLE s.parent DROP CONSTRAINT parent_pkey CASCADE",
    "ALTER INDEX s.i ALTER 1 SET STATISTICS 9",
    "ALTER INDEX s.i RENAME TO j",
    "DROP INDEX s.i; CREATE INDEX i ON s.t (lower(name) DESC, parent)",
    "ALTER SEQUENCE s.q INCREMENT 2",
    "ALTER TYPE s.mood ADD VALUE 'between' BEFORE 'glad'",
    "ALTER DOMAIN s.positive SET NOT NULL",
    "CREATE OR REPLACE VIEW s.v AS SELECT id FROM s.t WHERE id > 0",
    "CREATE OR REPLACE FUNCTION s.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "CREATE POLICY p ON s.t USING (id > 0)",
    "CREATE STATISTICS s.st ON parent, name FROM s.t",
    "COMMENT ON INDEX s.i IS 'why'",
    "COMMENT ON CONSTRAINT f ON s.t IS 'why'",
    "GRANT SELECT ON s.t TO public",
    "CREATE EXTENSION citext SCHEMA s",
    "CREATE OPERATOR s.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
];

#[tokio::test]
async fn the_catalog_sees_what_changes() {
    let (one, other) = (Database::create().await.unwrap(), Database::create().await.unwrap());
    let server = one.server();
    let run = |database: &Database<'_>, sql: &str| {
        psql(&server.program("psql"), &database.url(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    let whole = |database: &Database<'_>| Witness::Catalog.whole(server, database.name());
    run(&one, SCHEMA);
    run(&other, &format!("CREATE TABLE takes_an_oid (); DROP TABLE takes_an_oid; {SCHEMA}"));
    let made = whole(&one);
    assert!(made.contains("CREATE INDEX i ON s.t") && made.contains("1\tone"), "{made}");
    assert_eq!(made, whole(&other), "two that were made alike");
    for change in CHANGES {
        let changed = Database::create_from(server, one.name()).await.unwrap();
        assert_eq!(made, whole(&changed), "a copy");
        run(&changed, change);
        assert_ne!(made, whole(&changed), "{change}");
    }
    run(&one, "INSERT INTO s.parent VALUES (2, 'two')");
    assert_eq!(
        Witness::Catalog.schema(server, one.name(), ""),
        Witness::Catalog.schema(server, other.name(), "")
    );
    assert_ne!(made, whole(&one), "a row more");
    let without = Witness::Catalog.schema(server, one.name(), "s");
    assert!(!without.contains("s.t"), "{without}");
}

/// `pg_dump` itself is asked where it can be.
#[tokio::test]
async fn pg_dump_is_asked_where_it_is_new_enough() {
    let database = Database::create().await.unwrap();
    let schema = database.schema("");
    match Witness::of(database.server()) {
        Witness::PgDump(_) => assert!(schema.contains("-- PostgreSQL database dump"), "{schema}"),
        Witness::Catalog => assert!(schema.contains("(schema,public,"), "{schema}"),
    }
}
