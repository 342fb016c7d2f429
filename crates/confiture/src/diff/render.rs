//! Work in order, written down as SQL.

use std::collections::HashMap;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::{self, quoted};
use crate::diff::fate::{self, Fate, Work};
use crate::diff::order::{Act, Group};
use crate::diff::{
    Hazard, Step, column, family, fit, inheritance, not_null, online, options, owner, partitioned, printed,
    privileges, swap, together,
};
use crate::sql::Sql;

/// The steps of a plan.
pub(super) fn steps(work: &Work<'_>, groups: &[Group]) -> Vec<Step> {
    let mut steps: Vec<Step> = groups.iter().map(|group| step(work, group)).collect();
    for span in together::spans(work, groups) {
        let [first, .., last] = span.as_slice() else { continue };
        // What is not made alone may have no statements of its own.
        let has_any = |at: &usize| !steps[*at].statements.is_empty();
        if let Some(last) = (*first..=*last).rev().find(has_any) {
            steps[*first..last].iter_mut().for_each(|step| step.joined = true);
        }
    }
    steps.retain(|step| !step.statements.is_empty());
    for sql in steps.iter_mut().flat_map(|step| step.statements.iter_mut().chain(&mut step.online)) {
        *sql = printed::kept(std::mem::take(sql));
    }
    steps
}

fn step(work: &Work<'_>, group: &Group) -> Step {
    let mut step = written(work, group);
    if is_on_foreign_table(work, group.act) {
        step.hazards.retain(|hazard| matches!(hazard, Hazard::Note(_)));
    }
    step
}

/// Its rows are elsewhere: none is lost, rewritten or looked at.
fn is_on_foreign_table(work: &Work<'_>, act: Act) -> bool {
    let (objects, at) = match act {
        Act::Drop(at) | Act::Finish(at) | Act::Alter(at, _) => (work.sides.old, at),
        Act::Make(at) => (work.sides.new, at),
    };
    // Rows of a default partition are here.
    objects.all[objects.root(at)].kind == Kind::ForeignTable && objects.all[at].kind != Kind::Partition
}

fn written(work: &Work<'_>, group: &Group) -> Step {
    let (old, new) = (work.sides.old, work.sides.new);
    match group.act {
        Act::Drop(at) => drop(work, at),
        Act::Finish(at) => finish(work, at),
        Act::Make(at) => make(work, at, &group.members),
        Act::Alter(from, to) if work.swapped.contains_key(&from) => {
            let mut step = make(work, to, &[]);
            let (before, after) = (&old.all[from], &new.all[to]);
            match step.by_parts {
                true => partitioned::replace(&mut step, work, (before, to), &work.swapped[&from]),
                false => swap::replace(&mut step, before, after, &work.swapped[&from].of(&after.name)),
            }
            Step { alters: Some(before.key()), ..step }
        }
        Act::Alter(from, to) if old.all[from].kind != new.all[to].kind => {
            let mut step = make(work, to, &[]);
            step.statements.splice(..1, work.changes[&from].statements.iter().cloned());
            // It is unique, and built.
            Step { alters: Some(old.all[from].key()), online: Vec::new(), hazards: Vec::new(), ..step }
        }
        Act::Alter(from, to) => {
            let change = &work.changes[&from];
            let title = if old.all[from].identity == new.all[to].identity {
                new.all[to].title()
            } else {
                format!("{} becomes {}", old.all[from].title(), new.all[to].identity)
            };
            let mut step = Step {
                hazards: change.hazards.clone(),
                commits: change.commits,
                alters: Some(old.all[from].key()),
                ..Step::plain(title, change.statements.clone())
            };
            if new.all[to].kind == Kind::Column {
                online::not_null(&mut step, work, to);
            }
            step
        }
    }
}

