use super::*;

fn report_of(purpose: Purpose, text: &str, options: &LintOptions) -> LintReport {
    lint(vec![(Script::new("1.up.sql", text), purpose)], options)
}

/// Asserts that the rule finds something, or nothing, in each of these.
#[track_caller]
pub(super) fn judge(rule: &Rule, finds: bool, texts: &[&str]) {
    for text in texts {
        let report = report_of(Purpose::Migration, text, &LintOptions::default());
        assert_eq!(
            report.remarks.iter().any(|one| one.rule == rule.code),
            finds,
            "{text}: {:?}",
            report.remarks
        );
        assert!(report.unread.is_empty(), "{text}: {:?}", report.unread);
    }
}

#[test]
fn every_rule_finds_its_bad_example_and_not_its_good_one() {
    for rule in RULES {
        if !rule.bad.is_empty() {
            judge(rule, true, &[rule.bad]);
        }
        judge(rule, false, &[rule.good]);
        // A good example is not good by another rule's leave either: what it advises is not what others forbid.
        let report = report_of(Purpose::Migration, rule.good, &LintOptions::default());
        let errors: Vec<_> = report.remarks.iter().filter(|one| one.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", rule.code);
    }
}

#[test]
fn codes_are_unique_and_plain() {
    let codes: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(codes.len(), RULES.len());
    let plain = |code: &str| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    assert!(codes.iter().all(|code| plain(code)));
}

#[test]
fn locks_do_not_matter_to_a_schema_that_is_built() {
    let text =
        "CREATE TABLE t (id int PRIMARY KEY);\nCREATE INDEX ON u (a);\nALTER TABLE v ADD CHECK (a > 0);";
    let rules = |purpose| -> Vec<&str> {
        let report = report_of(purpose, text, &LintOptions { lock_timeout: true, ..LintOptions::default() });
        report.remarks.iter().map(|remark| remark.rule).collect()
    };
    assert_eq!(rules(Purpose::Schema), ["integer-primary-key"]);
    assert_eq!(rules(Purpose::Migration), ["integer-primary-key", "create-index", "add-check"]);
}

#[test]
fn a_small_table_is_no_danger_and_a_large_one_is_named() {
    let table = |rows, bytes| Table { rows: Some(rows), bytes: Some(bytes), ..Table::default() };
    let key = |name: &str| ("public".to_owned(), name.to_owned());
    let ground = Ground {
        version: 150_000,
        search_path: vec!["public".into()],
        tables: [
            (key("small"), table(10, 8192)),
            (key("large"), table(9_000_000, 1 << 30)),
            (key("locked"), Table::default()),
        ]
        .into(),
    };
    let options = LintOptions { ground: Some(ground), lock_timeout: true, ..LintOptions::default() };
    let text = "CREATE INDEX ON small (a);\nCREATE INDEX ON public.large (a);\nCREATE INDEX ON unknown (a);\nCREATE INDEX ON locked (a);";
    let report = report_of(Purpose::Migration, text, &options);
    let said: Vec<_> =
        report.remarks.iter().map(|one| (one.severity, one.weighed.as_deref().unwrap_or_default())).collect();
    assert_eq!(
        said,
        [
            (Severity::Note, "small is small (about 10 rows, 8 kB)"),
            (Severity::Error, "public.large has about 9000000 rows, 1 GB"),
            (Severity::Note, "unknown is not in this database yet"),
            (Severity::Error, "locked has an unknown size"),
        ]
    );
}

#[test]
fn the_live_type_decides_whether_a_change_rewrites() {
    let mut table = Table { rows: Some(1 << 30), bytes: Some(1 << 40), ..Table::default() };
    table.columns = [("name", "character varying(20)"), ("n", "integer")]
        .map(|(name, data_type)| (name.to_owned(), data_type.to_owned()))
        .into();
    table.checked_not_null = vec!["n".into()];
    table.is_partitioned = true;
    let tables = [(("public".to_owned(), "t".to_owned()), table)].into();
    let ground = Ground { version: 150_000, search_path: vec!["public".into()], tables };
    let options = LintOptions { ground: Some(ground), lock_timeout: true, ..LintOptions::default() };
    let found = |text: &str| -> Vec<&str> {
        let report = report_of(Purpose::Migration, text, &options);
        report.remarks.iter().map(|remark| remark.rule).collect()
    };
    assert_eq!(found("ALTER TABLE t ALTER name TYPE text"), [""; 0]);
    assert_eq!(found("ALTER TABLE t ALTER name TYPE varchar(10)"), ["change-type", "varchar-length"]);
    assert_eq!(found("ALTER TABLE t ALTER n TYPE bigint"), ["change-type"]);
    assert_eq!(found("ALTER TABLE t ALTER n SET NOT NULL"), [""; 0]);
    assert_eq!(found("ALTER TABLE t ALTER name SET NOT NULL"), ["set-not-null"]);
    assert_eq!(found("CREATE INDEX CONCURRENTLY ON t (n)"), ["concurrently-on-partitioned"]);
}

#[test]
fn a_reason_takes_a_remark_back_and_nothing_else_does() {
    let text = "-- confiture: allow drop-column because nobody reads it\nALTER TABLE a DROP b;\n\
                ALTER TABLE a DROP c; -- confiture: allow drop-column\n\
                ALTER TABLE z DROP d;\n-- confiture: allow drop-tabel because x\nSELECT 1;\n\
                -- confiture: allow truncate because x\nSELECT 2;";
    let options = LintOptions {
        exclude: vec!["several-alter-table".into()],
        lock_timeout: true,
        ..LintOptions::default()
    };
    let report = report_of(Purpose::Migration, text, &options);
    let said: Vec<_> = report.remarks.iter().map(|one| (one.place.line, one.rule)).collect();
    assert_eq!(
        said,
        [
            (3, "drop-column"),
            (3, "allow-without-reason"),
            (4, "drop-column"),
            (5, "allow-unknown"),
            (7, "allow-unused")
        ]
    );
    assert!(report.remarks[3].message.ends_with("did you mean drop-table?"), "{}", report.remarks[3].message);
    let allowed: Vec<_> =
        report.allowed.iter().map(|one| (one.rule, one.reason.as_str(), one.place.line)).collect();
    assert_eq!(allowed, [("drop-column", "nobody reads it", 2)]);
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_judged() {
    let scripts = vec![
        (Script::new("a.sql", "SELECT 'open"), Purpose::Migration),
        (
            Script::new("b.sql", "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b;\nDROP TABLE t;"),
            Purpose::Migration,
        ),
    ];
    let report = lint(scripts, &LintOptions { lock_timeout: true, ..LintOptions::default() });
    let unread: Vec<_> = report.unread.iter().map(|one| one.place.to_string()).collect();
    assert_eq!(unread, ["a.sql:1:8", "b.sql:1:1"]);
    assert_eq!(report.remarks.len(), 1);
}

#[test]
fn going_back_drops_what_was_made() {
    for (file, says_nothing) in [("1_a.down.sql", true), ("1_a/down.sql", true), ("1_splash_down.sql", false)]
    {
        let scripts = vec![(Script::new(file, "ALTER TABLE t DROP a; DROP TABLE b;"), Purpose::Migration)];
        let report = lint(scripts, &LintOptions { lock_timeout: true, ..LintOptions::default() });
        assert_eq!(report.remarks.is_empty(), says_nothing, "{file}: {:?}", report.remarks);
    }
}
