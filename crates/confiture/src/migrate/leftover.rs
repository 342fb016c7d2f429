//! Statements outside of transactions, after a run that died: whether such a statement is done, and what is left of one that is
//! not.

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// What a statement outside of transactions does, as far as its state can be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// `CREATE INDEX CONCURRENTLY name ON table`.
    CreateIndex { name: Identifier, table: Name },
    /// `DROP INDEX CONCURRENTLY name`.
    DropIndex(Name),
    /// `ALTER TABLE table DETACH PARTITION partition CONCURRENTLY`.
    Detach { table: Name, partition: Name },
    /// `CREATE DATABASE`, `CREATE TABLESPACE`, `CREATE SUBSCRIPTION`: there once it is done.
    Create(&'static str, Identifier),
    /// The opposites.
    Drop(&'static str, Identifier),
    /// Whatever became of it: it may simply run again.
    Repeatable,
    /// Nobody can find out.
    Unknown,
}

/// A name as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    schema: Option<Identifier>,
    name: Identifier,
}

impl Name {
    /// For `to_regclass`, which finds it by the session's search path as the statement does.
    fn written(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// What became of a statement that was running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done.
    Done,
    /// It is not, and can run again.
    Again,
    /// It is half done: this ends it.
    Finish(Sql),
    /// Nobody can find out.
    Unknown,
}

/// Reads a statement.
pub(super) fn parse_deed(statement: &str) -> Deed {
    let mut words =
        Words { text: statement, tokens: lex(statement).filter(|token| !token.is_blank()).collect(), at: 0 };
    words.deed().unwrap_or(Deed::Unknown)
}

struct Words<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl Words<'_> {
    fn deed(&mut self) -> Option<Deed> {
        let first = self.tokens.first()?.text(self.text).to_ascii_uppercase();
        self.at = 1;
        match first.as_str() {
            "VACUUM" | "REINDEX" | "CLUSTER" | "DISCARD" => Some(Deed::Repeatable),
            "ALTER" if self.eat("system") => Some(Deed::Repeatable),
            "ALTER" if self.eat("database") => Some(Deed::Repeatable),
            "ALTER" if self.eat("table") => self.detach(),
            "CREATE" => {
                self.eat("unique");
                if self.eat("index") {
                    return self.create_index();
                }
                self.thing().and_then(|thing| Some(Deed::Create(thing, self.identifier()?)))
            }
            "DROP" if self.eat("index") => {
                self.eat("concurrently");
                self.if_exists();
                self.name().map(Deed::DropIndex)
            }
            "DROP" => {
                let thing = self.thing()?;
                self.if_exists();
                Some(Deed::Drop(thing, self.identifier()?))
            }
            _ => None,
        }
    }

    fn create_index(&mut self) -> Option<Deed> {
        self.eat("concurrently");
        if self.eat("if") {
            self.at += 2;
        }
        // Without a name, the server chooses one that nobody knows beforehand.
        if self.eat("on") {
            return None;
        }
        let name = self.identifier()?;
        self.eat("on").then_some(())?;
        self.eat("only");
        Some(Deed::CreateIndex { name, table: self.name()? })
    }

    fn detach(&mut self) -> Option<Deed> {
        self.if_exists();
        self.eat("only");
        let table = self.name()?;
        (self.eat("detach") && self.eat("partition")).then_some(())?;
        Some(Deed::Detach { table, partition: self.name()? })
    }

    fn thing(&mut self) -> Option<&'static str> {
        ["database", "tablespace", "subscription"].into_iter().find(|word| self.eat(word))
    }

    fn if_exists(&mut self) {
        if self.eat("if") {
            self.eat("exists");
        }
    }

    fn eat(&mut self, word: &str) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|token| token.is_word(self.text, word));
        self.at += usize::from(is);
        is
    }

    fn identifier(&mut self) -> Option<Identifier> {
        let identifier = self.tokens.get(self.at)?.identifier(self.text)?;
        self.at += 1;
        Some(identifier)
    }

    fn name(&mut self) -> Option<Name> {
        let first = self.identifier()?;
        if self.tokens.get(self.at).is_some_and(|token| token.kind == TokenKind::Dot) {
            self.at += 1;
            return Some(Name { schema: Some(first), name: self.identifier()? });
        }
        Some(Name { schema: None, name: first })
    }
}

/// An index, found.
struct Index {
    name: QualifiedName,
    is_valid: bool,
    /// Who builds it right now.
    builder: Option<i32>,
}

async fn find_index(session: &Session, name: &Identifier, table: &Name) -> Result<Option<Index>> {
    let query = Sql::literal(include_str!("../postgres/queries/index_of_table.sql"));
    let row = session.query_opt(&query, &[&name.as_str(), &table.written()]).await?;
    Ok(row.map(|row| Index {
        name: QualifiedName::new(row.get::<_, String>("schema"), name.clone()),
        is_valid: row.get("is_valid"),
        builder: row.get("builder"),
    }))
}

