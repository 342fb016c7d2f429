//! Whatever mapping there is: printed and read again, it is the same.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{read, without_places};
use crate::config::Spanned;
use crate::config::mapping::{
    ColumnMapping, ColumnValue, Dependency, Expectation, FromClause, Mapping, Strategy as Travel, SyncMode,
    TableMapping, TableName, Transformation, UnnamedColumns, Validation,
};
use crate::sql::Identifier;

fn nowhere<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Spanned<T>> {
    strategy.prop_map(Spanned::nowhere)
}

fn name() -> impl Strategy<Value = Identifier> {
    prop_oneof![
        "[a-z_][a-z0-9_$]{0,8}",
        "(select|order|null|true|no|left|user|columns|from|tables|source)",
        "[A-Z][a-z ]{0,5}",
        "(\\PC|[ \n\t'\":#,\\[\\]\\\\\u{85}\u{feff}]){1,6}",
    ]
    .prop_map(Identifier::new)
}

fn table_name() -> impl Strategy<Value = TableName> {
    (of(name()), name()).prop_map(|(schema, name)| TableName { schema, name })
}

fn text() -> impl Strategy<Value = String> {
    "(\\PC|[ \n\r\t'\":#\u{85}]|[a-c]){0,12}"
}

/// SQL with any text inside of its strings, over one line or several.
fn sql() -> impl Strategy<Value = String> {
    (text(), name(), 0..6).prop_map(|(text, name, form)| {
        let literal = format!("'{}'", text.replace('\'', "''"));
        match form {
            0 => literal,
            1 => format!("lower({name}) || {literal}"),
            2 => format!("{name} -- it's why\n  <> {literal}"),
            3 => format!("case when {name} is null\n then {literal}\n\n else ':' end"),
            4 => format!("{name}"),
            _ => "0".to_owned(),
        }
    })
}

fn from() -> impl Strategy<Value = FromClause> {
    (table_name(), of(name()), of(name())).prop_map(|(driving, alias, joined)| FromClause {
        aliased: alias.is_some(),
        alias: alias.unwrap_or_else(|| driving.name.clone()),
        rest: joined.map_or(String::new(), |name| format!("left join {name}\n  on (true)")),
        driving,
    })
}

fn value(from: Option<FromClause>) -> impl Strategy<Value = ColumnValue> {
    let with_alias = from.clone();
    prop_oneof![
        Just(ColumnValue::Default),
        sql().prop_map(move |sql| ColumnValue::of(&sql, from.as_ref())),
        name().prop_map(move |name| match &with_alias {
            Some(from) => ColumnValue::of(
                &format!("{}.\"{}\"", from.alias, name.as_str().replace('"', "\"\"")),
                Some(from)
            ),
            None => ColumnValue::Column(name),
        }),
    ]
}

fn columns(from: Option<&FromClause>) -> impl Strategy<Value = Vec<ColumnMapping>> + use<> {
    vec((nowhere(name()), nowhere(value(from.cloned()))), 0..4).prop_map(|columns| {
        let mut unique: Vec<ColumnMapping> = Vec::new();
        for (column, value) in columns {
            if unique.iter().all(|other| other.column != column) {
                unique.push(ColumnMapping { column, value });
            }
        }
        unique
    })
}

fn travel() -> impl Strategy<Value = Option<Spanned<Travel>>> {
    of(nowhere((0..4_usize).prop_map(|index| Travel::ALL[index].1)))
}

fn table() -> impl Strategy<Value = TableMapping> {
    from()
        .prop_flat_map(|from| {
            let dependency = (nowhere(table_name()), nowhere(sql())).prop_map(|(table, sql)| Dependency {
                table,
                driving: sql.map(|sql| format!("select {sql}\nwhere x = any($keys)")),
            });
            let lists = (columns(Some(&from)), columns(Some(&from)), columns(None), vec(dependency, 0..2));
            let statement = sql().prop_map(|sql| format!("insert into t\nselect {sql}"));
            let rest = (
                of(nowhere(sql())),
                of(nowhere(statement)),
                travel(),
                of(nowhere(1..=256_u16)),
                any::<bool>(),
            );
            (nowhere(table_name()), Just(from), lists, rest)
        })
        .prop_map(
            |(
                target,
                from,
                (columns, key, reverse, depends),
                (filter, statement, strategy, parallel, only),
            )| {
                let only = only && !columns.is_empty();
                TableMapping {
                    unnamed_columns: if only { UnnamedColumns::Default } else { UnnamedColumns::SameName },
                    key: key.into_iter().filter(|key| key.value.value != ColumnValue::Default).collect(),
                    from: Spanned::nowhere(from),
                    target,
                    columns,
                    reverse,
                    depends,
                    filter,
                    statement,
                    strategy,
                    parallel,
                }
            },
        )
}

