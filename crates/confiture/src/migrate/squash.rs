//! `squash`: many migrations become one that does the same, which is proven before anything is written.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::catalog::Objects;
use crate::config::Connection;
use crate::diff::{self, Difference};
use crate::disk;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::migrate::folder::{Folder, Layout, MigrationFile, SQUASHED};
use crate::migrate::generate::{header, stem};
use crate::migrate::migrator::Migrator;
use crate::migrate::options::{DownOptions, Extent, Options, UpOptions};
use crate::migrate::part::Part;
use crate::migrate::plan::no_such;
use crate::migrate::rehearse::{read_without, up_with_roles};
use crate::migrate::steps::{Step, Steps, first_words};
use crate::migrate::version::Version;
use crate::postgres::outlasting::refuse_what_outlasts;
use crate::postgres::scratch::in_scratch;
use crate::postgres::{Piece, Reading, Session};
use crate::sql::{Script, lex::lex};

/// What a squash writes.
#[derive(Debug, Clone, Serialize)]
pub struct Squash {
    /// The version: that of the last migration in it.
    pub version: Version,
    /// The migrations in it.
    pub migrations: Vec<String>,
    /// The new files.
    pub files: Vec<PathBuf>,
    /// The former files, which are moved into the folder `squashed`.
    pub moved: Vec<PathBuf>,
    /// It has a way back.
    pub reversible: bool,
    #[serde(skip)]
    texts: Vec<String>,
    #[serde(skip)]
    old: Folder,
    #[serde(skip)]
    new: Folder,
}

/// Says what a squash of all migrations up to `to`, or of all, would write.
///
/// # Errors
///
/// Fewer than two migrations; a version that does not exist.
pub fn plan_squash(folder: &Folder, to: Option<&Version>, name: &str) -> Result<Squash> {
    let to = match (to, folder.migrations.last()) {
        (Some(to), _) if folder.migrations.iter().any(|one| one.version == *to) => to.clone(),
        (Some(to), _) => {
            return Err(no_such(to, folder.migrations.iter().map(|one| one.version.as_str())));
        }
        (None, Some(last)) => last.version.clone(),
        (None, None) => return Err(Error::config("the folder has no migrations")),
    };
    let parts: Vec<_> = folder.migrations.iter().filter(|one| one.version <= to).collect();
    let (Some(last), true) = (parts.last(), parts.len() > 1) else {
        return Err(Error::config("there is only one migration to squash"));
    };
    let ups: Vec<_> = parts.iter().map(|one| (*one, &one.up)).collect();
    let downs: Option<Vec<_>> = parts
        .iter()
        .rev()
        .map(|one| Some((*one, one.down.as_ref().filter(|down| !down.is_empty())?)))
        .collect();
    let stem = stem(folder, last.version.as_str(), name);
    let path = |suffix: &str| folder.path.join(format!("{stem}{suffix}"));
    let squashes = parts.iter().flat_map(|one| one.up.directives.squashes.iter().chain([&one.version]));
    let mut squashes: Vec<_> = squashes.map(Version::as_str).collect();
    squashes.dedup();
    let head = header(last.version.as_str(), name);
    let mut texts = vec![format!("{head}-- confiture: squashes {}\n{}", squashes.join(", "), joined(&ups)?)];
    let mut files = vec![path(".up.sql")];
    if let Some(downs) = &downs {
        texts.push(format!("{head}{}", joined(downs)?));
        files.push(path(".down.sql"));
    }
    let parse = |index: usize| Part::parse(Script::new(&files[index], &texts[index]));
    let squashed = MigrationFile {
        version: last.version.clone(),
        name: name.to_owned(),
        up: parse(0)?,
        down: downs.is_some().then(|| parse(1)).transpose()?,
    };
    let of = |migrations| Folder { migrations, notes: Vec::new(), layout: Layout::Pairs, ..folder.clone() };
    Ok(Squash {
        version: last.version.clone(),
        migrations: parts.iter().map(|one| super::assess::called(&one.version, &one.name)).collect(),
        reversible: downs.is_some(),
        moved: files_of(&folder.path, &parts),
        old: of(parts.iter().map(|one| (*one).clone()).collect()),
        new: of(vec![squashed]),
        files,
        texts,
    })
}

fn files_of<'a>(path: &Path, parts: &[&'a MigrationFile]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for one in parts {
        let down = one.down.as_ref().map(|down| down.script.script.file());
        // What bears its version in a folder's name is that folder.
        let whole = |file: &'a Path| match file.parent() {
            Some(folder) if folder != path => folder,
            _ => file,
        };
        for file in [Some(one.path()), down].into_iter().flatten().map(whole) {
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        }
    }
    files
}

/// The statements of several files in one, each file under a line that names it.
fn joined(parts: &[(&MigrationFile, &Part)]) -> Result<String> {
    let steps: Vec<_> = parts.iter().map(|(_, part)| Steps::of(part)).collect::<Result<_>>()?;
    let in_transaction = steps.iter().all(|steps| steps.in_transaction);
    let mut text = String::new();
    if !in_transaction {
        text.push_str("-- confiture: no-transaction\n");
    }
    let lost: Vec<_> = parts.iter().filter_map(|(_, part)| part.directives.loses_data.as_deref()).collect();
    if !lost.is_empty() {
        let _ = writeln!(text, "-- confiture: loses-data {}", lost.join("; "));
    }
    for ((file, _), steps) in parts.iter().zip(&steps) {
        let _ = writeln!(text, "\n-- From {}", super::assess::called(&file.version, &file.name));
        for step in &steps.steps {
            // What is one transaction in its own file is one here.
            let wraps = !in_transaction && matches!(step, Step::Together(_));
            if wraps {
                text.push_str("BEGIN;\n");
            }
            step.pieces().iter().for_each(|piece| push_statement(&mut text, *piece));
            if wraps {
                text.push_str("COMMIT;\n");
            }
        }
        for name in settings_of(steps) {
            let _ = writeln!(text, "RESET {name};");
        }
    }
    Ok(text)
}