/// Drops the invalid index that an earlier `CREATE INDEX CONCURRENTLY` of the same name has left, and says its name.
pub(super) async fn clear(session: &Session, deed: &Deed) -> Result<Option<QualifiedName>> {
    let Deed::CreateIndex { name, table } = deed else { return Ok(None) };
    let Some(index) = find_index(session, name, table).await?.filter(|index| !index.is_valid) else {
        return Ok(None);
    };
    if let Some(pid) = index.builder {
        return Err(Error::new(
            ErrorKind::Locked,
            format!("the index {} is being built by pid {pid}", index.name),
        )
        .hint("wait until it is done, then run this again"));
    }
    session.batch(&sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name)).await?;
    Ok(Some(index.name))
}

/// Finds out what became of a statement that was running when its run ended.
pub(super) async fn find_fate(session: &Session, deed: &Deed) -> Result<Fate> {
    let exists = async |text: &str| -> Result<bool> {
        let query = Sql::literal("SELECT pg_catalog.to_regclass($1) IS NOT NULL");
        Ok(session.query_one(&query, &[&text]).await?.get(0))
    };
    Ok(match deed {
        Deed::CreateIndex { name, table } => match find_index(session, name, table).await? {
            Some(index) if index.is_valid => Fate::Done,
            _ => Fate::Again,
        },
        Deed::DropIndex(name) if exists(&name.written()).await? => Fate::Again,
        Deed::DropIndex(_) => Fate::Done,
        Deed::Detach { table, partition } => {
            let query = Sql::literal(
                "SELECT inhdetachpending FROM pg_catalog.pg_inherits \
                 WHERE inhrelid = pg_catalog.to_regclass($1) AND inhparent = pg_catalog.to_regclass($2)",
            );
            match session.query_opt(&query, &[&partition.written(), &table.written()]).await? {
                Some(row) if row.get(0) => Fate::Finish(sql!(
                    "ALTER TABLE {} DETACH PARTITION {} FINALIZE",
                    Sql::from_user(table.written()),
                    Sql::from_user(partition.written())
                )),
                Some(_) => Fate::Again,
                None => Fate::Done,
            }
        }
        Deed::Create(thing, name) => {
            if is_there(session, thing, name).await? {
                Fate::Done
            } else {
                Fate::Again
            }
        }
        Deed::Drop(thing, name) => {
            if is_there(session, thing, name).await? {
                Fate::Again
            } else {
                Fate::Done
            }
        }
        Deed::Repeatable => Fate::Again,
        Deed::Unknown => Fate::Unknown,
    })
}

async fn is_there(session: &Session, thing: &str, name: &Identifier) -> Result<bool> {
    let query = Sql::literal(match thing {
        "database" => {
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1::pg_catalog.text)"
        }
        "tablespace" => {
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE spcname = $1::pg_catalog.text)"
        }
        _ => {
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_subscription WHERE subname = $1::pg_catalog.text)"
        }
    });
    Ok(session.query_one(&query, &[&name.as_str()]).await?.get(0))
}

/// True for statements whose waits for locks keep no reader and no writer waiting: they may take as long as they need.
pub(super) fn waits_harmlessly(what: &str) -> bool {
    matches!(what, "CREATE INDEX CONCURRENTLY" | "DROP INDEX CONCURRENTLY" | "REINDEX CONCURRENTLY")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: Option<&str>, name: &str) -> Name {
        Name { schema: schema.map(Identifier::new), name: name.into() }
    }

    #[test]
    fn deeds_are_read() {
        let index = |called: &str, table| Deed::CreateIndex { name: called.into(), table };
        for (statement, deed) in [
            ("CREATE UNIQUE INDEX CONCURRENTLY I ON t (a)", index("i", name(None, "t"))),
            (
                "create index /* x */ concurrently if not exists \"I\" on only a.\"T\" using gin (a)",
                index("I", name(Some("a"), "T")),
            ),
            ("CREATE INDEX CONCURRENTLY ON t (a)", Deed::Unknown),
            ("DROP INDEX CONCURRENTLY IF EXISTS a.i", Deed::DropIndex(name(Some("a"), "i"))),
            (
                "ALTER TABLE p DETACH PARTITION c CONCURRENTLY",
                Deed::Detach { table: name(None, "p"), partition: name(None, "c") },
            ),
            ("VACUUM FULL t", Deed::Repeatable),
            ("ALTER SYSTEM SET x = 1", Deed::Repeatable),
            ("CREATE DATABASE d", Deed::Create("database", "d".into())),
            ("DROP TABLESPACE IF EXISTS x", Deed::Drop("tablespace", "x".into())),
            ("CALL f()", Deed::Unknown),
        ] {
            assert_eq!(parse_deed(statement), deed, "{statement}");
        }
    }
}
