//! Steps between which nobody may see the database: what goes and comes again, or makes way for what takes its place, is away
//! in between. A view would be missing, a policy would let everybody read, a table would be empty.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::fate::Work;
use crate::diff::order::{Act, Group};
use crate::diff::{Hazard, Step};
use crate::sql::Sql;

/// The groups of the work, in their order, that take something from a place or bring something to it: one list for each place
/// where both happens.
pub(super) fn spans(work: &Work<'_>, groups: &[Group]) -> Vec<Vec<usize>> {
    let (old, new) = (work.sides.old, work.sides.new);
    let mut gone: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut there: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, group) in groups.iter().enumerate() {
        for act in std::iter::once(&group.act).chain(&group.members) {
            let (which, places) = match *act {
                Act::Drop(at) => (&mut gone, places(old, &old.all[at])),
                Act::Make(at) => (&mut there, places(new, &new.all[at])),
                // What was set aside gives its rows to what has taken its place.
                Act::Finish(at) => (&mut there, places(old, &old.all[at])),
                Act::Alter(..) => continue,
            };
            places.into_iter().for_each(|place| which.entry(place).or_default().push(position));
        }
    }
    let both = gone.into_iter().filter_map(|(place, gone)| Some([gone, there.remove(&place)?].concat()));
    both.map(|span| BTreeSet::from_iter(span).into_iter().collect()).collect()
}

/// What the application finds an object by, and what others of its kind do for it: another policy of the same table.
fn places(objects: &Objects, object: &Object) -> Vec<String> {
    let kind = object.kind;
    // Without it, everything is only slower.
    if kind == Kind::Statistics || kind == Kind::Index && !object.is("unique") {
        return Vec::new();
    }
    let name = || format!("{:?}.{:?}", object.schema, object.name);
    let more = match kind {
        Kind::Policy | Kind::Trigger | Kind::Rule => {
            object.parent.map(|table| format!("{kind:?} of {}", objects.all[table].identity))
        }
        Kind::Constraint if object.detail("type") == "f" => {
            let tables: BTreeSet<usize> = object.depends.iter().map(|on| objects.root(*on)).collect();
            let tables: Vec<&str> = tables.iter().map(|at| objects.all[*at].identity.as_str()).collect();
            object.parent.map(|table| format!("{kind:?} of {} to {tables:?}", objects.all[table].identity))
        }
        Kind::Function | Kind::Procedure | Kind::Aggregate => Some(format!("routine {}", name())),
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView | Kind::Sequence => {
            Some(format!("relation {}", name()))
        }
        _ => None,
    };
    std::iter::once(format!("{kind:?} {}", object.identity)).chain(more).collect()
}

/// Takes the forms that let others go on working. What belongs together stays so: there, what cannot be part of a transaction
/// keeps its plain form, indexes are built before where they can be, and rows are checked afterwards.
#[must_use]
pub fn go_online(steps: Vec<Step>) -> Vec<Step> {
    let (mut all, mut later) = (Vec::new(), Vec::new());
    let (mut joined, mut begin) = (false, 0);
    // A parent takes no child whose constraints are not validated as its own are.
    let last_to_join = steps.iter().rposition(Step::joins_parent);
    for (at, mut step) in steps.into_iter().enumerate() {
        if joined || step.joined {
            begin = if joined { begin } else { all.len() };
            if let Some(build) = step.build_ahead() {
                all.insert(begin, build);
                begin += 1;
            }
            if last_to_join.is_none_or(|last| at > last) {
                later.extend(step.check_later());
            }
        } else {
            step.go_online();
        }
        joined = step.joined;
        all.push(step);
        if !joined {
            all.append(&mut later);
        }
    }
    all
}

