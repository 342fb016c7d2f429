//! What files are read as, and where they are wrong.

use super::*;

fn parse(text: &str) -> crate::Result<SyncRules> {
    SyncRules::parse(text, std::path::Path::new("db/sync_config.yaml"))
}

fn refusal(text: &str) -> String {
    let error = parse(text).unwrap_err();
    let place = error.place().map(|place| format!("{}:{}", place.line, place.column)).unwrap_or_default();
    format!("{place} {}: {}", error.message(), error.hints().join("; "))
}

#[test]
fn the_file_of_the_guide_is_read_as_written() {
    let rules = parse(
        "anonymize:\n  users:\n    email: \"user_{id}@example.com\"\n    phone: \"+1-555-{random(4)}\"\n    \
         ssn: \"XXX-XX-{random(4)}\"\n  payments:\n    credit_card: \"**** **** **** {last4}\"\n",
    )
    .unwrap();
    assert_eq!(rules.tables.len(), 2);
    assert_eq!(rules.tables[0].columns.len(), 3);
    let Method::Template(template) = &rules.tables[1].columns[0].1.value.method else { panic!() };
    assert_eq!(template.pieces[1], Piece::LastDigits(4));
}

#[test]
fn every_form_of_a_rule_is_read() {
    let rules = parse(
        r#"
anonymize:
  users:
    name: {fake: name, locale: fr}
    tax_id: {fpe: digits, domain: tax}
    prefs: {json: {"$.contact.email": "{hash(12)}@example.com", "$.devices[*].ip": ip}}
    bio: {redact: [email, phone, card]}
    ext_ref: {hash: 20, when: "ext_ref NOT LIKE 'test_%'"}
    born: {date: year}
    salary: {bucket: 1000}
    score: {noise: 5, nulls: fill}
    city: {fake: city, allow_duplicates: true}
    token: null
    status: "gone"
    initials: {sql: "left(name, 1)"}
    email: email
    created_at: keep
    grade: shuffle
    rank: {shuffle: true, when: "id > 5"}
    "*": keep
defaults: {kinds: {email: "{hash(16)}@example.com"}, unclassified: null}
key: {env: CONFITURE_SYNC_KEY}
subset: {users: {where: "id < 10", children: [orders], parents: always}}
virtual_fks: [{from: "audit.entity_id", to: "orders.id", when: "entity_type = 'order'"}]
row_keys: {log: [at, who]}
scan: {ignore: [cities.name]}
max_rows: 1_000
"#,
    )
    .unwrap();
    let methods: Vec<&Method> = rules.tables[0].columns.iter().map(|(_, rule)| &rule.value.method).collect();
    assert_eq!(methods[0], &Method::Fake(FakeKind::Name, Locale::Fr));
    assert_eq!(methods[1], &Method::Fpe);
    assert!(matches!(methods[2], Method::Json(paths) if paths.len() == 2));
    assert_eq!(methods[9], &Method::Null);
    assert_eq!(methods[10], &Method::Constant("gone".to_owned()));
    assert_eq!(methods[12], &Method::Kind(PersonalKind::Email));
    assert_eq!([methods[14], methods[15]], [&Method::Shuffle; 2]);
    assert!(rules.tables[0].others.is_some());
    assert_eq!(rules.unclassified, Some(Unclassified::Null));
    assert_eq!(rules.subset[0].children.len(), 1);
    assert_eq!(rules.virtual_keys[0].from.value.to_string(), "audit.entity_id");
    assert_eq!(rules.max_rows, Some(1000));
    assert!(matches!(rules.rule_of(PersonalKind::Email).method, Method::Template(_)));
}

#[test]
fn whatever_is_unknown_is_an_error_with_its_place() {
    let rule = |rule: &str| refusal(&format!("anonymize:\n  users:\n    email: {rule}\n"));
    insta::assert_snapshot!(refusal("anonymise: {}\n"), @"1:1 unknown key `anonymise`: did you mean `anonymize`?; known keys: anonymize, defaults, key, subset, virtual_fks, row_keys, allowed_targets, scan, max_rows");
    insta::assert_snapshot!(rule("kep"), @"3:12 there is no rule `kep`: did you mean `keep`?; a text that is meant for every row stands in quotes");
    insta::assert_snapshot!(rule("\"x{ransom(4)}\""), @"3:15 there is no function `ransom`: did you mean `random`?");
    insta::assert_snapshot!(rule("{hsh: 12}"), @"3:13 unknown key `hsh` in `anonymize.users.email`: did you mean `hash`?; known keys: when, nulls, domain, normalize, allow_duplicates, locale, keep, null, shuffle, constant, template, hash, fpe, fake, kind, date, bucket, noise, json, redact, sql, mask");
    insta::assert_snapshot!(rule("{hash: 12, fake: name}"), @"3:23 `fake` is a second method for one column: keep one of them");
    insta::assert_snapshot!(rule("{fake: nam}"), @"3:19 `anonymize.users.email.fake` must be one of name, first_name, last_name, company, city, street, job, username, sentence, not `nam`: did you mean `name`?");
    insta::assert_snapshot!(rule("{hash: 12, wehn: x}"), @"3:23 unknown key `wehn` in `anonymize.users.email`: did you mean `when`?; known keys: when, nulls, domain, normalize, allow_duplicates, locale, keep, null, shuffle, constant, template, hash, fpe, fake, kind, date, bucket, noise, json, redact, sql, mask");
    insta::assert_snapshot!(rule(""), @"3:5 `email` has no rule: write `keep`, `null`, or how it is masked");
    insta::assert_snapshot!(rule("{json: {\"contact\": hash}}"), @"3:20 `contact`: a JSON path begins with `$`:");
    insta::assert_snapshot!(refusal("key: hunter2\n"), @"1:6 the key itself is not written into this file: write where it is: `key: {env: CONFITURE_SYNC_KEY}`, `{file: path}` or `{command: program}`");
    insta::assert_snapshot!(refusal("defaults: {unclassified: ignore}\n"), @"1:26 `defaults.unclassified` must be one of fail, null, mask, keep, not `ignore`:");
    insta::assert_snapshot!(refusal("anonymize:\n  users:\n"), @r#"2:3 `users` has no columns: to copy the table as it is, write `"*": keep` below it"#);
    insta::assert_snapshot!(refusal("subset: {users: {parents: never}}\n"), @"1:27 `subset.users.parents` must be one of always, not `never`:");
}

#[test]
fn every_example_of_the_guide_is_right() {
    let guide = include_str!("../../../../../docs/sync.md");
    let examples: Vec<&str> =
        guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 3);
    for example in examples {
        parse(example).unwrap_or_else(|error| panic!("{}: {example}", error.message()));
    }
}
