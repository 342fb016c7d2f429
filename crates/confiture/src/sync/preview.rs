//! Some rows as they would arrive, beside the shape of what the source sends. Originals are not shown: letters are `x`,
//! digits are `9`.

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Serialize;

use crate::error::Result;
use crate::sql::{Identifier, QualifiedName, sql};
use crate::sync::plan::{Applied, CopyFormat};
use crate::sync::planner::Sync;
use crate::sync::tuple::{Masker, unescape};

/// Rows that are shown of a table.
const ROWS: i64 = 3;
/// Longer values are cut.
const MOST: usize = 60;

/// A masked column of some rows.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// The table.
    pub table: QualifiedName,
    /// The column.
    pub column: Identifier,
    /// Per row: the shape of what the source sends, and what would arrive.
    pub values: Vec<(Option<String>, Option<String>)>,
}

impl Sync {
    /// Masks some rows of every table that has a masked column. Nothing is written.
    ///
    /// # Errors
    ///
    /// Where the source refuses, or a value does not fit its rule.
    pub async fn preview(&self) -> Result<Vec<Preview>> {
        let mut previews = Vec::new();
        for (index, table) in self.plan.tables.iter().enumerate() {
            let masked: Vec<usize> = (0..table.columns.len())
                .filter(|at| table.columns[*at].applied != Applied::Nowhere)
                .collect();
            if masked.is_empty() {
                continue;
            }
            let mut as_text = table.clone();
            as_text.format = CopyFormat::Text;
            let mut masker = Masker::new(&as_text, &self.programs[index], None, self.hashes[index].len());
            let mut found: Vec<Preview> = masked
                .iter()
                .map(|at| Preview {
                    table: table.table.clone(),
                    column: table.columns[*at].name.clone(),
                    values: Vec::new(),
                })
                .collect();
            let stream =
                self.source.copy_out(&sql!("COPY ({} LIMIT {}) TO STDOUT", table.select, ROWS)).await?;
            tokio::pin!(stream);
            while let Some(message) = stream.next().await {
                let message: Bytes = message.map_err(|error| self.source.refused(error))?;
                let mut out = Vec::new();
                masker.line(&message, &mut out)?;
                let (sent, arrives) = (fields(&message), fields(&out));
                for (preview, at) in found.iter_mut().zip(&masked) {
                    let mask = self.programs[index].columns[*at].mask.as_ref();
                    if mask.is_some_and(|mask| mask.as_shuffle().is_some()) {
                        let other = sent[*at].is_some().then(|| "(another row's)".to_owned());
                        preview.values.push((sent[*at].as_deref().map(shape), other));
                        continue;
                    }
                    preview.values.push((sent[*at].as_deref().map(shape), arrives[*at].as_deref().map(cut)));
                }
            }
            previews.extend(found);
        }
        Ok(previews)
    }
}

fn fields(line: &[u8]) -> Vec<Option<String>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let field =
        |field: &[u8]| (field != b"\\N").then(|| String::from_utf8_lossy(&unescape(field)).into_owned());
    line.split(|byte| *byte == b'\t').map(field).collect()
}

/// `Ann Lee, 42` as `Xxx Xxx, 99`.
fn shape(value: &str) -> String {
    cut(&value
        .chars()
        .map(|c| match c {
            c if c.is_numeric() => '9',
            c if c.is_uppercase() => 'X',
            c if c.is_alphabetic() => 'x',
            c => c,
        })
        .collect::<String>())
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(MOST) {
        None => value.to_owned(),
        Some((at, _)) => format!("{}…", &value[..at]),
    }
}