/// Takes steps that belong together apart, where they cannot be one transaction: all of them, or those that use what only a
/// commit makes usable.
pub fn take_apart(steps: &mut [Step], all: bool) {
    for together in steps.chunk_by_mut(|step, _| step.joined) {
        if together.len() > 1 && (all || together.iter().any(|step| step.commits)) {
            together[0].hazards.push(Hazard::Note(
                "what goes from here on and comes again is away in between, for everybody".into(),
            ));
            together.iter_mut().for_each(|step| step.joined = false);
        }
    }
}

/// True where values go over to an enumeration that has just got a label: they may have it, and it is only usable after a commit.
#[must_use]
pub fn rows_take_new_labels(steps: &[Step]) -> bool {
    let grows = |sql: &Sql| {
        let (name, _) = sql.as_str().strip_prefix("ALTER TYPE ")?.split_once(" ADD VALUE ")?;
        Some(name.to_owned())
    };
    let mut grown: Vec<String> = Vec::new();
    for sql in steps.iter().flat_map(|step| &step.statements) {
        let text = sql.as_str();
        let converts =
            text.starts_with("INSERT INTO ") || text.contains(" ALTER COLUMN ") && text.contains(" USING ");
        if converts && grown.iter().any(|name| text.contains(&format!("::{name}"))) {
            return true;
        }
        grown.extend(grows(sql));
    }
    false
}

impl Step {
    /// True where a table becomes a partition or a child of another.
    fn joins_parent(&self) -> bool {
        let joins =
            |sql: &Sql| [" ATTACH PARTITION ", " INHERIT "].iter().any(|words| sql.as_str().contains(words));
        self.statements.iter().any(joins)
    }

    /// The step in a form that lets others go on working, where there is one.
    fn go_online(&mut self) {
        if !self.online.is_empty() {
            self.statements = std::mem::take(&mut self.online);
            // Validating is gentle only where the lock of the statement before it is gone.
            let apart = |sql: &Sql| {
                [" CONCURRENTLY ", " VALIDATE CONSTRAINT "].iter().any(|word| sql.as_str().contains(word))
            };
            self.alone = self.statements.iter().any(apart);
            self.hazards.retain(|hazard| !matches!(hazard, Hazard::BlocksWrites(_)));
        }
    }

    /// Takes the indexes that are built by the step that this gives; nothing where there is no such form.
    fn build_ahead(&mut self) -> Option<Step> {
        let is_built = |sql: &Sql| sql.as_str().contains(" CONCURRENTLY ");
        let (build, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ahead).into_iter().partition(is_built);
        if build.is_empty() {
            return None;
        }
        self.statements = rest;
        self.online.clear();
        self.hazards.retain(|hazard| !matches!(hazard, Hazard::BlocksWrites(_)));
        let (found_before, hazards) =
            std::mem::take(&mut self.hazards).into_iter().partition(|one| matches!(one, Hazard::MayFail(_)));
        self.hazards = hazards;
        let title = format!("{}: its index", self.title);
        Some(Step { alone: true, hazards: found_before, ..Step::plain(title, build) })
    }

    /// Makes a constraint that is not validated, and gives the step that validates it; nothing where there is no such form.
    fn check_later(&mut self) -> Option<Step> {
        let mut online = std::mem::take(&mut self.online);
        let [first, second, ..] = online.as_slice() else { return None };
        let plain = self.statements.first().map(Sql::as_str);
        let makes = self.alters.is_none() && first.as_str().strip_suffix(" NOT VALID") == plain;
        if !makes || !second.as_str().contains(" VALIDATE CONSTRAINT ") {
            return None;
        }
        let validate = online.remove(1);
        self.statements = online;
        self.hazards.retain(|hazard| !matches!(hazard, Hazard::BlocksWrites(_)));
        let (found_later, hazards) =
            std::mem::take(&mut self.hazards).into_iter().partition(|one| matches!(one, Hazard::MayFail(_)));
        self.hazards = hazards;
        let title = format!("{}: the rows that are there", self.title);
        Some(Step { alone: true, hazards: found_later, ..Step::plain(title, vec![validate]) })
    }
}
