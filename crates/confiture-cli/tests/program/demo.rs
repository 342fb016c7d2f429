//! `confiture demo`: everything from nothing.

use crate::support::Project;

#[test]
fn it_ends_with_every_row_compared() {
    let said = Project::new().call(&["demo", "--rows", "20_000", "-q"]).steady(&[]);
    insta::assert_snapshot!(said, @"
    status 0
    --- stdout
    ⚡ people migrated (2,000 rows, TIME actual)
    ⚡ orders migrated (20,000 rows, TIME actual)
    2 tables in TIME: 4 indexes and constraints built, 2 sequences advanced.

    ✅ people: 2,000 (old) = 2,000 (new)
    ✅ orders: 20,000 (old) = 20,000 (new)
    ✅ Foreign key integrity verified
    Compared in TIME.
    --- stderr
    ");
}
