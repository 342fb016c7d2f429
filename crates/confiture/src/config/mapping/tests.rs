//! The shapes of mapping files, each error with its place, and that what is printed reads back.

mod errors;
mod round_trip;
mod shapes;

use std::path::Path;

use super::Mapping;
use crate::config::Spanned;

fn read(text: &str) -> Mapping {
    Mapping::parse(text, Path::new("m.yaml")).unwrap_or_else(|error| panic!("{error:?}\n{text}"))
}

/// `m.yaml:1:2: message` and a line per hint.
fn refusal(text: &str) -> String {
    let error = Mapping::parse(text, Path::new("m.yaml")).expect_err(text);
    let place = error.place().map_or("nowhere".to_owned(), ToString::to_string);
    let hints: String = error.hints().iter().map(|hint| format!("\n  {hint}")).collect();
    format!("{place}: {error}{hints}")
}

/// The mapping without its places: for comparing what is meant with what is meant.
fn without_places(mut mapping: Mapping) -> Mapping {
    fn lift<T>(spanned: &mut Spanned<T>) {
        spanned.place = None;
    }
    mapping.passages = super::Passages::default();
    mapping.source.iter_mut().for_each(lift);
    mapping.target.iter_mut().for_each(lift);
    mapping.strategy.iter_mut().for_each(lift);
    mapping.sync.iter_mut().for_each(lift);
    for table in &mut mapping.tables {
        lift(&mut table.target);
        lift(&mut table.from);
        table.filter.iter_mut().for_each(lift);
        table.statement.iter_mut().for_each(lift);
        table.strategy.iter_mut().for_each(lift);
        table.parallel.iter_mut().for_each(lift);
        for column in table.columns.iter_mut().chain(&mut table.key).chain(&mut table.reverse) {
            lift(&mut column.column);
            lift(&mut column.value);
        }
        for dependency in &mut table.depends {
            lift(&mut dependency.table);
            lift(&mut dependency.driving);
        }
    }
    for transformation in &mut mapping.transformations {
        lift(&mut transformation.column);
        lift(&mut transformation.function);
        transformation.targets.iter_mut().chain(&mut transformation.depends_on).for_each(lift);
    }
    for validation in &mut mapping.validations {
        lift(&mut validation.name);
        lift(&mut validation.sql);
    }
    mapping
}
