//! Indexes of a live database that are not valid. In a scratch copy they are, and a plan that is proved there would take them for built.

use crate::catalog::{Kind, Object, Objects};
use crate::diff::{Hazard, Step};
use crate::sql::Sql;

/// Indexes with an entry in the catalog and maybe not all rows: a `CREATE INDEX CONCURRENTLY` that failed has left them.
pub fn broken_indexes(live: &Objects) -> impl Iterator<Item = &Object> {
    live.all
        .iter()
        .filter(|index| index.kind == Kind::Index && index.detail("relkind") == "i" && !index.is("valid"))
}

/// Builds those that a step makes something of, or that come along with their table, before it and what belongs together with it.
#[must_use]
pub fn build_broken(steps: Vec<Step>, live: &Objects, online: bool) -> Vec<Step> {
    let mut open: Vec<&Object> = broken_indexes(live).collect();
    let (mut all, mut begin, mut joined) = (Vec::new(), 0, false);
    for step in steps {
        begin = if joined { begin } else { all.len() };
        joined = step.joined;
        let (used, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|index| step.relies_on(index));
        open = rest;
        all.splice(begin..begin, used.into_iter().map(|index| build(index, online)));
        all.push(step);
    }
    all
}

fn build(index: &Object, online: bool) -> Step {
    let words = if online { "REINDEX INDEX CONCURRENTLY" } else { "REINDEX INDEX" };
    let mut hazards = vec![Hazard::Note("in the database it is not valid".into())];
    if index.is("unique") {
        hazards.push(Hazard::MayFail("rows that are equal stop it".into()));
    }
    if !online {
        hazards.push(Hazard::BlocksWrites("nobody can write to the table while the index is built".into()));
    }
    let statements = vec![Sql::from_server(format!("{words} {}", index.identity))];
    Step { alone: online, hazards, ..Step::plain(index.title(), statements) }
}

impl Step {
    fn relies_on(&self, index: &Object) -> bool {
        let table = format!(" ATTACH PARTITION {} ", index.detail("table"));
        let own = format!(" ATTACH PARTITION {}", index.identity);
        let attaches = |sql: &Sql| sql.as_str().ends_with(&own) || sql.as_str().contains(&table);
        self.alters.as_ref() == Some(&index.key()) || self.statements.iter().any(attaches)
    }
}
