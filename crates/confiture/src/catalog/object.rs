//! Every object of a database in one form: what identifies it, what makes it, and what it depends on.
//!
//! The server renders the statements itself (`queries/objects/*.sql`), so that forty kinds need no forty structs. What only
//! some kinds have lies in [`Object::details`], which the files of [`crate::diff`] that know these kinds read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value;

use crate::catalog::settle::{dumped, settle, values_list};

macro_rules! kinds {
    ($($variant:ident $text:literal,)*) => {
        /// The kinds of object, in the order in which they are made where nothing else decides.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the name is the manual's")]
        pub enum Kind { $($variant,)* }

        impl Kind {
            /// The kind that the queries call `text`.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }

            /// What the manual calls it.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    Schema "schema",
    Extension "extension",
    Language "language",
    AccessMethod "access method",
    Collation "collation",
    Enum "enum",
    Label "label",
    Domain "domain",
    DomainConstraint "domain constraint",
    CompositeType "composite type",
    Attribute "attribute",
    Range "range",
    ShellType "shell type",
    BaseType "base type",
    Sequence "sequence",
    Function "function",
    Procedure "procedure",
    Aggregate "aggregate",
    Operator "operator",
    OperatorFamily "operator family",
    OperatorFamilyMember "operator family member",
    OperatorClass "operator class",
    Cast "cast",
    Transform "transform",
    Conversion "conversion",
    TextSearchParser "text search parser",
    TextSearchTemplate "text search template",
    TextSearchDictionary "text search dictionary",
    TextSearchConfiguration "text search configuration",
    TextSearchMapping "text search mapping",
    ForeignDataWrapper "foreign data wrapper",
    Server "server",
    UserMapping "user mapping",
    Table "table",
    ForeignTable "foreign table",
    Column "column",
    SystemColumn "system column",
    Default "default",
    SequenceOwner "sequence owner",
    TableType "type of table",
    Inheritance "inheritance",
    Partition "partition",
    Constraint "constraint",
    Index "index",
    Statistics "statistics",
    View "view",
    MaterializedView "materialized view",
    ViewColumn "view column",
    Rule "rule",
    Trigger "trigger",
    Policy "policy",
    Publication "publication",
    PublicationMember "publication member",
    EventTrigger "event trigger",
    DefaultPrivileges "default privileges",
}

/// What names an object: the same in two databases.
pub type Key = (Kind, String);

/// A part of an object that a statement of its own sets: its value, that statement, and whether making the object gives it.
#[derive(Debug, Clone, Deserialize)]
pub struct Facet(pub Value, pub String, pub bool);

/// An object of a database.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    /// Its kind.
    #[serde(skip, default = "any_kind")]
    pub kind: Kind,
    /// Its schema.
    pub schema: Option<String>,
    /// Its name, unquoted.
    pub name: String,
    /// What identifies it among those of its kind, quoted: `app.users.id`, `app.f(integer)`.
    pub identity: String,
    /// How `COMMENT ON` and `ALTER … OWNER` name it; empty where they cannot.
    pub phrase: String,
    /// The statement that makes it; empty where it comes with another object.
    pub create: String,
    /// What is compared; the statement that makes it where there is nothing better.
    pub definition: Option<String>,
    /// The same as a dump of it says it, where that may be otherwise.
    #[serde(skip)]
    dumped: Option<String>,
    /// The statement that makes it take this form where it exists in another.
    pub replace: Option<String>,
    /// The statement that drops it.
    pub drop: String,
    /// The beginning of the statements that alter it.
    pub alter: Option<String>,
    /// Storage parameters, `name=value`.
    pub options: Option<Vec<String>>,
    /// `OPTIONS (…)` of what is foreign, `name=value`.
    pub foreign_options: Option<Vec<String>>,
    /// Its owner.
    pub owner: Option<String>,
    /// Its privileges as `aclitem` renders them.
    pub acl: Option<Vec<String>>,
    /// What stands for no privileges.
    pub acl_default: Option<Vec<String>>,
    /// Parts with statements of their own.
    #[serde(default)]
    facets: Option<BTreeMap<String, Option<Facet>>>,
    /// What only this kind has.
    #[serde(default)]
    pub details: Value,
    /// True where an object of the table's parent brought it along.
    #[serde(default)]
    pub inherited: bool,
    /// Its comment.
    #[serde(skip)]
    pub comment: Option<String>,
    /// The object that it is a part of, and with which it goes.
    #[serde(skip)]
    pub parent: Option<usize>,
    /// What it depends on.
    #[serde(skip)]
    pub depends: BTreeSet<usize>,
}

fn any_kind() -> Kind {
    Kind::Schema
}

impl Object {
    /// What names it in both databases.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.kind, self.identity.clone())
    }

    /// Brings the statements into a form that PostgreSQL, when it reads them, renders again in the same way.
    pub fn settle(&mut self) {
        for text in [&mut self.definition, &mut self.replace].into_iter().flatten() {
            settle(text);
        }
        settle(&mut self.create);
        let definition = self.defined().to_owned();
        if let Some((columns, values)) = values_list(&definition) {
            for text in [Some(&mut self.create), self.replace.as_mut()].into_iter().flatten() {
                if let Some((head, _)) = text.split_once(" AS\n") {
                    // Options stand behind the columns.
                    let (name, options) = head.split_at(head.rfind(" WITH (").unwrap_or(head.len()));
                    *text = format!("{name} {columns}{options} AS\n VALUES {values}");
                }
            }
        }
        for name in ["generated", "expression"] {
            if let Some(Value::String(text)) = self.details.get_mut(name) {
                settle(text);
            }
        }
        self.dumped = dumped(self.defined());
    }

    /// What is compared, as the server says it.
    #[must_use]
    pub fn defined(&self) -> &str {
        self.definition.as_deref().unwrap_or(&self.create)
    }

    /// True where both are the same, if only after one of them was dumped and read again.
    #[must_use]
    pub fn is_defined_as(&self, other: &Self) -> bool {
        self.dumped.as_deref().unwrap_or(self.defined()) == other.dumped.as_deref().unwrap_or(other.defined())
    }

    /// Parts with statements of their own.
    pub fn facets(&self) -> impl Iterator<Item = (&str, &Facet)> {
        let all = self.facets.iter().flatten();
        all.filter_map(|(name, facet)| Some((name.as_str(), facet.as_ref()?)))
    }

    /// One of these parts.
    #[must_use]
    pub fn facet(&self, name: &str) -> Option<&Facet> {
        self.facets.as_ref()?.get(name)?.as_ref()
    }

    /// Text among the details; empty where there is none.
    #[must_use]
    pub fn detail(&self, name: &str) -> &str {
        self.details[name].as_str().unwrap_or_default()
    }

    /// Has its role's name in its identity no more; with `is_literal`, its statements still have it.
    fn call_own(&mut self, is_literal: bool) {
        let (named, own) = (self.detail("named").to_owned(), self.detail("own").to_owned());
        for text in [&mut self.identity, &mut self.name] {
            *text = text.replacen(&named, &own, 1);
        }
        if is_literal {
            return;
        }
        for text in [Some(&mut self.create), Some(&mut self.drop), self.alter.as_mut()].into_iter().flatten()
        {
            *text = text.replacen(&named, &own, 1);
        }
        if let Some(alter) = self.details.get_mut("alter").filter(|alter| alter.is_string()) {
            *alter = Value::String(own);
        }
    }

    /// True where this detail is `true`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.details[name].as_bool().unwrap_or_default()
    }

    /// Kind and name, as people say it: `table app.users`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.kind.text(), self.identity)
    }
}