fn push_statement(text: &mut String, piece: Piece<'_>) {
    let source = piece.script.script.text();
    for line in source[piece.statement.lead.clone()].lines().map(str::trim) {
        let is_head = ["-- Migration:", "-- Version:", "-- confiture:", "-- migrate:", "-- no-transaction"]
            .iter()
            .any(|head| line.starts_with(head));
        if !line.is_empty() && !is_head {
            let _ = writeln!(text, "{line}");
        }
    }
    let _ = writeln!(text, "{};", piece.text());
    if let Some(data) = piece.statement.data.clone() {
        let _ = writeln!(text, "{}\\.", &source[data]);
    }
}

/// The settings that a file makes for its session: each file begins without those of the one before.
fn settings_of(steps: &Steps<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for piece in steps.settings_before(steps.steps.len()) {
        let words = first_words(piece.text());
        let words: Vec<_> = words.iter().map(String::as_str).filter(|word| *word != "SESSION").collect();
        let name = match words.as_slice() {
            ["SET", "AUTHORIZATION", ..] => "SESSION AUTHORIZATION".to_owned(),
            ["SET", "ROLE", ..] => "ROLE".to_owned(),
            ["SET", "TIME", ..] => "TIMEZONE".to_owned(),
            ["SET", "SCHEMA", ..] | ["SELECT", ..] => "search_path".to_owned(),
            ["SET", ..] => setting_name(piece.text()),
            _ => continue,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// `a.b` of `SET SESSION a.b = …`, as it is written.
fn setting_name(statement: &str) -> String {
    let tokens: Vec<_> = lex(statement).filter(|token| !token.is_blank()).skip(1).collect();
    let tokens = tokens.iter().skip_while(|token| token.is_word(statement, "session"));
    let name: Vec<_> = tokens
        .take_while(|token| !token.is_word(statement, "to") && token.text(statement) != "=")
        .map(|token| token.text(statement))
        .collect();
    name.concat()
}

impl Squash {
    /// The texts of the new files.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The texts of the former migrations.
    pub fn former_texts(&self) -> impl Iterator<Item = &str> {
        self.old.texts()
    }

    /// Runs the former migrations in one scratch database and the new one in another, and says what is different; then the way back.
    /// Both may be on the same server.
    ///
    /// # Errors
    ///
    /// What the server refuses.
    pub async fn prove(
        &self,
        former: &Connection,
        new: &Connection,
        execution: &Execution,
    ) -> Result<Vec<Difference>> {
        let quiet = &execution.unwatched();
        let former =
            execution.step("Running the former migrations", run_in_scratch(former, &self.old, quiet)).await?;
        let new = execution.step("Running the new one", run_in_scratch(new, &self.new, quiet)).await?;
        let mut differences = diff::not_shared(&former.after_up, &new.after_up);
        if let Some(after_down) = new.after_down {
            differences.extend(diff::not_shared(&former.after_down.unwrap_or(new.before), &after_down));
        }
        Ok(differences)
    }

    /// Moves the former files aside, and writes the new ones; where that cannot be done, all is as it was.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn write(&self) -> Result<()> {
        let aside = self.old.path.join(SQUASHED);
        let (mut moved, mut written) = (Vec::new(), Vec::new());
        let mut write = || {
            for file in &self.moved {
                disk::move_into(file, &aside)?;
                moved.push(file);
            }
            for (file, text) in self.files.iter().zip(&self.texts) {
                disk::write_atomically(file, text)?;
                written.push(file);
            }
            Ok(())
        };
        write().inspect_err(|_| {
            // The first error is the one to tell.
            for file in written {
                drop(disk::remove_file(file));
            }
            for file in moved {
                drop(disk::move_into(&aside.join(file.file_name().unwrap_or_default()), &self.old.path));
            }
        })
    }
}

struct Proof {
    before: Objects,
    after_up: Objects,
    after_down: Option<Objects>,
}

async fn run_in_scratch(connection: &Connection, folder: &Folder, execution: &Execution) -> Result<Proof> {
    refuse_what_outlasts(folder.scripts())?;
    in_scratch(connection, folder.texts(), async |scratch| {
        let connection = scratch.session().connection();
        let options = Options { lint: false, in_scratch: true, ..Options::default() };
        let migrator = Migrator::new(connection.clone(), folder.clone(), options);
        let (_, history) = migrator.connect().await?;
        let table = history.table;
        let reader = Session::connect(connection).await?;
        let before = read_without(&reader, &table, Reading::Once).await?;
        up_with_roles(&migrator, &reader, &UpOptions::default(), execution).await?;
        let after_up = read_without(&reader, &table, Reading::Repeated).await?;
        let has_down = |one: &MigrationFile| one.down.as_ref().is_some_and(|down| !down.is_empty());
        let mut after_down = None;
        if folder.migrations.iter().all(has_down) {
            let all = DownOptions { extent: Extent::Steps(usize::MAX), interrupted: None };
            migrator.down(&all, execution).await.map_err(|error| {
                error.hint("nothing was written: mend the way back, or remove it, and the squash has none")
            })?;
            after_down = Some(read_without(&reader, &table, Reading::Repeated).await?);
        }
        Ok(Proof { before, after_up, after_down })
    })
    .await
}