fn drop(work: &Work<'_>, at: usize) -> Step {
    let object = &work.sides.old.all[at];
    if work.set_aside[at] {
        let alter = object.alter.clone().unwrap_or_else(|| format!("ALTER {}", object.phrase));
        let aside = |name: &str| quoted(&work.aside[&at].of(name));
        let mut statements = Vec::new();
        for row in object.details["constructors"].as_array().into_iter().flatten() {
            if let (Some(signature), Some(name)) = (row[0].as_str(), row[1].as_str()) {
                statements
                    .push(Sql::from_server(format!("ALTER FUNCTION {signature} RENAME TO {}", aside(name))));
            }
        }
        statements.push(Sql::from_server(format!("{alter} RENAME TO {}", aside(&object.name))));
        if let (Some(full), Some(name)) =
            (object.details["multirange"][0].as_str(), object.details["multirange"][1].as_str())
        {
            statements.push(Sql::from_server(format!("ALTER TYPE {full} RENAME TO {}", aside(name))));
        }
        let schema = quoted(object.schema.as_deref().unwrap_or_default());
        for column in columns_of(work.sides.old, at) {
            if column::identity_sequence(column).is_some() {
                statements.push(Sql::from_server(format!(
                    "ALTER TABLE {schema}.{} ALTER COLUMN {} DROP IDENTITY",
                    aside(&object.name),
                    quoted(&column.name)
                )));
            }
        }
        if object.facet("forced row security").is_some_and(|facet| facet.0 == true) {
            // Without its policies, its owner would find no row in it.
            let table = format!("{schema}.{}", aside(&object.name));
            statements.push(Sql::from_server(format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")));
        }
        return Step::plain(format!("{} is set aside", object.title()), statements);
    }
    let statements = match object.kind {
        Kind::DefaultPrivileges => privileges::unmake(work.sides.old, object),
        _ if object.drop.is_empty() => Vec::new(),
        // Where the column stays below, it is dropped only here.
        Kind::Column if work.stays_below.contains(&at) => {
            vec![Sql::from_server(object.drop.replacen(" TABLE ", " TABLE ONLY ", 1))]
        }
        // Of a partition that was detached before. PostgreSQL 14 forgets those that lead to a partitioned table.
        Kind::Constraint if object.inherited => {
            vec![Sql::from_server(object.drop.replacen(
                " DROP CONSTRAINT ",
                " DROP CONSTRAINT IF EXISTS ",
                1,
            ))]
        }
        Kind::Index if family::has_attached(work.sides.old, at) => {
            vec![Sql::from_server(format!("{} CASCADE", object.drop))]
        }
        _ => vec![Sql::from_server(object.drop.clone())],
    };
    let mut step = Step::plain(object.title(), statements);
    // What uses it goes over to another one first, where it can.
    let old = work.sides.old;
    let uses =
        |user: &&Object| object.kind == Kind::Table && user.depends.iter().any(|on| old.root(*on) == at);
    let users = old.all.iter().enumerate().filter(|(user, _)| work.fates[*user] == Fate::Alter);
    step.alters = users.map(|(_, user)| user).find(uses).map(Object::key);
    online::drop(&mut step, object);
    if work.fates[at] == Fate::Gone {
        step.hazards.extend(match object.kind {
            Kind::Table => Some(Hazard::DataLoss("the rows of the table are lost".into())),
            Kind::Column if object.details["generated"].is_null() => {
                Some(Hazard::DataLoss("the values of the column are lost".into()))
            }
            Kind::Sequence if !goes_on(work, at) => {
                Some(Hazard::DataLoss("where the sequence stands is lost".into()))
            }
            Kind::Partition => {
                Some(Hazard::Note("its rows leave the whole, and stay in what was its partition".into()))
            }
            _ => None,
        });
    } else if let Some(change) = work.changes.get(&at) {
        step.hazards.clone_from(&change.hazards);
    }
    step
}

/// True where an identity goes on where a sequence stands.
fn goes_on(work: &Work<'_>, sequence: usize) -> bool {
    let (old, new) = (work.sides.old, work.sides.new);
    let takes_over = |column: usize| {
        let twin = work.twins[column].filter(|_| work.fates[column] == Fate::Alter);
        twin.is_some_and(|twin| column::former_sequence(work.sides, column, &new.all[twin]) == Some(sequence))
    };
    let of_it = (Kind::SequenceOwner, old.all[sequence].identity.clone());
    old.find(&of_it).and_then(|(_, owner)| owner.parent).is_some_and(takes_over)
}

fn finish(work: &Work<'_>, at: usize) -> Step {
    let object = &work.sides.old.all[at];
    let schema = quoted(object.schema.as_deref().unwrap_or_default());
    let name = format!("{schema}.{}", quoted(&work.aside[&at].of(&object.name)));
    let (mut statements, mut hazards) = (Vec::new(), Vec::new());
    if object.kind == Kind::Table
        && let Some(twin) = work.twins[at]
    {
        statements.extend(copy_rows(work, at, twin, &name, &mut hazards));
        hazards.push(Hazard::MayFail(
            "a row that the new table does not take, or no partition of it, stops it".into(),
        ));
        hazards.push(Hazard::Rewrites("every row goes over to the table that takes its place".into()));
        let keeps_values = |column: &Object| column.details["generated"].is_null();
        let goes = |column: &&Object| {
            let after = work.sides.new.find(&column.key());
            keeps_values(column) && !after.is_some_and(|(_, after)| keeps_values(after))
        };
        let gone = columns_of(work.sides.old, at).into_iter().filter(goes);
        let gone: Vec<String> = gone.map(|column| quoted(&column.name)).collect();
        hazards.extend(Hazard::values_lost("column", &gone));
    }
    if object.kind == Kind::Table && work.fates[at] == Fate::Gone && work.whole_of(at).is_none() {
        hazards.push(Hazard::DataLoss("the rows of the table are lost".into()));
    }
    let what = object.phrase.strip_suffix(&object.identity).unwrap_or("TYPE ");
    statements.push(Sql::from_server(format!("DROP {what}{name}")));
    Step { hazards, ..Step::plain(format!("{}: what was set aside", object.title()), statements) }
}

/// Rows go from the table that was set aside to the one that has taken its place.
fn copy_rows(work: &Work<'_>, from: usize, to: usize, name: &str, hazards: &mut Vec<Hazard>) -> Vec<Sql> {
    let (before, after) = (columns_of(work.sides.old, from), columns_of(work.sides.new, to));
    let (mut names, mut values, mut passages) = (Vec::new(), Vec::new(), Vec::new());
    for column in after.iter().filter(|column| column.details["generated"].is_null()) {
        let Some(old) = before.iter().find(|old| old.name == column.name) else { continue };
        names.push(quoted(&column.name));
        let retyped = old.detail("type") != column.detail("type");
        let anew = |on: &usize| {
            let kind = work.sides.old.all[*on].kind;
            let is_row = kind == Kind::Table && *on != from;
            work.set_aside[*on] && (fate::is_type(kind) || is_row) && kind != Kind::Collation
        };
        values.push(if retyped {
            let using = column::using(work.sides, old, column);
            let by_text = || takes_other_labels(work, old, column).then(|| column::through_text(column));
            using.or_else(by_text).unwrap_or_else(|| quoted(&column.name))
        } else if old.depends.iter().any(anew) {
            let passage = column::to_namesake(work.sides, column);
            let value = passage.expression.clone();
            hazards.extend(passage.hazards());
            passages.push(passage);
            value
        } else {
            quoted(&column.name)
        });
    }
    let table = &work.sides.new.all[to];
    // Where no column stays, there are still as many rows.
    let copy = if names.is_empty() {
        format!("INSERT INTO {} SELECT FROM {name}", table.identity)
    } else {
        format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {name}",
            table.identity,
            names.join(", "),
            values.join(", ")
        )
    };
    let copy = vec![Sql::from_server(copy)];
    let mut statements = passages.into_iter().fold(copy, |copy, passage| passage.around(copy));
    for column in &after {
        if let Some(sequence) = column::identity_sequence(column) {
            statements.push(column::go_on(sequence, column));
        }
    }
    let new = &work.sides.new.all;
    let owners = (0..new.len()).filter(|at| new[*at].kind == Kind::SequenceOwner);
    let of_table = owners.filter(|at| new[*at].parent.is_some_and(|column| new[column].parent == Some(to)));
    statements.extend(of_table.filter_map(|owner| go_on_with_new_sequence(work, owner)));
    statements
}

/// True between an enumeration and a domain over it, where another enumeration takes its name.
fn takes_other_labels(work: &Work<'_>, old: &Object, new: &Object) -> bool {
    let base = old.detail("base");
    let labels = work.sides.old.find(&(Kind::Enum, base.trim_end_matches("[]").to_owned()));
    base == new.detail("base") && labels.is_some_and(|(at, _)| work.set_aside[at])
}

/// The owner of a sequence that comes from another column.
fn owner_between(work: &Work<'_>, owner: &Object) -> Option<Sql> {
    let key = (Kind::Sequence, owner.identity.clone());
    let (old, new) = (work.sides.old, work.sides.new);
    let ((before, sequence), (_, after)) = (old.find(&key)?, new.find(&key)?);
    work.twins[before]?;
    owner::change_between((old, sequence), (new, after))
}

/// A sequence that comes to a column of numbers goes on where they end.
fn go_on_with_new_sequence(work: &Work<'_>, owner: usize) -> Option<Sql> {
    let new = work.sides.new;
    let owner = &new.all[owner];
    let (at, sequence) = new.find(&(Kind::Sequence, owner.identity.clone()))?;
    let column = &new.all[owner.parent?];
    let counts = ["smallint", "integer", "bigint"].contains(&column.detail("base"));
    let ascends = !sequence.create.contains(" INCREMENT BY -");
    (work.made[at] && counts && ascends).then(|| column::go_on(&sequence.identity, column))
}

fn columns_of(objects: &Objects, table: usize) -> Vec<&Object> {
    let mut columns: Vec<_> = (objects.all.iter())
        .filter(|object| object.kind == Kind::Column && object.parent == Some(table))
        .collect();
    columns.sort_by_key(|column| column.details["number"].as_i64());
    columns
}

fn make(work: &Work<'_>, at: usize, members: &[Act]) -> Step {
    let new = work.sides.new;
    let object = &new.all[at];
    let members: Vec<&Object> = (members.iter())
        .filter_map(|act| if let Act::Make(at) = act { Some(&new.all[*at]) } else { None })
        .collect();
    let mut step = Step::plain(object.title(), Vec::new());
    if object.kind == Kind::DomainConstraint {
        // Refused where a column holds the domain within something else.
        step.alters = object.parent.map(|domain| new.all[domain].key());
    }
    match object.kind {
        Kind::Table | Kind::ForeignTable => {
            step.statements.push(Sql::from_server(table(work, at, &members)));
        }
        Kind::Column => {
            let table = object.parent.and_then(|parent| new.all[parent].alter.clone()).unwrap_or_default();
            let default = members.iter().find(|member| member.kind == Kind::Default);
            let expression = default.map(|default| default.detail("expression"));
            let demands = object.is("not_null") || object.detail("typtype") == "d";
            let gives = expression.is_some_and(|value| value != "NULL" && !value.starts_with("NULL::"));
            if demands && !gives && object.detail("identity").is_empty() {
                step.hazards.push(Hazard::MayFail("rows that are there have no value for it".into()));
            }
            if !object.detail("identity").is_empty() && refuses_identity(work, object) {
                step.statements.extend(
                    column::add_identity_apart(work.sides, object, &work.not_null_names)
                        .into_iter()
                        .map(Sql::from_server),
                );
            } else {
                let text = format!(
                    "{table} ADD COLUMN {}",
                    column::render(object, expression, &work.not_null_names)
                );
                step.statements.push(Sql::from_server(text));
            }
        }
        Kind::Domain => {
            step.statements.push(Sql::from_server(domain(object, &members)));
            if object.details["not_null_comment"].is_string() {
                step.statements.extend(not_null::comment_of_domain(object));
            }
        }
        // Without ONLY, the indexes of partitions come along.
        Kind::Index if object.is("valid") && !family::has_attached(new, at) => {
            step.statements.push(Sql::from_server(object.create.replacen(" ON ONLY ", " ON ", 1)));
        }
        Kind::Statistics | Kind::Index => step.statements.push(Sql::from_server(object.create.clone())),
        _ if object.create.is_empty() => {}
        Kind::Inheritance => step.statements.extend(inheritance::join(new, object)),
        Kind::Sequence => {
            let texts = [object.create.as_str(), object.detail("get_name")];
            step.statements.extend(texts.into_iter().filter(|text| !text.is_empty()).map(Sql::from_server));
        }
        Kind::SequenceOwner => {
            step.statements.extend(owner_between(work, object));
            step.statements.push(Sql::from_server(object.create.clone()));
            let was_there = object.parent.is_some_and(|column| !work.made[column]);
            let goes_on = was_there.then(|| go_on_with_new_sequence(work, at)).flatten();
            let column = object.parent.and_then(|column| work.sides.old.find(&new.all[column].key()));
            if goes_on.is_some() && column.is_some_and(|(_, old)| column::identity_sequence(old).is_some()) {
                let note = "numbers go on after the highest one in the rows, not where the identity stood";
                step.hazards.push(Hazard::Note(note.into()));
            }
            step.statements.extend(goes_on);
        }
        _ => step.statements.push(Sql::from_server(format!("{}{}", object.create, options::foreign(object)))),
    }
    if object.kind == Kind::Extension && new.all.iter().any(|object| object.kind == Kind::DefaultPrivileges) {
        step.hazards.push(Hazard::Note("what the extension makes gets the default privileges of now".into()));
    }
    step.hazards.extend(fit::against_made(work, at, &members));
    for part in std::iter::once(object).chain(members) {
        finish_making(&mut step, new, part);
    }
    online::make(&mut step, work, at);
    step
}

/// True where the table of a column has children, to which an identity cannot be added along with it.
fn refuses_identity(work: &Work<'_>, column: &Object) -> bool {
    let new = work.sides.new;
    let Some(table) = column.parent else { return false };
    let goes_down = new.all[table].detail("relkind") == "p" && new.server_version >= 170_000;
    let is_child = |object: &Object| {
        matches!(object.kind, Kind::Partition | Kind::Inheritance)
            && object.parent != Some(table)
            && object.depends.contains(&table)
    };
    !goes_down && new.all.iter().any(is_child)
}

/// What no statement that makes an object can say.
fn finish_making(step: &mut Step, new: &Objects, object: &Object) {
    step.statements.extend(owner::own(new, object));
    for (_, facet) in object.facets().filter(|(_, facet)| !facet.2 && !facet.1.is_empty()) {
        step.statements.push(Sql::from_server(facet.1.clone()));
    }
    if matches!(object.kind, Kind::Column | Kind::ViewColumn | Kind::MaterializedView) {
        step.statements.extend(options::set(object));
    }
    if object.kind == Kind::Column {
        step.statements.extend(not_null::after(object).into_iter().map(Sql::from_server));
    }
    step.statements.extend(compare::make_known(new, object));
    if object.kind == Kind::Column {
        let sequence = column::sequence_behind(object);
        step.statements.extend(sequence.iter().flat_map(|sequence| compare::make_known(new, sequence)));
    }
}

fn domain(object: &Object, members: &[&Object]) -> String {
    let mut text = object.create.clone();
    if let Some(default) = members.iter().find(|member| member.kind == Kind::Default) {
        text.push_str(&format!(" DEFAULT {}", default.detail("expression")));
    }
    for constraint in members.iter().filter(|member| member.kind == Kind::DomainConstraint) {
        text.push_str(&format!("\n    CONSTRAINT {} {}", quoted(&constraint.name), constraint.defined()));
    }
    text
}

/// A whole `CREATE TABLE`.
fn table(work: &Work<'_>, at: usize, members: &[&Object]) -> String {
    let object = &work.sides.new.all[at];
    let of_kind = |kind: Kind| members.iter().copied().filter(move |member| member.kind == kind);
    let partition = of_kind(Kind::Partition).next();
    let inherits: Vec<&Object> = of_kind(Kind::Inheritance).collect();
    let defaults: HashMap<&str, &str> =
        of_kind(Kind::Default).map(|default| (default.name.as_str(), default.detail("expression"))).collect();
    let mut columns: Vec<&Object> = of_kind(Kind::Column).collect();
    columns.sort_by_key(|column| column.details["number"].as_i64());
    let comes_along = |column: &&Object| column.inherited && (partition.is_some() || !inherits.is_empty());
    let has_parents = partition.is_some() || !inherits.is_empty();
    // They need not be members: a partition's come along.
    let columns_of_parents = (work.sides.new.all.iter())
        .filter(|_| has_parents)
        .filter(|column| column.kind == Kind::Column && column.parent == Some(at) && comes_along(column));
    let beside_parents: Vec<String> = columns_of_parents.filter_map(not_null::beside_parents).collect();
    let mut lines: Vec<String> = Vec::new();
    if partition.is_none() && object.detail("of").is_empty() {
        let written = columns.into_iter().filter(|column| !comes_along(column));
        lines.extend(written.map(|column| {
            column::render(column, defaults.get(column.name.as_str()).copied(), &work.not_null_names)
        }));
    }
    lines.extend(beside_parents);
    let mut constraints: Vec<&Object> = of_kind(Kind::Constraint).collect();
    let rank = |constraint: &&Object| match constraint.detail("type") {
        "p" => 0,
        "u" => 1,
        "x" => 2,
        _ => 3,
    };
    constraints.sort_by_key(rank);
    lines.extend(
        constraints
            .iter()
            .map(|constraint| format!("CONSTRAINT {} {}", quoted(&constraint.name), constraint.defined())),
    );
    let body = match lines.as_slice() {
        [] => "()".to_owned(),
        lines => format!("(\n    {}\n)", lines.join(",\n    ")),
    };
    let mut text = object.create.clone();
    match (partition, object.detail("of")) {
        (Some(partition), _) => {
            text.push_str(&format!(" PARTITION OF {}", partition.detail("parent")));
            if !lines.is_empty() {
                text.push_str(&format!(" {body}"));
            }
            text.push_str(&format!(" {}", partition.detail("bound")));
        }
        (None, "") => text.push_str(&format!(" {body}")),
        (None, of) => {
            text.push_str(&format!(" OF {of}"));
            if !lines.is_empty() {
                text.push_str(&format!(" {body}"));
            }
        }
    }
    if !inherits.is_empty() {
        let mut inherits = inherits;
        inherits.sort_by_key(|one| one.details["number"].as_i64());
        let parents: Vec<&str> = inherits.iter().map(|one| one.detail("parent")).collect();
        text.push_str(&format!(" INHERITS ({})", parents.join(", ")));
    }
    if object.kind == Kind::ForeignTable {
        text.push_str(&format!(" SERVER {}{}", quoted(object.detail("server")), options::foreign(object)));
    } else {
        text.push_str(object.detail("tail"));
        text.push_str(&options::with(object));
        text.push_str(object.detail("tablespace"));
    }
    text
}
