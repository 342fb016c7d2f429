//! Whether the captures are whole: what somebody has removed or switched off means changes that were missed.

use std::collections::{HashMap, HashSet};

use super::capture::{Capture, Trigger};
use super::relation::read_captures;
use crate::catalog::Oid;
use crate::error::Result;
use crate::postgres::feed::CapturedTable;
use crate::postgres::{Parameter, Session};
use crate::sql::{QualifiedName, Sql};

/// Changes of a table that are not captured, or were not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The captured table.
    pub table: QualifiedName,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
}

/// What is missing from the captures of `tables`; empty where every change is captured.
///
/// # Errors
///
/// Where the connection is lost.
pub async fn gaps(session: &Session, tables: &[CapturedTable]) -> Result<Vec<Gap>> {
    let captures = read_captures(session, tables).await?;
    let standing = Standing::read(session, &captures).await?;
    Ok(captures.iter().flat_map(|capture| standing.gaps(capture)).collect())
}

/// What stands on the source, of all captures.
pub(super) struct Standing {
    /// By relation and name.
    triggers: HashMap<(Oid, String), StandingTrigger>,
    functions: HashMap<String, (String, bool)>,
    /// Tables and sequences, and their comments.
    queues: HashMap<String, String>,
}

/// A trigger as the server has it.
struct StandingTrigger {
    kind: i16,
    /// As `pg_trigger.tgenabled` has it.
    enabled: String,
    function: String,
    /// False for a partition's clone.
    is_root: bool,
    /// True where it fires for statements that name certain columns alone.
    has_columns: bool,
}

impl Standing {
    pub(super) async fn read(session: &Session, captures: &[Capture<'_>]) -> Result<Self> {
        let relations = captures.iter().flat_map(|capture| &capture.relations).map(|relation| relation.oid);
        let relations: Vec<Oid> = relations.collect();
        let triggers = Sql::literal(include_str!("../../queries/queue/triggers.sql"));
        let functions = Sql::literal(include_str!("../../queries/queue/functions.sql"));
        let queues = Sql::literal(include_str!("../../queries/queue/queues.sql"));
        let parameters: [Parameter<'_>; 1] = [&relations];
        let (triggers, functions, queues) = tokio::try_join!(
            session.query(&triggers, &parameters),
            session.query(&functions, &[]),
            session.query(&queues, &[])
        )?;
        Ok(Self {
            triggers: triggers
                .iter()
                .map(|row| {
                    let trigger = StandingTrigger {
                        kind: row.get("tgtype"),
                        enabled: row.get("enabled"),
                        function: row.get("function"),
                        is_root: row.get("is_root"),
                        has_columns: row.get("has_columns"),
                    };
                    ((row.get(0), row.get(1)), trigger)
                })
                .collect(),
            functions: functions.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect(),
            queues: queues.iter().map(|row| (row.get(0), row.get(1))).collect(),
        })
    }

    /// True where anything of a capture of this table is there.
    pub(super) fn has_any(&self, capture: &Capture<'_>) -> bool {
        let names = super::capture::function_names(capture.table.oid);
        let [first, second] = capture.segments();
        names.iter().any(|name| self.functions.contains_key(name))
            || [first, second, capture.sequence()].iter().any(|name| self.queues.contains_key(name))
    }

    /// Triggers of an earlier capture of this table that are no part of this one: their relation and name.
    pub(super) fn strays(&self, capture: &Capture<'_>) -> Vec<(QualifiedName, String)> {
        let names = super::capture::function_names(capture.table.oid);
        let wanted: HashSet<(Oid, String)> =
            capture.triggers().into_iter().map(|trigger| (trigger.relation, trigger.name)).collect();
        let is_stray = |(key, trigger): &(&(Oid, String), &StandingTrigger)| {
            trigger.is_root && names.contains(&trigger.function) && !wanted.contains(*key)
        };
        let named = |((oid, name), _): (&(Oid, String), &StandingTrigger)| {
            let relation = capture.relations.iter().find(|relation| relation.oid == *oid)?;
            Some((relation.name.clone(), name.clone()))
        };
        self.triggers.iter().filter(is_stray).filter_map(named).collect()
    }

    /// What is missing of one capture.
    pub(super) fn gaps(&self, capture: &Capture<'_>) -> Vec<Gap> {
        let table = capture.table;
        let mut gaps = Vec::new();
        let mut add = |message: String| gaps.push(Gap { table: table.name.clone(), message });
        if capture.relations.is_empty() {
            add(format!("table {} is no longer there", table.name));
            return gaps;
        }
        self.find_lost_partitions(capture, &mut add);
        for trigger in capture.triggers() {
            if let Some(wrong) = self.trigger_fault(&trigger) {
                let relation = capture.relations.iter().find(|relation| relation.oid == trigger.relation);
                let name = relation.map_or(&table.name, |relation| &relation.name);
                add(format!("trigger {} on {name} {wrong}", trigger.name));
            }
        }
        for function in capture.functions() {
            match self.functions.get(&function.name) {
                None => add(format!("function confiture.{} is gone", function.name)),
                Some((body, is_definer)) if body != function.body.as_str() || !is_definer => {
                    add(format!("function confiture.{} was changed", function.name));
                }
                Some(_) => {}
            }
        }
        for segment in capture.segments() {
            match self.queues.get(&segment) {
                None => add(format!("table confiture.{segment} is gone")),
                Some(comment) if *comment != capture.comment() => {
                    add(format!("the key of {} is not the one that confiture.{segment} holds", table.name));
                }
                Some(_) => {}
            }
        }
        if !self.queues.contains_key(&capture.sequence()) {
            add(format!("sequence confiture.{} is gone", capture.sequence()));
        }
        gaps
    }

    /// Rows come and go with partitions that are attached and detached, and no trigger fires.
    fn find_lost_partitions(&self, capture: &Capture<'_>, add: &mut impl FnMut(String)) {
        let known: HashSet<Oid> = capture.table.partitions.iter().map(|(_, oid)| *oid).collect();
        for relation in capture.relations.iter().skip(1).filter(|relation| !known.contains(&relation.oid)) {
            add(format!("{} has become a partition of {}", relation.name, capture.table.name));
        }
        for (name, oid) in &capture.table.partitions {
            if !capture.relations.iter().any(|relation| relation.oid == *oid) {
                add(format!("{name} is no longer a partition of {}", capture.table.name));
            }
        }
    }

    fn trigger_fault(&self, trigger: &Trigger) -> Option<&'static str> {
        let Some(standing) = self.triggers.get(&(trigger.relation, trigger.name.clone())) else {
            return Some("is gone");
        };
        let is_other = standing.kind != trigger.kind || standing.function != trigger.function;
        match standing.enabled.as_str() {
            _ if is_other => Some("was changed"),
            _ if trigger.any_column && standing.has_columns => {
                Some("does not see what a BEFORE UPDATE trigger does to the key")
            }
            "A" => None,
            "D" => Some("is disabled"),
            _ => Some("does not fire for sessions in the role replica"),
        }
    }
}
