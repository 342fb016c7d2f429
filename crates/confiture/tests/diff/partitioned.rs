//! Where partitions have forms that let others go on working, a partitioned table has them.

use confiture::schema_diff::render;

use crate::together::{online, run};

const TABLES: &str = "
    CREATE TABLE one (id int PRIMARY KEY);
    CREATE TABLE p (id int NOT NULL, a int, b text, \"Ü\" int) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10);
    CREATE TABLE \"we\"\"ird\" PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
    CREATE TABLE below PARTITION OF \"we\"\"ird\" DEFAULT;
    CREATE TABLE p3 (\"Ü\" int, gone int, b text, a int, id int NOT NULL);
    ALTER TABLE p3 DROP COLUMN gone;
    ALTER TABLE p ATTACH PARTITION p3 DEFAULT;
    CREATE INDEX \"it is there\" ON p1 (a);
    ALTER TABLE below ADD CONSTRAINT \"is there\" FOREIGN KEY (a) REFERENCES one;";

const MORE: &str = "
    ALTER TABLE p ALTER b SET NOT NULL;
    ALTER TABLE p ADD UNIQUE (id);
    ALTER TABLE p ADD CONSTRAINT k UNIQUE (id, a) INCLUDE (b) DEFERRABLE;
    ALTER TABLE p ADD CHECK (a > 0);
    ALTER TABLE p ADD FOREIGN KEY (a) REFERENCES one ON DELETE SET NULL DEFERRABLE;
    ALTER TABLE p ADD FOREIGN KEY (a) REFERENCES one;
    CREATE INDEX ON p (a);
    CREATE UNIQUE INDEX \"Ü\" ON p (id, lower(b) DESC) WHERE \"Ü\" > 0;
    COMMENT ON INDEX \"Ü\" IS 'x';";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_while_rows_are_read() {
    let new = format!("{TABLES}{MORE}");
    let (up, down) = online(TABLES, &new).await;
    let text = render(&up, &[]);
    let reads: Vec<&str> = text.lines().filter(|line| line.contains(" while every row is read")).collect();
    assert!(reads.len() > 12, "{text}");
    for line in reads {
        assert!(line.contains("SHARE UPDATE EXCLUSIVE, others read and write"), "{line}\n{text}");
    }
    assert!(!text.contains("BEGIN;") && !text.contains("blocks writes"), "{text}");
    run(TABLES, &up).await;
    run(&new, &down).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_come_with_the_plan_are_built_with_the_others() {
    let tables = format!("{TABLES} CREATE TABLE p4 (\"Ü\" int, b text, a int, id int NOT NULL);");
    let more = "
        ALTER TABLE p ATTACH PARTITION p4 FOR VALUES FROM (20) TO (30);
        CREATE TABLE p5 PARTITION OF p FOR VALUES FROM (30) TO (40);";
    let new = format!("{tables}{more}{MORE}");
    let (up, down) = online(&tables, &new).await;
    let text = render(&up, &[]);
    assert!(!text.contains("BEGIN;") && !text.contains("blocks writes"), "{text}");
    assert!(text.contains("INDEX CONCURRENTLY p4_a_idx ") && text.contains("INDEX p5_a_idx "), "{text}");
    run(&tables, &up).await;
    run(&new, &down).await;
}

/// A table has one primary key at a time: what the new one needs is there when the old one goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_key_takes_the_place_of_another() {
    let with = |columns: &str| format!("{TABLES} ALTER TABLE p ADD PRIMARY KEY ({columns});");
    let (old, new) = (with("id"), with("a, id"));
    let (up, down) = online(&old, &new).await;
    let text = render(&up, &[]);
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words}\n{text}"));
    assert!(place("ALTER COLUMN a SET NOT NULL") < place("BEGIN;"), "{text}");
    assert!(place("INDEX CONCURRENTLY below_pkey__new ON public.below (a, id)") < place("BEGIN;"), "{text}");
    assert!(place("BEGIN;") < place("DROP CONSTRAINT p_pkey") && !text.contains("blocks writes"), "{text}");
    run(&old, &up).await;
    run(&new, &down).await;
}

/// What cannot be built by parts is said to keep others out: partitions elsewhere, and a foreign key from a table to itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_such_form_is_said() {
    let tables = "
        CREATE FOREIGN DATA WRAPPER w;
        CREATE SERVER s FOREIGN DATA WRAPPER w;
        CREATE TABLE p (id int NOT NULL, a int) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10);
        CREATE FOREIGN TABLE elsewhere PARTITION OF p FOR VALUES FROM (10) TO (20) SERVER s;
        CREATE TABLE q (id int PRIMARY KEY, a int) PARTITION BY HASH (id);
        CREATE TABLE q1 PARTITION OF q FOR VALUES WITH (MODULUS 1, REMAINDER 0);";
    let more = "CREATE INDEX i ON p (a); ALTER TABLE q ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES q;";
    let new = format!("{tables}{more}");
    let (up, _) = online(tables, &new).await;
    let text = render(&up, &[]);
    assert_eq!(text.matches("blocks writes: nobody can write").count(), 2, "{text}");
    run(tables, &up).await;
}