/// Everything that a database holds, except what belongs to the system and to extensions.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// `server_version_num`: 150018 is 15.18.
    pub server_version: u32,
    /// The role whose objects have the owner that new objects get: the one that reads it, or whom a live database mostly belongs to.
    pub role: String,
    /// The role that it stands for: whom the live database mostly belongs to of which this is a copy, or beside which it stands.
    pub stands_for: Option<String>,
    /// The objects.
    pub all: Vec<Object>,
    /// Where each is in `all`.
    pub by_key: HashMap<Key, usize>,
    /// Kinds that are there and not compared, with their number.
    pub uncovered: Vec<(String, u64)>,
    /// Casts that a type change may use without being asked: source and target type.
    pub assignments: BTreeSet<(String, String)>,
    /// Casts that need `USING`.
    pub casts: BTreeSet<(String, String)>,
}

impl Objects {
    /// True for a role whose objects have the owner that new objects get.
    #[must_use]
    pub fn is_own(&self, role: &str) -> bool {
        role == self.role || self.stands_for.as_deref() == Some(role)
    }

    /// Lets it stand for `main`. What is called after a role of its own is called so no more: `CURRENT_USER`, or not at all.
    pub fn stand_for(&mut self, main: Option<&str>) {
        self.stands_for = main.map(str::to_owned);
        for at in 0..self.all.len() {
            let object = &self.all[at];
            if object.detail("own").is_empty()
                || !object.owner.as_deref().is_some_and(|role| self.is_own(role))
            {
                continue;
            }
            let is_literal = object.owner.as_deref() != Some(&self.role);
            self.by_key.remove(&object.key());
            let object = &mut self.all[at];
            object.call_own(is_literal);
            let key = object.key();
            self.by_key.insert(key, at);
        }
    }

