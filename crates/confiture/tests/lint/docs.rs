//! docs/lint.md is what the rules say.

use confiture::lint::{Concern, DOCS, RULES};

/// The page's part about rules is made of the rules. After a change: `LINT_DOCS=write cargo nextest run -p confiture
/// documentation`.
#[test]
fn the_documentation_has_every_rule() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(DOCS);
    let page = fs_err::read_to_string(&path).unwrap();
    let (head, _) = page.split_once("\n## The rules\n").expect("the heading");
    let mut expected =
        format!("{head}\n## The rules\n\n| rule | finds | severity | matters to |\n|---|---|---|---|\n");
    for rule in RULES {
        let concern = if rule.concern == Concern::Running { "migrations" } else { "migrations and schemas" };
        let (code, summary, severity) = (rule.code, rule.summary, rule.severity.word());
        expected.push_str(&format!("| [`{code}`](#{code}) | {summary} | {severity} | {concern} |\n"));
    }
    for rule in RULES {
        let (code, why, fix) = (rule.code, rule.why, rule.fix);
        expected.push_str(&format!("\n### {code}\n\n{why}\n\nInstead: {fix}.\n"));
        for (mark, example) in [("found", rule.bad), ("fine", rule.good)] {
            if !example.is_empty() {
                expected.push_str(&format!("\n```sql\n-- {mark}\n{example}\n```\n"));
            }
        }
    }
    if page != expected && std::env::var_os("LINT_DOCS").is_some() {
        fs_err::write(&path, &expected).unwrap();
        return;
    }
    assert!(page == expected, "{DOCS} is not what the rules say: run this test with LINT_DOCS=write");
}
