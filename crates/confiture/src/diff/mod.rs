//! From two catalogs to the steps that turn one into the other.
//!
//! [`plan`] compares object by object ([`compare`]), decides which have to go for the time of the change because of what they
//! depend on (`fate`), puts the work in an order that every dependency allows (`order`), and writes it down (`render`).
//! Nothing here knows a server: that a plan does what it says is proved by whoever has one.

mod annotation;
mod aside;
mod asked;
mod broken;
mod column;
mod column_order;
mod compare;
mod composite;
mod data_type;
mod family;
mod fate;
mod fit;
mod hazard;
mod infer;
mod inheritance;
mod likeness;
mod lock;
mod not_null;
mod online;
mod options;
mod order;
mod owner;
mod partitioned;
mod persistence;
mod printed;
mod privileges;
mod question;
mod quiet;
pub mod rename;
mod render;
mod rewrite;
mod room;
mod row_type;
mod secret;
mod sequence;
mod swap;
mod together;
mod twins;

use std::sync::OnceLock;

use serde::Serialize;

use crate::catalog::{Key, Kind, Object, Objects};
use crate::diff::rename::Rename;
use crate::sql::Sql;

pub use annotation::annotations;
pub(crate) use annotation::made_by;
pub use broken::{broken_indexes, build_broken};
pub use column_order::{by_place, other_column_order};
pub use hazard::Hazard;
pub use inheritance::{inherit_again, other_inheritance};
pub use lock::{Lock, Sizes};
pub use options::of_no_toast;
pub use owner::{adopt, main_owner};
pub(crate) use privileges::split_name;
pub use question::questions;
pub use quiet::quiet;
pub use rewrite::rewrite_once;
pub use secret::{holds_secret, masked, without_secrets};
pub use together::{go_online, rows_take_new_labels, take_apart};

/// One step of a plan: statements that belong together.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What it is about: `table app.users`.
    pub title: String,
    /// What it does.
    #[serde(serialize_with = "as_texts")]
    pub statements: Vec<Sql>,
    /// What there is to be known before.
    pub hazards: Vec<Hazard>,
    /// What it adds can only be used after a commit.
    pub commits: bool,
    /// What its statements lock, where somebody has watched them.
    pub locks: Vec<Lock>,
    /// Its statements cannot run in one transaction, or would hold their locks for too long there.
    pub alone: bool,
    /// Nobody may see the database between it and the next one: both are one transaction.
    pub joined: bool,
    /// The same in forms that let others go on working; empty where there are none.
    #[serde(skip)]
    pub online: Vec<Sql>,
    /// What builds its indexes before the steps to which it is joined, and what it does then; empty where that cannot be.
    #[serde(skip)]
    pub ahead: Vec<Sql>,
    /// That form is made partition by partition.
    #[serde(skip)]
    pub by_parts: bool,
    /// The object of the old catalog that it alters, or that may be in its way, where making that anew would do as well.
    #[serde(skip)]
    pub alters: Option<Key>,
}

fn as_texts<S: serde::Serializer>(statements: &[Sql], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(statements.iter().map(|sql| masked(sql.as_str())))
}

/// How a plan is made.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// What earlier steps have brought along with a parent is there by now: what is still missing is made.
    pub after_first: bool,
    /// Objects that are made anew although they seem to be alterable.
    pub rebuild: Vec<Key>,
    /// Indexes and keys of a partitioned table are made partition by partition, with the names that they are to have there.
    pub by_parts: bool,
    /// Event triggers are off meanwhile.
    pub quiet: bool,
}

/// The steps that turn `old` into `new`; none where both are the same.
#[must_use]
pub fn plan(old: &Objects, new: &Objects, options: &PlanOptions) -> Vec<Step> {
    let names = OnceLock::new();
    let sides = compare::Sides { old, new, names: &names };
    let work = fate::decide(sides, options);
    let order = order::arrange(&work);
    render::steps(&work, &order)
}

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn listed(names: &[String]) -> String {
    match names {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => names.concat(),
    }
}

/// An object that two catalogs do not share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// Only the first has it.
    OnlyFirst {
        /// Its title: `table app.users`.
        object: String,
    },
    /// Only the second has it.
    OnlySecond {
        /// Its title.
        object: String,
    },
    /// Both have it, and it is not the same.
    Other {
        /// Its title.
        object: String,
        /// What would turn the second into the first, where one statement begins to.
        statement: Option<String>,
    },
}

impl Difference {
    /// The object's title: `table app.users`.
    #[must_use]
    pub fn object(&self) -> &str {
        match self {
            Self::OnlyFirst { object } | Self::OnlySecond { object } | Self::Other { object, .. } => object,
        }
    }

    /// As the error says it whose plan has made `second` where it should have made `first`.
    fn in_words(self) -> String {
        match self {
            Self::OnlyFirst { object } => format!("{object} is missing"),
            Self::OnlySecond { object } => format!("{object} is there, and should not be"),
            Self::Other { object, statement: Some(statement) } => format!("{object} differs: {statement}"),
            Self::Other { object, statement: None } => format!("{object} differs"),
        }
    }
}

/// True where nothing differs.
#[must_use]
pub fn are_same(old: &Objects, new: &Objects) -> bool {
    all_differences(old, new).next().is_none()
}

/// What differs between two catalogs, one line for each object: `table app.users is missing`.
#[must_use]
pub fn differences(old: &Objects, new: &Objects) -> Vec<String> {
    all_differences(old, new).map(|(_, difference)| difference.in_words()).collect()
}

