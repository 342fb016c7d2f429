//! What statements lock, seen where they run.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::SimpleQueryMessage;

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{LockMode, Sql, cannot_run_in_transaction, strongest_lock};

/// A lock on something that was there when the watch began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLock {
    /// Its OID.
    pub relation: u32,
    /// Its name when the statement ran, quoted and with its schema.
    pub name: String,
    /// Its name when the watch began.
    pub first_name: String,
    /// The strongest mode.
    pub mode: LockMode,
    /// Every row was read.
    pub reads: bool,
    /// The rows are in another file.
    pub rewrites: bool,
}

struct Known {
    name: String,
    first_name: String,
    table: u32,
    file: i64,
}

/// Runs statements one by one, each as a transaction where none is open, and sees what they lock.
pub struct LockWatch<'a> {
    session: &'a Session,
    in_transaction: bool,
    known: HashMap<u32, Known>,
    /// Whose rows this session has read: the server may not have put that down yet, and then counts it again.
    read: BTreeSet<u32>,
}

const LOCKS: &str = include_str!("queries/statement_locks.sql");
const ROWS_READ: &str = include_str!("queries/rows_read.sql");

impl<'a> LockWatch<'a> {
    /// Begins: what is there now is watched.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn begin(session: &'a Session) -> Result<Self> {
        let mut known = HashMap::new();
        for row in rows(session, include_str!("queries/relations_before.sql")).await? {
            let name = row[1].clone();
            let (table, file) = (number(&row[2])?, number(&row[3])?);
            known.insert(number(&row[0])?, Known { first_name: name.clone(), name, table, file });
        }
        let mut watch = Self { session, in_transaction: false, known, read: BTreeSet::new() };
        watch.look_what_was_read().await?;
        Ok(watch)
    }

    async fn look_what_was_read(&mut self) -> Result<()> {
        for row in rows(self.session, ROWS_READ).await? {
            self.read.insert(number(&row[0])?);
        }
        Ok(())
    }

    /// True where nothing was there, so that nothing can be locked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What runs from now on is one transaction.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn begin_transaction(&mut self) -> Result<()> {
        self.session.batch(&Sql::literal("BEGIN")).await?;
        self.in_transaction = true;
        Ok(())
    }

    /// Ends this transaction.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn commit(&mut self) -> Result<()> {
        self.in_transaction = false;
        self.session.batch(&Sql::literal("COMMIT")).await
    }

    /// Runs a statement, and says which locks it took; of one that cannot run in a transaction, what its words say.
    ///
    /// # Errors
    ///
    /// What the server refuses.
    pub async fn run(&mut self, statement: &Sql) -> Result<Vec<SeenLock>> {
        if cannot_run_in_transaction(statement.as_str()).is_some() {
            self.session.batch(statement).await?;
            self.look_what_was_read().await?;
            return Ok(self.by_words(statement.as_str()).into_iter().collect());
        }
        let read: Vec<String> = self.read.iter().map(u32::to_string).collect();
        let before = match read.as_slice() {
            [] => String::new(),
            read => format!("{ROWS_READ} AND c.oid IN ({});", read.join(", ")),
        };
        let text = if self.in_transaction {
            format!("{before} {statement}; {LOCKS}")
        } else {
            format!("BEGIN; {before} {statement}; {LOCKS}; COMMIT")
        };
        match rows(self.session, &text).await {
            Ok(rows) => {
                let seen = self.seen(&rows);
                // Whoever renames a schema locks none of its tables.
                if statement.as_str().starts_with("ALTER SCHEMA ") {
                    self.look_for_names().await?;
                }
                seen
            }
            Err(error) => {
                self.in_transaction = false;
                self.session.batch(&Sql::literal("ROLLBACK")).await?;
                Err(error)
            }
        }
    }

    async fn look_for_names(&mut self) -> Result<()> {
        for row in rows(self.session, include_str!("queries/relations_before.sql")).await? {
            if let Some(known) = self.known.get_mut(&number(&row[0])?) {
                known.name.clone_from(&row[1]);
            }
        }
        Ok(())
    }

    fn seen(&mut self, rows: &[Vec<String>]) -> Result<Vec<SeenLock>> {
        let mut read_before: HashMap<u32, i64> = HashMap::new();
        let mut seen: BTreeMap<u32, SeenLock> = BTreeMap::new();
        let mut after = Vec::new();
        for row in rows {
            let (relation, mode, name, file, read) = match row.as_slice() {
                [relation, mode, name, file, read] => (number(relation)?, mode, name, file, read),
                [relation, read] => {
                    read_before.insert(number(relation)?, number(read)?);
                    continue;
                }
                // An answer of the statement itself: where a sequence stands now.
                _ => continue,
            };
            let Some(known) = self.known.get(&relation) else { continue };
            let Some(mode) = LockMode::from_pg_locks(mode) else { continue };
            let (file, read): (i64, i64) = (number(file)?, number(read)?);
            if read > 0 {
                self.read.insert(relation);
            }
            let lock = seen.entry(relation).or_insert_with(|| SeenLock {
                relation,
                name: known.name.clone(),
                first_name: known.first_name.clone(),
                mode,
                reads: false,
                rewrites: file != 0 && file != known.file,
            });
            lock.mode = lock.mode.max(mode);
            // What is gone has no name, and nobody reads it; how often it was read before stays.
            lock.reads = !name.is_empty() && read > read_before.get(&relation).copied().unwrap_or_default();
            after.push((relation, name, file));
        }
        for (relation, name, file) in after {
            // There is no name where it was dropped.
            if let Some(known) = self.known.get_mut(&relation).filter(|_| !name.is_empty()) {
                known.name.clone_from(name);
                known.file = file;
            }
        }
        Ok(seen.into_values().collect())
    }

    /// `CREATE INDEX CONCURRENTLY … ON t`, `DROP INDEX CONCURRENTLY i`.
    fn by_words(&self, statement: &str) -> Option<SeenLock> {
        let mode = strongest_lock(statement)?;
        let is = |token: &Token, word: &str| {
            token.kind == TokenKind::Word && token.text(statement).eq_ignore_ascii_case(word)
        };
        let builds = lex(statement).next().is_some_and(|token| is(&token, "CREATE"));
        let before = if builds { ["ON", "ONLY"] } else { ["CONCURRENTLY", "EXISTS"] };
        let found = lex(statement).filter(|token| before.iter().any(|word| is(token, word))).last()?;
        let name = statement[found.span.end..].trim_start();
        let starts = |known: &&Known| {
            name.strip_prefix(known.name.as_str())
                .is_some_and(|rest| rest.chars().next().is_none_or(|c| c == ' ' || c == '(' || c == ';'))
        };
        let (relation, known) = self.known.iter().find(|(_, known)| starts(known))?;
        let (relation, known) = match self.known.get_key_value(&known.table) {
            Some(table) => table,
            None => (relation, known),
        };
        Some(SeenLock {
            relation: *relation,
            name: known.name.clone(),
            first_name: known.first_name.clone(),
            mode,
            reads: builds,
            rewrites: false,
        })
    }

    /// The table of an index.
    #[must_use]
    pub fn table_of(&self, relation: u32) -> Option<u32> {
        self.known.get(&relation).map(|known| known.table).filter(|table| *table != 0)
    }
}

async fn rows(session: &Session, text: &str) -> Result<Vec<Vec<String>>> {
    let answers = session.client().simple_query(text).await.map_err(|error| session.refused(error))?;
    let row = |answer: SimpleQueryMessage| match answer {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    };
    Ok(answers.into_iter().filter_map(row).collect())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::unexpected("a number of the catalog cannot be read"))
}