fn validation() -> impl Strategy<Value = Validation> {
    let expect = prop_oneof![
        Just(Expectation::NoRows),
        text().prop_map(Expectation::Value),
        "(no-rows|norows|same-as-source|null|12)".prop_map(Expectation::Value),
        of(sql().prop_map(|sql| format!("select {sql}"))).prop_map(Expectation::SameAsSource),
    ];
    (nowhere(text()), nowhere(sql().prop_map(|sql| format!("select {sql}"))), expect)
        .prop_map(|(name, sql, expect)| Validation { name, sql, expect })
}

fn transformation() -> impl Strategy<Value = Transformation> {
    let names = |least| vec(nowhere(name()), least..3);
    let function = nowhere(table_name().prop_map(|name| name.to_string()));
    (any::<bool>(), nowhere(name()), names(0), names(1), function).prop_map(
        |(reverse, column, depends_on, targets, function)| Transformation {
            reverse,
            column,
            depends_on,
            targets,
            function,
        },
    )
}

/// Keeps what may stand in one file: each thing once, forwards before backwards.
fn one_of_each(mut mapping: Mapping) -> Mapping {
    let mut seen = Vec::new();
    mapping.tables.retain(|table| {
        !seen.contains(&table.target) && {
            seen.push(table.target.clone());
            true
        }
    });
    let mut seen = Vec::new();
    mapping.validations.retain(|item| {
        !seen.contains(&item.name) && {
            seen.push(item.name.clone());
            true
        }
    });
    let mut seen = Vec::new();
    mapping.transformations.retain_mut(|line| {
        let reverse = line.reverse;
        line.targets.retain(|target| {
            !seen.contains(&(reverse, target.clone())) && {
                seen.push((reverse, target.clone()));
                true
            }
        });
        !line.targets.is_empty()
    });
    let mut seen = Vec::new();
    mapping.transformations.retain(|line| {
        let name = (line.reverse, line.column.clone());
        !seen.contains(&name) && {
            seen.push(name);
            true
        }
    });
    mapping.transformations.sort_by_key(|line| line.reverse);
    mapping.others_by_name |= mapping.tables.is_empty() && mapping.transformations.is_empty();
    mapping
}

fn mapping() -> impl Strategy<Value = Mapping> {
    let versions = (of(text()), of(text()), of(text()), of(nowhere(text())), of(nowhere(text())));
    let numbers = (
        travel(),
        of(any::<u64>()),
        of(1e-9..1e18_f64),
        of(1..1_000_000_u32),
        of(1..=256_u16),
        any::<bool>(),
        of(prop_oneof![Just(SyncMode::Batches), Just(SyncMode::Immediate)]),
    );
    let lists = (vec(table(), 0..3), vec(transformation(), 0..3), vec(validation(), 0..3));
    (versions, numbers, lists).prop_map(|(versions, numbers, lists)| {
        let (name, from_version, to_version, source, target) = versions;
        let (strategy, threshold_rows, fdw_throughput, copy_throughput, parallel, others_by_name, sync) =
            numbers;
        let (tables, transformations, validations) = lists;
        one_of_each(Mapping {
            name,
            from_version,
            to_version,
            source,
            target,
            strategy,
            threshold_rows,
            fdw_throughput,
            parallel,
            sync: sync.map(Spanned::nowhere),
            copy_throughput: copy_throughput.map(f64::from),
            tables,
            transformations,
            validations,
            others_by_name,
            ..Mapping::default()
        })
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(mapping in mapping()) {
        let printed = mapping.render();
        let again = read(&printed);
        prop_assert_eq!(again.render(), printed.as_str());
        prop_assert_eq!(without_places(again), mapping, "{}", printed);
    }

    /// Nothing that a user writes makes the reader panic, and every error has a place.
    #[test]
    fn any_text_is_read_or_refused_with_a_place(
        text in "(tables|from|columns|where|key|depends|sql|copy_tables|[a-c'\"():;,\\[\\]{}|>&*!#$./é-]|: |\n  |\n    |\n|- ){0,40}"
    ) {
        if let Err(error) = Mapping::parse(&text, "m.yaml".as_ref()) {
            let place = error.place().expect("a place");
            prop_assert!(place.line <= text.lines().count() + 1, "{place}");
        }
    }
}