/// What `first` and `second` do not share. Of what only one has, its parts are not told.
#[must_use]
pub fn not_shared(first: &Objects, second: &Objects) -> Vec<Difference> {
    let is_told = |(object, difference): &(&Object, Difference)| {
        let (here, there) = match difference {
            Difference::OnlyFirst { .. } => (first, second),
            Difference::OnlySecond { .. } => (second, first),
            Difference::Other { .. } => return true,
        };
        object.parent.is_none_or(|parent| there.find(&here.all[parent].key()).is_some())
    };
    all_differences(second, first).filter(is_told).map(|(_, difference)| difference).collect()
}

/// What `old`, the second, lacks of `new`, the first, and has beside it.
fn all_differences<'a>(
    old: &'a Objects,
    new: &'a Objects,
) -> impl Iterator<Item = (&'a Object, Difference)> + use<'a> {
    let names = OnceLock::new();
    let differs = move |object: &'a Object| {
        let sides = compare::Sides { old, new, names: &names };
        let title = object.title();
        let Some((_, other)) = new.find(&object.key()) else {
            return Some((object, Difference::OnlySecond { object: title }));
        };
        let change = compare::compare(sides, object, other);
        let statement = || change.statements.first().map(|sql| masked(sql.as_str()).into_owned());
        (!change.is_none()).then(|| (object, Difference::Other { object: title, statement: statement() }))
    };
    // A name of an operator that nobody has made, and that nobody bears any more, is nothing.
    let has_form = |object: &&Object| object.kind != Kind::Operator || !object.create.is_empty();
    let missing = new.all.iter().filter(|object| old.find(&object.key()).is_none()).filter(has_form);
    let missing = missing.map(|object| (object, Difference::OnlyFirst { object: object.title() }));
    old.all.iter().filter_map(differs).chain(missing)
}

impl Step {
    /// One that does no harm and has no other form.
    fn plain(title: String, statements: Vec<Sql>) -> Self {
        Self {
            title,
            statements,
            hazards: Vec::new(),
            commits: false,
            alone: false,
            joined: false,
            online: Vec::new(),
            ahead: Vec::new(),
            locks: Vec::new(),
            by_parts: false,
            alters: None,
        }
    }
}

/// The roles that own something, have been granted something, or that a policy is for.
#[must_use]
pub fn roles(objects: &Objects) -> Vec<String> {
    let mut roles: std::collections::BTreeSet<String> =
        objects.all.iter().filter_map(|object| object.owner.clone()).collect();
    roles.extend(objects.all.iter().flat_map(privileges::grantees));
    let behind = objects.all.iter().filter_map(column::sequence_behind);
    roles.extend(behind.flat_map(|sequence| privileges::grantees(&sequence)));
    let of_policies = objects.all.iter().filter_map(|object| object.details["roles"].as_array()).flatten();
    roles.extend(of_policies.filter_map(|role| role.as_str().map(str::to_owned)));
    roles.remove("");
    roles.into_iter().filter(|role| !role.starts_with("pg_")).collect()
}

/// Extensions that stay at their version, because no update leads to that of `new`, or in their schema, because they cannot be moved.
#[must_use]
pub fn other_extensions(old: &Objects, new: &Objects) -> Vec<String> {
    let version = |object: &Object| {
        object.facet("version").and_then(|facet| facet.0.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let extensions = || old.all.iter().filter_map(|object| Some((object, new.find(&object.key())?.1)));
    let others = extensions().filter(|(object, other)| compare::version_stays(object, other));
    let remark = |(object, other): (&Object, &Object)| {
        let (is, should) = (version(object), version(other));
        format!("the extension {} stays at version {is}: no update leads to {should}", object.name)
    };
    let fixed = fixed_elsewhere(old, new).map(|(object, is, should)| {
        let is_hosted = new.find(&(Kind::Schema, is.to_owned())).is_none();
        let host = if is_hosted { ", and so does that schema" } else { "" };
        format!("the extension {} stays in {is}{host}: it cannot be taken to {should}", object.name)
    });
    others.map(remark).chain(fixed).collect()
}

/// Extensions that cannot be moved, with the schema in which they are, and that in which they are to be.
fn fixed_elsewhere<'a>(
    old: &'a Objects,
    new: &'a Objects,
) -> impl Iterator<Item = (&'a Object, &'a str, &'a str)> {
    let extensions = old.all.iter().filter(|object| object.kind == Kind::Extension);
    extensions.filter_map(|object| {
        let (is, should) = (object.detail("fixed_in"), new.find(&object.key())?.1.detail("fixed_in"));
        (![is, should].contains(&"") && is != should).then_some((object, is, should))
    })
}

/// `new`, with the schemas of `old` in which such extensions stay; nothing where it has them.
#[must_use]
pub fn with_hosts(old: &Objects, new: &Objects, renames: &[Rename]) -> Option<Objects> {
    let stays = |is: &&str| rename::schema_after(is, renames) == **is;
    let hosts = fixed_elsewhere(old, new).map(|(_, is, _)| is).filter(stays);
    let hosts: Vec<&Object> =
        hosts.filter_map(|is| Some(old.find(&(Kind::Schema, is.to_owned()))?.1)).collect();
    let lacks = hosts.iter().any(|host| new.find(&host.key()).is_none());
    lacks.then(|| {
        let mut hosting = new.clone();
        hosts.into_iter().for_each(|host| hosting.take_in(host));
        hosting
    })
}