    /// The object of this name, with its position.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<(usize, &Object)> {
        let at = *self.by_key.get(key)?;
        Some((at, &self.all[at]))
    }

    /// The objects that are part of each.
    #[must_use]
    pub fn children(&self) -> Vec<Vec<usize>> {
        let mut children = vec![Vec::new(); self.all.len()];
        for (at, object) in self.all.iter().enumerate() {
            if let Some(parent) = object.parent {
                children[parent].push(at);
            }
        }
        children
    }

    /// The objects that depend on each.
    #[must_use]
    pub fn dependants(&self) -> Vec<Vec<usize>> {
        let mut dependants = vec![Vec::new(); self.all.len()];
        for (at, object) in self.all.iter().enumerate() {
            for on in &object.depends {
                dependants[*on].push(at);
            }
        }
        dependants
    }

    /// The same without the objects that `leave_out` says, and without what is part of them.
    #[must_use]
    pub fn without(&self, leave_out: impl Fn(&Object) -> bool) -> Self {
        let stays = |mut at: usize| loop {
            if leave_out(&self.all[at]) {
                return false;
            }
            match self.all[at].parent {
                Some(parent) => at = parent,
                None => return true,
            }
        };
        let kept: Vec<usize> = (0..self.all.len()).filter(|at| stays(*at)).collect();
        let places: HashMap<usize, usize> = kept.iter().enumerate().map(|(new, old)| (*old, new)).collect();
        let mut rest = Self { all: Vec::with_capacity(kept.len()), by_key: HashMap::new(), ..self.clone() };
        for at in kept {
            let mut object = self.all[at].clone();
            object.parent = object.parent.and_then(|parent| places.get(&parent).copied());
            object.depends = object.depends.iter().filter_map(|on| places.get(on).copied()).collect();
            rest.by_key.insert(object.key(), rest.all.len());
            rest.all.push(object);
        }
        rest
    }

    /// Takes up a schema that stays although this side lacks it.
    pub fn take_in(&mut self, schema: &Object) {
        if self.find(&schema.key()).is_none() {
            self.by_key.insert(schema.key(), self.all.len());
            self.all.push(Object { parent: None, depends: BTreeSet::new(), ..schema.clone() });
        }
    }

    /// The table, view or type that an object belongs to; itself where it belongs to none.
    #[must_use]
    pub fn root(&self, mut at: usize) -> usize {
        while let Some(parent) = self.all[at].parent {
            at = parent;
        }
        at
    }
}
