//! Each mistake, with the place and the words that the user sees.

use super::refusal;

fn refusals(texts: &[&str]) -> String {
    texts.iter().map(|text| refusal(text)).collect::<Vec<_>>().join("\n")
}

#[test]
fn in_the_file_as_a_whole() {
    insta::assert_snapshot!(refusals(&[
        "",
        "tables:\n",
        "others: ignore\n",
        "validations: []\n",
        "- a\n",
        "tabels:\n  users:\n    from: users\n",
        "tabels:\n  users:\n",
        "users:\n  from: old.users\n",
        "tables: {a: {from: b}}\nfdw_tables: {c: }\n",
        "tables: {a: {from: b}}\nc: {columns: {x: y}}\n",
        "others: samename\ntables: {a: }\n",
        "strategy: cpoy\ntables: {a: }\n",
        "strategy: copy\nmigration:\n  auto_strategy: true\n",
        "migration:\n  auto_strategy: ture\n",
        "migration: {nmae: x}\n",
        "strategy_config:\n  threshold_rows: 10M\n",
        "strategy_config:\n  fdw_throughput: 0\n",
        "parallel: 0\ntables: {a: }\n",
        "tables: [users]\n",
        "source: [a]\ntables: {a: }\n",
        "sync: imediate\ntables: {a: }\n",
    ]), @r#"
    m.yaml:1:1: the mapping maps nothing
      name tables under `tables:`, or write `others: same-name` to map all tables by name
    m.yaml:1:1: the mapping maps nothing
      name tables under `tables:`, or write `others: same-name` to map all tables by name
    m.yaml:1:1: the mapping maps nothing
      name tables under `tables:`, or write `others: same-name` to map all tables by name
    m.yaml:1:1: the mapping maps nothing
      name tables under `tables:`, or write `others: same-name` to map all tables by name
    m.yaml:1:1: the file must be a map of `key: value`, not a list
    m.yaml:1:1: unknown key `tabels`
      did you mean `tables`?
      known keys: migration, strategy_config, source, target, strategy, parallel, sync, tables, fdw_tables, copy_tables, transformations, table_overrides, others, validations
    m.yaml:1:1: unknown key `tabels`
      did you mean `tables`?
      known keys: migration, strategy_config, source, target, strategy, parallel, sync, tables, fdw_tables, copy_tables, transformations, table_overrides, others, validations
    m.yaml:1:1: the table `users` stands outside of `tables:`
      indent it under a line `tables:`
    m.yaml:2:1: `tables` and `fdw_tables` are two ways to write tables
      write all tables in one way: best under `tables:`
    m.yaml:2:1: `tables` and `c` are two ways to write tables
      write all tables in one way: best under `tables:`
    m.yaml:1:9: `others` must be `same-name` or `ignore`, not `samename`
      did you mean `same-name`?
    m.yaml:1:11: unknown strategy `cpoy`
      did you mean `copy`?
      strategies: auto, hybrid, copy, fdw
    m.yaml:3:18: `auto_strategy: true` contradicts `strategy: copy`
    m.yaml:2:18: `migration.auto_strategy` must be true or false, not `ture`
    m.yaml:1:13: unknown key `nmae` in `migration`
      did you mean `name`?
      known keys: name, from_version, to_version, auto_strategy
    m.yaml:2:19: `strategy_config.threshold_rows` must be a whole number, not `10M`
    m.yaml:2:19: `strategy_config.fdw_throughput` must be rows a second, more than 0, not `0`
    m.yaml:1:11: `parallel` must be a whole number from 1 to 256, not `0`
    m.yaml:1:9: `tables` must be a map of `key: value`, not a list
    m.yaml:1:9: `source` must be text, not a list
    m.yaml:1:7: `sync` must be `batches` or `immediate`, not `imediate`
      did you mean `immediate`?
    "#);
}

#[test]
fn in_canonical_tables() {
    insta::assert_snapshot!(refusals(&[
        "tables:\n  a:\n    from: b\n  c:\n    columns: {x: y}\n",
        "tables:\n  a:\n    from: b\n  A:\n    from: c\n",
        "tables:\n  a:\n    from: b\n    colums: {x: y}\n",
        "tables:\n  a:\n    from: b\n    columns: {x: y, X: z}\n",
        "tables:\n  a:\n    from: b\n    columns: [x, y, x]\n",
        "tables:\n  a:\n    from: b\n    columns: {my col: y}\n",
        "tables:\n  a.b.c:\n    from: b\n",
        "tables:\n  a:\n    from: b\n    columns: {x: ''}\n",
        "tables:\n  a:\n    from: b\n    columns: {x: [y]}\n",
        "tables:\n  a:\n    from: b\n    columns:\n      x: lower(y\n",
        "tables:\n  a:\n    from: b\n    columns:\n      x: y) from secret --\n",
        "tables:\n  a:\n    from: b\n    columns:\n      x: y, z\n",
        "tables:\n  a:\n    from: b\n    columns:\n      x: y as z\n",
        "tables:\n  a:\n    from: b\n    columns:\n      x: y || 'open\n",
        "tables:\n  a:\n    from: b\n    where: |\n      x = 1\n        and y = ';'; drop table b\n",
        "tables:\n  a:\n    from: b\n    where:\n",
        "tables:\n  a:\n    from: b\n    key: {id: null}\n",
        "tables:\n  a:\n    from: b\n    unnamed: defualt\n",
        "tables:\n  a:\n    from: b\n    unnamed: default\n",
        "tables:\n  a:\n    from: b\n    parallel: many\n",
        "tables:\n  a:\n    from: b\n    depends:\n      - {table: c}\n",
        "tables:\n  a:\n    from: b\n    depends:\n      - {table: c, driving: select 1}\n",
        "tables:\n  a:\n    from: b\n    custom_sql: delete from a\n",
        "tables:\n  a:\n    from: b\n    custom_sql: |\n      insert into a\n      select 1; select 2\n",
        "tables:\n  a:\n    from: b\n    custom_sql: insert into a select 1\n    transform: insert into a select 1\n",
    ]), @r#"
    m.yaml:4:3: the table `c` has no `from`
      name the table it is made from: `from: c`
    m.yaml:4:3: the target table a is written twice
      it is already in line 2: keep one of them
    m.yaml:4:5: unknown key `colums` in `tables.a`
      did you mean `columns`?
      known keys: from, columns, unnamed, where, key, depends, reverse, custom_sql, transform, strategy, parallel
    m.yaml:4:21: the column x is written twice
      it is already in line 4: keep one of them
    m.yaml:4:21: the column x is written twice
      it is already in line 4: keep one of them
    m.yaml:4:15: `my col` is not a name as SQL writes it
      a name with other characters than a-z, 0-9 and _ wants double quotes, and YAML quotes around them: '"my col"'
    m.yaml:2:3: a table's name has at most two parts, `schema.table`
      the database is chosen by `source` and `target`
    m.yaml:4:15: `tables.a.columns.x` must be an SQL expression, not empty text
      for the column's default, write null; for an empty text, write "''"
    m.yaml:4:18: `tables.a.columns.x` must be an SQL expression, or null for the column's default, not a list
    m.yaml:5:15: this parenthesis is never closed
    m.yaml:5:11: this `)` closes nothing
    m.yaml:5:11: one expression is expected, here a second one follows
    m.yaml:5:12: an expression has no AS
      leave it out
    m.yaml:5:15: this string is never closed
    m.yaml:6:20: a `;` cannot stand here
    m.yaml:4:5: `tables.a.where` must be text, but nothing is written
    m.yaml:4:15: the key column id needs an expression
    m.yaml:4:14: `tables.a.unnamed` must be `same-name` or `default`, not `defualt`
      did you mean `default`?
    m.yaml:2:3: no column of a is filled
      name columns, or leave `unnamed: default` out
    m.yaml:4:15: `tables.a.parallel` must be a whole number from 1 to 256, not `many`
    m.yaml:5:9: `tables.a.depends[0]` has no `driving`
    m.yaml:5:29: the query does not use $keys
      it must give driving keys for the changed keys: `… where o.customer_id = any($keys)`
    m.yaml:4:17: one INSERT INTO … SELECT … is expected here
    m.yaml:6:15: a `;` cannot stand here
    m.yaml:5:16: `transform` and `custom_sql` are the same: keep one of them
    "#);
}

#[test]
fn in_from_clauses() {
    let with_from = |from: &str| refusal(&format!("tables:\n  a:\n    from: {from}\n"));
    insta::assert_snapshot!([
        "(select * from b) b",
        "only b",
        "generate_series(1, 3)",
        "lateral (select 1)",
        "db.s.t",
        "s.",
        "b where x = 1",
        "b x y",
        "b x join c on c.id = b.id order by 1",
        "b tablesample system (1)",
        "b as",
        "b join (c",
        "\"b",
        "'\"\"'",
        "'-- nothing'",
        "5",
    ].map(with_from).join("\n"), @r#"
    m.yaml:3:11: `from` must start with a table: its key drives the migration
      name the driving table first and join the rest to it
    m.yaml:3:11: `from` must start with a table: its key drives the migration
      name the driving table first and join the rest to it
    m.yaml:3:26: `from` must start with a table, not a function
    m.yaml:3:11: `from` must start with a table: its key drives the migration
      name the driving table first and join the rest to it
    m.yaml:3:11: a table's name has at most two parts, `schema.table`
      the database is chosen by `source` and `target`
    m.yaml:3:11: a name is missing after the dot
    m.yaml:3:13: `from` holds tables and joins only
      a condition goes into `where:`; grouping needs a view or `custom_sql:`
    m.yaml:3:15: a join or the end is expected here
      write: schema.table alias [join other o on …]
    m.yaml:3:37: `from` holds tables and joins only
      a condition goes into `where:`; grouping needs a view or `custom_sql:`
    m.yaml:3:13: a join or the end is expected here
      write: schema.table alias [join other o on …]
    m.yaml:3:13: an alias is missing after AS
    m.yaml:3:18: this parenthesis is never closed
    m.yaml:3:11: this quote is never closed
      close it, or double a quote that is part of the text
    m.yaml:3:12: a name cannot be empty
    m.yaml:3:12: SQL is expected here, but there is none
    m.yaml:3:11: `from` names no table
    "#);
}

#[test]
fn in_older_shapes() {
    insta::assert_snapshot!(refusals(&[
        "tables:\n  users:\n    columns:\n      first_name: split_part(full_name, ' ', 1)\n",
        "tables:\n  users:\n    columns: {a: x}\n    key: {id: id}\n",
        "tables:\n  users:\n    columns:\n      a: x\n      b: x\n",
        "tables:\n  users:\n    columns:\n      a: {traget: x}\n",
        "tables:\n  users:\n    columns:\n      a:\n",
        "tables:\n  users:\n    columns:\n      a: {target: x, transform: }\n",
        "tables:\n  users:\n    columns:\n      a: {target: x, transform: 'lower(a'}\n",
        "tables:\n  users:\n    columns: [a]\n",
        "fdw_tables: {users: }\ncopy_tables:\n  Users:\n",
        "copy_tables:\n  users:\n    strategy: fdw\n",
        "fdw_tables:\n  users:\n    transform: select 1\n",
        "table_overrides:\n  users: {startegy: copy}\n",
        "tables: {users: {from: a}}\ntable_overrides:\n  user: {strategy: copy}\n",
        "users:\n  source_table: old users\n",
        "users:\n  columns: {}\n",
        "tables:\n  users:\n    frm: a\n",
        "users:\n  source_tabel: a\n  columns: {a: b}\n",
        "a: {target_table: t, columns: {x: y}}\nb: {target_table: t, columns: {x: y}}\n",
        "users: {columns: {x: y}}\npage_views:\n",
    ]), @r#"
    m.yaml:4:19: `split_part(full_name, ' ', 1)` is not a column's name
      without `from:`, a line reads `old_column: new_column`; with `from:` in each table it reads `new_column: expression`
    m.yaml:4:5: unknown key `key` in `tables.users`
      known keys: from, columns, where, custom_sql, transform, strategy, parallel
      `key` belongs to the form of tables that have `from:`
    m.yaml:5:10: the column x is written twice
      it is already in line 4: keep one of them
    m.yaml:4:11: unknown key `traget` in `tables.users.columns.a`
      did you mean `target`?
      known keys: target, transform
    m.yaml:4:7: the new name of `a` is missing
      write `a: new_name`, the same name where it stays
    m.yaml:4:22: `tables.users.columns.a.transform` must be an SQL expression, but nothing is written
    m.yaml:4:39: this parenthesis is never closed
    m.yaml:3:14: `tables.users.columns` must be a map of `key: value`, not a list
    m.yaml:3:3: the target table users is written twice
      it is already in line 1: keep one of them
    m.yaml:3:15: `strategy: fdw` stands under `copy_tables`
      move the table to `fdw_tables`, or write it under `table_overrides`
    m.yaml:3:16: one INSERT INTO … SELECT … is expected here
    m.yaml:2:11: unknown key `startegy` in `table_overrides.users`
      did you mean `strategy`?
      known keys: strategy, parallel
    m.yaml:3:3: the mapping has no table "user"
      did you mean `users`?
    m.yaml:2:17: `old users` is not a name as SQL writes it
      a name with other characters than a-z, 0-9 and _ wants double quotes, and YAML quotes around them: '"old users"'
    m.yaml:2:12: `users.columns` names no column
      write lines `old_column: new_column`, or leave `columns` out to copy all columns
    m.yaml:3:5: unknown key `frm` in `tables.users`
      did you mean `from`?
      known keys: from, columns, where, custom_sql, transform, strategy, parallel
    m.yaml:2:3: unknown key `source_tabel` in `users`
      did you mean `source_table`?
      known keys: source_table, target_table, columns, where, custom_sql, transform, strategy, parallel
    m.yaml:2:19: the target table t is written twice
      it is already in line 1: keep one of them
    m.yaml:2:1: unknown key `page_views`
      known keys: migration, strategy_config, source, target, strategy, parallel, sync, tables, fdw_tables, copy_tables, transformations, table_overrides, others, validations
    "#);
}

#[test]
fn in_transformations_and_validations() {
    insta::assert_snapshot!(refusals(&[
        "transformations:\n  old_to_now: {}\n",
        "transformations:\n  old_to_new:\n    full_name: {function: f}\n",
        "transformations:\n  old_to_new:\n    full_name: {target_column: a}\n",
        "transformations:\n  old_to_new:\n    full_name: {target_column: a, target_columns: [b], function: f}\n",
        "transformations:\n  old_to_new:\n    x: {target_column: a, function: f}\n    y: {target_columns: [b, a], function: f}\n",
        "transformations:\n  old_to_new:\n    x: {target_column: a, function: 'f(x)'}\n",
        "others: same-name\nvalidations:\n  - sql: select 1\n",
        "others: same-name\nvalidations:\n  - {name: a, sql: select 1}\n  - {name: a, sql: select 2}\n",
        "others: same-name\nvalidations:\n  - {name: a, sql: select 1, expect: no-row}\n",
        "others: same-name\nvalidations:\n  - {name: a, sql: select 1, expect: 1, source_sql: select 1}\n",
        "others: same-name\nvalidations:\n  - name: a\n    sql: |\n      delete from a\n",
        "others: same-name\nvalidations:\n  - {name: a, sql: select 1, expect: }\n",
    ]), @r#"
    m.yaml:2:3: unknown key `old_to_now` in `transformations`
      did you mean `old_to_new`?
      known keys: old_to_new, new_to_old
    m.yaml:3:5: `transformations.old_to_new.full_name` names no target column
      write `target_column: name` or `target_columns: [name, name]`
    m.yaml:3:16: `transformations.old_to_new.full_name` has no `function`
    m.yaml:3:51: `target_column` and `target_columns` are the same: keep one of them
    m.yaml:4:29: the column a is written twice
      it is already in line 3: keep one of them
    m.yaml:3:37: `f(x)` is not a function's name
      write the name alone, without arguments
    m.yaml:3:5: `validations[0]` has no `name`
    m.yaml:4:12: two validations are called `a`
      it is already in line 3: keep one of them
    m.yaml:3:38: `no-row` is not a known expectation
      did you mean `no-rows`? For this very text, write `expect: { value: no-row }`
    m.yaml:3:53: `source_sql` goes only with `expect: same-as-source`
    m.yaml:5:7: a query (SELECT …) is expected here
    m.yaml:3:30: `validations[0].expect` must be text, but nothing is written
    "#);
}
