//! `confiture demo`: everything from nothing.

use crate::support::Project;

#[test]
fn it_ends_with_every_row_compared_and_a_changed_one_found() {
    let said = Project::new().call(&["demo", "--users", "200", "-q"]).steady(&[]).to_string();
    for line in [
        "status 0\n",
        "✅ customers: 200 (old) = 200 (new)\n",
        "✅ Foreign key integrity verified\n",
        "✅ Custom validations passed\n",
        "not one is missing on either side",
        "of them orders, and 0 failed.",
        "It was found: order_lines, id = 42: unit_price.\n",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    // People bought while it ran.
    assert!(!said.contains("✅ order_lines: 3,200 (old)"), "{said}");
    let story = said.split("What happened").nth(1).expect("the story");
    assert!(story.lines().all(|line| line.chars().count() <= 80), "{story}");
}
