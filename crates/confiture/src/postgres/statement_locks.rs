//! What statements lock, seen where they run.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio_postgres::SimpleQueryMessage;

use crate::diff::{Lock, Sizes};
use crate::error::{Error, Result};
use crate::postgres::{Piece, Session, run_pieces};
use crate::sql::lex::{Token, lex};
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

impl SeenLock {
    /// It as a plan says it: of which statement of its step, and with the size of the live table.
    #[must_use]
    pub fn in_plan(self, statement: usize, sizes: &Sizes) -> Lock {
        let (rows, bytes) = sizes.get(&self.first_name);
        let Self { name: relation, mode, reads, rewrites, .. } = self;
        Lock { statement, relation, mode, reads, rewrites, rows, bytes }
    }
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
    /// What is locked, and how strongly, where it stays so until a transaction ends.
    held: Option<HashMap<u32, LockMode>>,
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
        let mut watch = Self { session, in_transaction: false, known, held: None, read: BTreeSet::new() };
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

    /// What runs from now on will be one transaction, though each statement is its own here: what is locked stays so.
    pub fn hold(&mut self) {
        self.held = Some(HashMap::new());
    }

    /// What runs from now on is one transaction.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn begin_transaction(&mut self) -> Result<()> {
        self.session.batch(&Sql::literal("BEGIN")).await?;
        self.in_transaction = true;
        self.hold();
        Ok(())
    }

    /// Ends this transaction.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn commit(&mut self) -> Result<()> {
        self.in_transaction = false;
        self.held = None;
        self.session.batch(&Sql::literal("COMMIT")).await
    }

    /// Runs a statement, and says which locks it took; of one that cannot run in a transaction, what its words say.
    ///
    /// # Errors
    ///
    /// What the server refuses.
    pub async fn run(&mut self, statement: &Sql) -> Result<Vec<SeenLock>> {
        if cannot_run_in_transaction(statement.as_str()).is_some() {
            let meant = self.by_words(statement.as_str()).await?;
            self.session.batch(statement).await?;
            self.look_what_was_read().await?;
            return Ok(meant.into_iter().collect());
        }
        let before = self.rows_read();
        let text = if self.in_transaction {
            format!("{before} {statement}; {LOCKS}")
        } else {
            format!("BEGIN; {before} {statement}; {LOCKS}; COMMIT")
        };
        match rows(self.session, &text).await {
            Ok(rows) => self.look_back(statement.as_str(), &rows).await,
            Err(error) => {
                self.in_transaction = false;
                self.session.batch(&Sql::literal("ROLLBACK")).await?;
                Err(error)
            }
        }
    }

    /// As [`run`](Self::run), of a statement of a script, which may bring rows along, or give some back. Outside of a transaction
    /// only its words say what it locks; after an error inside of one there is none.
    ///
    /// # Errors
    ///
    /// What the server refuses, at its place.
    pub async fn run_piece(&mut self, piece: Piece<'_>) -> Result<Vec<SeenLock>> {
        if !self.in_transaction {
            let meant = self.by_words(piece.text()).await?;
            run_pieces(self.session, &[piece]).await?;
            self.look_what_was_read().await?;
            return Ok(meant.into_iter().collect());
        }
        let mut found = rows(self.session, &self.rows_read()).await?;
        if let Err(error) = run_pieces(self.session, &[piece]).await {
            (self.in_transaction, self.held) = (false, None);
            self.session.batch(&Sql::literal("ROLLBACK")).await?;
            return Err(error);
        }
        found.extend(rows(self.session, LOCKS).await?);
        self.look_back(piece.text(), &found).await
    }

    /// Asks how often what was read before has been read until now.
    fn rows_read(&self) -> String {
        let read: Vec<String> = self.read.iter().map(u32::to_string).collect();
        match read.as_slice() {
            [] => String::new(),
            read => format!("{ROWS_READ} AND c.oid IN ({});", read.join(", ")),
        }
    }

    async fn look_back(&mut self, statement: &str, rows: &[Vec<String>]) -> Result<Vec<SeenLock>> {
        let seen = self.seen(rows)?;
        // Whoever renames a schema locks none of its tables.
        if statement.starts_with("ALTER SCHEMA ") {
            self.look_for_names().await?;
        }
        Ok(seen)
    }

    /// Those that others feel, each where it is first taken, or where rows are read or written anew under it.
    #[must_use]
    pub fn felt(&mut self, mut seen: Vec<SeenLock>) -> Vec<SeenLock> {
        let is_strong = |lock: &SeenLock| lock.mode >= LockMode::ShareUpdateExclusive;
        let on_tables: HashSet<u32> =
            seen.iter().filter(|lock| is_strong(lock)).map(|lock| lock.relation).collect();
        // Whoever locks an index locks its table, save where only the index is altered.
        seen.retain(|lock| self.table_of(lock.relation).is_none_or(|table| !on_tables.contains(&table)));
        seen.retain(|lock| {
            let is_news = self.held.as_mut().is_none_or(|held| {
                let before = held.get(&lock.relation).copied();
                let is_news = before.is_none_or(|mode| mode < lock.mode);
                if is_news {
                    held.insert(lock.relation, lock.mode);
                }
                is_news
            });
            is_strong(lock) && (is_news || lock.reads || lock.rewrites)
        });
        seen
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

    /// `CREATE INDEX CONCURRENTLY … ON t`, `DROP INDEX CONCURRENTLY i`: what they name has to be there.
    async fn by_words(&self, statement: &str) -> Result<Option<SeenLock>> {
        let Some(mode) = strongest_lock(statement) else { return Ok(None) };
        let builds = lex(statement).next().is_some_and(|token| token.is_word(statement, "CREATE"));
        let before = if builds { ["ON", "ONLY"] } else { ["CONCURRENTLY", "EXISTS"] };
        let is_before = |token: &Token| before.iter().any(|word| token.is_word(statement, word));
        let Some(found) = lex(statement).filter(is_before).last() else { return Ok(None) };
        let query = Sql::literal("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid");
        let named = name_in(&statement[found.span.end..]);
        let relation: Option<u32> =
            self.session.query_opt(&query, &[&named]).await?.and_then(|row| row.get(0));
        let Some(known) = relation.and_then(|relation| self.known.get_key_value(&relation)) else {
            return Ok(None);
        };
        let (relation, known) = self.known.get_key_value(&known.1.table).unwrap_or(known);
        Ok(Some(SeenLock {
            relation: *relation,
            name: known.name.clone(),
            first_name: known.first_name.clone(),
            mode,
            reads: builds,
            rewrites: false,
        }))
    }

    /// The table of an index.
    fn table_of(&self, relation: u32) -> Option<u32> {
        self.known.get(&relation).map(|known| known.table).filter(|table| *table != 0)
    }
}

/// The name in front of a text, with its schema where it has one.
fn name_in(text: &str) -> &str {
    let is_of_name = |token: &Token| token.identifier(text).is_some() || token.text(text) == ".";
    let tokens = lex(text).skip_while(Token::is_blank).take_while(is_of_name);
    let end = tokens.last().map_or(0, |token| token.span.end);
    text[..end].trim_start()
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
