//! How well rows would hide after a sync, before there is one: the columns that others may know, masked and counted in memory.
//!
//! Of more groups than memory is given for, a part is counted, chosen by their hash, and the rest is estimated from it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::sql::Identifier;
use crate::sync::fingerprint::{Fingerprints, hash};
use crate::sync::plan::CopyFormat;
use crate::sync::planner::Sync;
use crate::sync::risk::{Combination, RiskQuestion, RiskReport, check_question};
use crate::sync::shuffle::fields;
use crate::sync::stream::Filling;

/// Groups that are counted at once, of all combinations together.
const MOST_GROUPS: usize = 1 << 20;
/// A group with so many different sensitive values is diverse enough for everybody.
const DIVERSE: usize = 32;

/// Rows that are alike.
#[derive(Default)]
struct Group {
    rows: u64,
    /// Hashes of their sensitive values.
    sensitive: Vec<u64>,
}

/// The groups of one combination of columns.
struct Groups {
    columns: Vec<usize>,
    groups: HashMap<u64, Group>,
    /// Groups are counted whose hash has none of these bits.
    left_out: u64,
    most: usize,
}

impl Sync {
    /// Computes how well the rows of a table would hide among each other once they were synced by this plan. Nothing is
    /// written.
    ///
    /// # Errors
    ///
    /// Where the table or a column is not part of the plan; where the source refuses.
    pub async fn assess_risk(
        self: &Arc<Self>,
        question: &RiskQuestion,
        execution: &Execution,
    ) -> Result<RiskReport> {
        check_question(question)?;
        let named = self.plan.tables.iter().position(|table| question.table.names(&table.table));
        let index = named.ok_or_else(|| {
            Error::config(format!("{} is not among the synced tables", question.table.name)).did_you_mean(
                question.table.name.as_str(),
                self.plan.tables.iter().map(|table| table.table.name.as_str()),
            )
        })?;
        let table = &self.plan.tables[index];
        let column = |name: &Identifier| {
            table.columns.iter().position(|column| column.name == *name).ok_or_else(|| {
                let known = table.columns.iter().map(|column| column.name.as_str());
                Error::config(format!("a sync writes no column {name} of {}", table.table.short()))
                    .did_you_mean(name.as_str(), known)
            })
        };
        let quasi = question.quasi.iter().map(column).collect::<Result<Vec<_>>>()?;
        let sensitive = question.sensitive.as_ref().map(column).transpose()?;
        let combinations = (1_usize << quasi.len()) - 1;
        let mut counted: Vec<Groups> = (1..=combinations)
            .map(|chosen| Groups {
                columns: (0..quasi.len()).filter(|at| chosen & (1 << at) != 0).map(|at| quasi[at]).collect(),
                groups: HashMap::new(),
                left_out: 0,
                most: MOST_GROUPS / combinations,
            })
            .collect();
        let mut rows = 0;
        let snapshot = self.freeze_source().await?;
        let subset = self.choose_rows(&snapshot.holder, execution).await?;
        let fingerprints = Arc::new(Fingerprints::new(0, self.seed));
        let filling: Filling<'_> = self.filling(index, subset.as_ref(), &snapshot, &fingerprints)?;
        let count = |frame: &[u8]| {
            let mut rest = frame;
            while let Some((row, after)) = split_row(rest, table.format) {
                rows += 1;
                let places = fields(row, table.format);
                for groups in &mut counted {
                    groups.add(row, &places, sensitive, self.seed);
                }
                rest = after;
            }
        };
        tokio::select! {
            read = filling.read_all(count) => read?,
            () = execution.interrupted() => return Err(crate::sync::scan::interrupted()),
        }
        let mut found: Vec<Combination> = counted
            .iter()
            .map(|groups| groups.summary(&|at| table.columns[at].name.clone(), question, rows))
            .collect();
        let whole = found.last().cloned().ok_or_else(|| Error::unexpected("no combination of columns"))?;
        found.sort_by_key(|found| (std::cmp::Reverse(found.rows_at_risk), found.columns.len()));
        Ok(RiskReport {
            table: table.table.clone(),
            forecast: true,
            k: question.k,
            whole,
            combinations: found,
        })
    }
}

impl Groups {
    fn add(&mut self, row: &[u8], places: &[std::ops::Range<usize>], sensitive: Option<usize>, seed: u64) {
        let together = self.columns.iter().fold(seed, |sum, at| hash(&row[places[*at].clone()], sum | 1));
        if together & self.left_out != 0 {
            return;
        }
        let group = self.groups.entry(together).or_default();
        group.rows += 1;
        if let Some(at) = sensitive {
            let value = hash(&row[places[at].clone()], seed);
            if group.sensitive.len() < DIVERSE && !group.sensitive.contains(&value) {
                group.sensitive.push(value);
            }
        }
        if self.groups.len() > self.most {
            self.left_out = self.left_out << 1 | 1;
            let left_out = self.left_out;
            self.groups.retain(|hash, _| hash & left_out == 0);
        }
    }

    fn summary(&self, name: &dyn Fn(usize) -> Identifier, question: &RiskQuestion, rows: u64) -> Combination {
        let times = self.left_out + 1;
        let small = || self.groups.values().filter(|group| group.rows < u64::from(question.k));
        let diversity = self.groups.values().map(|group| group.sensitive.len() as u64).min();
        Combination {
            columns: self.columns.iter().map(|at| name(*at)).collect(),
            classes: self.groups.len() as u64 * times,
            smallest: self.groups.values().map(|group| group.rows).min().unwrap_or(0),
            small_classes: small().count() as u64 * times,
            rows_at_risk: (small().map(|group| group.rows).sum::<u64>() * times).min(rows),
            rows,
            diversity: diversity.filter(|_| question.sensitive.is_some()),
            estimated: times > 1,
        }
    }
}

/// The first row of some, and the others.
fn split_row(rows: &[u8], format: CopyFormat) -> Option<(&[u8], &[u8])> {
    let length = match format {
        CopyFormat::Text => rows.iter().position(|byte| *byte == b'\n')? + 1,
        CopyFormat::Binary => {
            let count = u16::from_be_bytes(*rows.first_chunk()?);
            let mut at = 2;
            for _ in 0..count {
                let length = i32::from_be_bytes(*rows.get(at..)?.first_chunk()?);
                at += 4 + usize::try_from(length).unwrap_or(0);
            }
            at
        }
    };
    rows.split_at_checked(length)
}
