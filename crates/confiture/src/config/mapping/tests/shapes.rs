//! Each shape as a file, printed canonically.

use super::{read, without_places};
use crate::config::Mapping;
use crate::config::mapping::{ColumnValue, FromClause, Strategy, TableName, UnnamedColumns};
use crate::sql::Identifier;

/// Prints a file canonically, having seen that the print means the same.
fn canonically(text: &str) -> String {
    let mapping = read(text);
    let printed = mapping.render();
    assert_eq!(without_places(read(&printed)), without_places(mapping), "{printed}");
    printed
}

#[test]
fn canonical_files() {
    insta::assert_snapshot!(canonically(include_str!("../../../../testdata/mapping/canonical.yaml")), @r#"
    migration:
      name: Split people from their profiles
      from_version: '2.0'
      to_version: '2.10'

    source: shop_old
    target: shop_new
    strategy: auto
    parallel: 4
    others: ignore                 # tables that are not named here are not migrated

    tables:
      people:
        from: old.users u
        columns:
          id: u.id
          display_name: u.full_name
          first_name: split_part(trim(u.full_name), ' ', 1)
          rank: null
          order: u."Order No"
        where: |-
          u.deleted_at is null
            and u.full_name <> ''
        reverse:
          full_name: trim(first_name || ' ' || last_name)
          '"Order No"': '"order"'
        strategy: copy
        parallel: 2
      profiles:
        from: old.users u
        columns:
          user_id: u.id
          bio: u.bio
        unnamed: default
        where: u.bio is not null
      app."Order Lines":
        from: old.orders o left join old.customers c on c.id = o.customer_id
        columns:
          id: o.id
          customer_name: c.name
          total: coalesce(o.total, 0)
        key:
          id: o.id
        depends:
          - table: old.customers
            driving: select o.id from old.orders o where o.customer_id = any($keys)
      countries:
        from: countries
        columns:
          code: code
          name: name

    validations:
      - name: every profile has a person
        sql: select 1 from profiles p left join people q on q.id = p.user_id where q.id is null
        expect: no-rows
      - name: three roles
        sql: select count(*) from roles
        expect:
          value: '3'
      - name: the word
        sql: select word from words
        expect:
          value: no-rows
      - name: totals are kept
        sql: select sum(total) from app."Order Lines"
        expect: same-as-source
        source_sql: |-
          select sum(total)
          from old.orders
    "#);
}

#[test]
fn one_section_per_strategy() {
    insta::assert_snapshot!(canonically(include_str!("../../../../testdata/mapping/sections.yaml")), @r#"
    migration:
      name: Move the events without a pause
      from_version: '1.5.3'
      to_version: '1.6.0'

    strategy: auto
    others: same-name              # tables that are not named here keep their names

    strategy_config:
      threshold_rows: 10_000_000
      fdw_throughput: 500_000
      copy_throughput: 6_000_000.5

    tables:
      users:
        from: users
        columns:
          display_name: full_name
        strategy: hybrid
        parallel: 3
      people:
        from: people
        strategy: fdw
        custom_sql: |-
          INSERT INTO people (id, age)
          SELECT id, age::int  -- Cast text to int
          FROM old_schema.people
      events:
        from: events
        columns:
          event_name: event_type
          payload: data
        strategy: copy
        parallel: 4
      page_views:
        from: page_views
        strategy: copy
      posts:
        from: posts
        strategy: copy
    "#);
}

#[test]
fn labelled_tables() {
    insta::assert_snapshot!(canonically(include_str!("../../../../testdata/mapping/labels.yaml")), @r#"
    others: ignore                 # tables that are not named here are not migrated

    tables:
      users:
        from: old_users
        columns:
          display_name: full_name
          email: email
        unnamed: default
      app.posts:
        from: blog_posts
        columns:
          title: post_title
          content: post_body
          user_id: author_id
        unnamed: default
      countries:
        from: countries
        columns:
          name: name
        unnamed: default
      targets:
        from: old_targets
    "#);
}

#[test]
fn overrides_by_name() {
    insta::assert_snapshot!(canonically(include_str!("../../../../testdata/mapping/overrides.yaml")), @r#"
    others: same-name              # tables that are not named here keep their names

    tables:
      users:
        from: users
        columns:
          display_name: full_name
          created_timestamp: created_at AT TIME ZONE 'UTC'
          email: lower(email)
          username: login
        custom_sql: |-
          INSERT INTO production_new.users (id, display_name, created_timestamp)
          SELECT id, full_name, created_at AT TIME ZONE 'UTC'
          FROM old_schema.users
          WHERE deleted_at IS NULL
      audit.log:
        from: audit.log
        where: at > '2024-01-01'
    "#);
}

#[test]
fn transformations_without_tables() {
    insta::assert_snapshot!(canonically(include_str!("../../../../testdata/mapping/transformations.yaml")), @r#"
    others: ignore                 # tables that are not named here are not migrated

    transformations:
      old_to_new:
        full_name:
          target_columns: [first_name, last_name]
          function: split_full_name
      new_to_old:
        first_name:
          target_columns: [full_name]
          function: concat_names
          depends_on: [last_name]
    "#);
}

#[test]
fn what_is_not_named_depends_on_the_shape() {
    let rules = |text: &str| {
        let mapping = read(text);
        (mapping.others_by_name, mapping.tables.first().map(|table| table.unnamed_columns))
    };
    use UnnamedColumns::{Default, SameName};
    assert_eq!(rules("tables: {a: {from: b}}"), (false, Some(SameName)));
    assert_eq!(rules("others: same-name\ntables: {a: {from: b}}"), (true, Some(SameName)));
    assert_eq!(rules("tables: {a: {from: b, unnamed: default, columns: {x: y}}}"), (false, Some(Default)));
    assert_eq!(rules("tables: {a: {columns: {x: y}}}"), (true, Some(SameName)));
    assert_eq!(rules("others: ignore\ntables: {a: }"), (false, Some(SameName)));
    assert_eq!(rules("fdw_tables: {a: {columns: {x: y}}}"), (true, Some(SameName)));
    assert_eq!(rules("a: {columns: {x: y}}"), (false, Some(Default)));
    assert_eq!(rules("a: {source_table: b}"), (false, Some(SameName)));
    assert_eq!(rules("migration: {auto_strategy: true}"), (true, None));
    assert_eq!(rules("table_overrides: {a: {strategy: copy}}"), (true, Some(SameName)));
    assert_eq!(rules("migration: {name: x}\ntables: {a: {from: b}}"), (false, Some(SameName)));
    assert_eq!(rules("migration: {name: x}\na: {columns: {x: y}}"), (false, Some(Default)));
    let transformations = include_str!("../../../../testdata/mapping/transformations.yaml");
    assert_eq!(rules(&format!("migration: {{name: x}}\n{transformations}")), (false, None));
}

#[test]
fn table_overrides_find_their_table() {
    let mapping = read(
        "tables: {a: {from: b, strategy: fdw}, s.c: {from: d}}\ntable_overrides: {a: {strategy: copy}, S.C: {parallel: 2}}\n",
    );
    assert_eq!(mapping.tables.len(), 2);
    assert_eq!(mapping.tables[0].strategy.as_ref().unwrap().value, Strategy::Copy);
    assert_eq!(mapping.tables[1].parallel.as_ref().unwrap().value, 2);
}

fn from(text: &str) -> FromClause {
    FromClause::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

#[test]
fn from_clauses_are_taken_apart() {
    let parts = |text: &str| {
        let FromClause { driving, alias, aliased, rest } = from(text);
        format!("{driving} | {alias} {aliased} | {rest}")
    };
    for (text, expected) in [
        ("users", "users | users false | "),
        ("Old . USERS", "old.users | users false | "),
        ("old.users u", "old.users | u true | "),
        ("old.users AS U", "old.users | u true | "),
        (r#""Old"."we""ird" as "U u""#, r#""Old"."we""ird" | "U u" true | "#),
        ("a left join b on b.id = a.id", "a | a false | left join b on b.id = a.id"),
        ("a x, b -- the end", "a | x true | , b"),
        ("a, lateral (select 1 limit 1) l", "a | a false | , lateral (select 1 limit 1) l"),
        ("/* here */ a natural join b", "a | a false | natural join b"),
        ("a x\n  join b -- why\n  using (id)\n", "a | x true | join b -- why\n  using (id)"),
        ("übung ü", "\"übung\" | \"ü\" true | "),
        ("a join (b join c using (id)) on true", "a | a false | join (b join c using (id)) on true"),
        ("a as \"left\" left join b on ')' <> $$($$", "a | \"left\" true | left join b on ')' <> $$($$"),
    ] {
        assert_eq!(parts(text), expected, "{text}");
    }
}

#[test]
fn a_value_is_a_column_only_where_it_is_nothing_else() {
    let column = |name: &str| ColumnValue::Column(Identifier::new(name));
    let value = |text: &str, clause: &str| ColumnValue::of(text, Some(&from(clause)));
    assert_eq!(value("full_name", "users"), column("full_name"));
    assert_eq!(value("Full_Name", "users u"), column("full_name"));
    assert_eq!(value("u.full_name", "users u"), column("full_name"));
    assert_eq!(value("u.\"Full Name\"", "users u"), column("Full Name"));
    assert_eq!(value("u.order", "users u"), column("order"));
    assert_eq!(value("users.id", "users"), column("id"));
    assert_eq!(value("u.id", "users u join b using (id)"), column("id"));
    for (text, clause) in [
        ("id", "users u join b using (id)"), // whose?
        ("b.id", "users u join b using (id)"),
        ("u", "users u"), // a whole row
        ("current_user", "users"),
        ("true", "users"),
        ("null", "users"),
        ("upper(x)", "users"),
        ("'x'", "users"),
        ("1", "users"),
        ("u.*", "users u"),
        ("x::int", "users"),
    ] {
        assert_eq!(value(text, clause), ColumnValue::Expression(text.to_owned()));
    }
    assert_eq!(ColumnValue::of("first_name", None), column("first_name"));
}

#[test]
fn inline_mappings() {
    let mapping =
        Mapping::parse_inline("old_users", "App.Users", r#"full_name:display_name, email:email,"a:b":"C,d""#)
            .unwrap();
    assert_eq!(
        mapping.render(),
        "others: ignore                 # tables that are not named here are not migrated

tables:
  app.users:
    from: old_users
    columns:
      display_name: full_name
      email: email
      '\"C,d\"': '\"a:b\"'
    unnamed: default
"
    );
    assert_eq!(
        mapping.tables[0].target.value,
        TableName { schema: Some("app".into()), name: "users".into() }
    );
    let refused = |source: &str, text: &str| {
        let error = Mapping::parse_inline(source, "users", text).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
        error.message().to_owned()
    };
    assert_eq!(refused("u", "full_name"), "the column mapping: `full_name` is not `old_column:new_column`");
    assert_eq!(refused("u", "a:b,"), "the column mapping: `` is not `old_column:new_column`");
    assert_eq!(refused("u", ""), "the column mapping: `` is not `old_column:new_column`");
    assert_eq!(refused("u", "a:upper(b)"), "the column mapping: `a:upper(b)` is not `old_column:new_column`");
    assert_eq!(refused("u", "a:x,b:X"), "the column mapping: the column x is written twice");
    assert_eq!(refused("u", "a:\"x"), "the column mapping: this quoted name is never closed");
    assert_eq!(refused("a b", "a:b"), "the source table: `a b` is not a name as SQL writes it");
}

#[test]
fn sql_keeps_the_place_of_every_byte() {
    let text = include_str!("../../../../testdata/mapping/sections.yaml");
    let mapping = read(text);
    let statement = mapping.tables[1].statement.as_ref().unwrap();
    let offset = statement.value.find("age::int").unwrap();
    let place = mapping.place_in(statement.place.as_ref().unwrap(), offset);
    let line = text.lines().nth(place.line - 1).unwrap();
    assert!(line[place.column - 1..].starts_with("age::int"), "{place}: {line}");

    let text = include_str!("../../../../testdata/mapping/canonical.yaml");
    let mapping = read(text);
    let filter = mapping.tables[0].filter.as_ref().unwrap();
    assert!(filter.value.starts_with("u.deleted_at"), "the comment before it is cut: {}", filter.value);
    for word in ["u.deleted_at", "u.full_name"] {
        let offset = filter.value.find(word).unwrap();
        let place = mapping.place_in(filter.place.as_ref().unwrap(), offset);
        let line = text.lines().nth(place.line - 1).unwrap();
        assert!(line[place.column - 1..].starts_with(word), "{place}: {line}");
    }
}

#[test]
fn printing_does_not_depend_on_layout() {
    let one = read("tables:\n  users: {from: 'old.users  AS  u', columns: {name: U.full_name}}\n");
    let other = read(
        "# a comment\ntables:\n  USERS:\n    columns:\n      name: u.\"full_name\"\n    from: Old.Users u\n",
    );
    assert_eq!(one.render(), other.render());
}

/// What the documentation shows is what is read.
#[test]
fn the_examples_of_the_documentation_are_read() {
    let page = include_str!("../../../../../../docs/mapping.md");
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() > 8, "{}", examples.len());
    for example in examples {
        canonically(example);
    }
}
