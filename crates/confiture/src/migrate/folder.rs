//! A folder of migrations: which tool wrote it, and what is in it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk;
use crate::error::{Error, Place, Result};
use crate::migrate::beside;
use crate::migrate::file_name::{FileName, Kind, Unfit, parse_path};
use crate::migrate::part::{Part, layout_of_both_ways, parse_both_ways, refuse_unknown_marks};
use crate::migrate::python;
use crate::migrate::version::Version;
use crate::sql::{Script, SplitScript, split};

/// Whose layout a folder has. Confiture's own pairs may stand beside the files of one other tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Pairs of `.up.sql` and `.down.sql`: Confiture's own, golang-migrate's, sqlx's reversible ones.
    Pairs,
    /// dbmate: both directions in one file.
    Dbmate,
    /// goose, sql-migrate: both directions in one file, too.
    Goose,
    /// sqlx's simple form: one file, one direction.
    Single,
    /// `V1__x.sql`: Flyway, refinery.
    Versioned,
    /// The Python original's classes.
    Python,
    /// node-pg-migrate's in SQL: both directions in one file.
    NodePgMigrate,
    /// Diesel's: a folder for each, with `up.sql` and `down.sql`.
    Diesel,
    /// Prisma's: a folder for each, with `migration.sql`.
    Prisma,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pairs => "pairs of .up.sql and .down.sql",
            Self::Dbmate => "dbmate's files",
            Self::Goose => "goose's files",
            Self::Single => "single .sql files, as sqlx has them",
            Self::Versioned => "V1__name.sql, as Flyway and refinery have them",
            Self::Python => "the Python original's files",
            Self::NodePgMigrate => "node-pg-migrate's files",
            Self::Diesel => "VERSION_name/up.sql, as Diesel has them",
            Self::Prisma => "VERSION_name/migration.sql, as Prisma has them",
        })
    }
}

/// A migration that is on disk.
#[derive(Debug, Clone)]
pub struct MigrationFile {
    /// Its version, as its file's name has it.
    pub version: Version,
    /// Its name: `add_users`.
    pub name: String,
    /// The way up.
    pub up: Part,
    /// The way back, where there is one.
    pub down: Option<Part>,
}

impl MigrationFile {
    /// The file with the way up.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.up.script.script.file()
    }
}

/// A folder of migrations, read.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Whose layout it has.
    pub layout: Layout,
    /// The migrations, in the order of their versions.
    pub migrations: Vec<MigrationFile>,
    /// What is worth knowing: files that are not read.
    pub notes: Vec<String>,
    /// True where versions are written with a `V` in front.
    pub(super) with_letter: bool,
}

impl Folder {
    /// The texts of the ways up.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.migrations.iter().map(|one| one.up.script.script.text())
    }

    /// All scripts, both ways.
    pub(super) fn scripts(&self) -> impl Iterator<Item = &SplitScript> {
        let parts = self.migrations.iter().flat_map(|one| [Some(&one.up), one.down.as_ref()]);
        parts.flatten().map(|part| &part.script)
    }
}

/// Reads a folder. Without one, it is empty.
///
/// # Errors
///
/// A file that cannot be read or split, that has no version, or that another tool means differently; files of two tools; a version
/// that two migrations have; a way back without a way up.
pub fn read_folder(path: &Path) -> Result<Folder> {
    let mut found = Found::default();
    if !disk::is_folder(path) {
        found.notes.push(format!("there is no folder {}", path.display()));
    }
    for file in disk::files_below(path)? {
        let inside = file.components().count() > 1;
        let name = file.to_string_lossy().into_owned();
        let parsed = parse_path(&file);
        // The name goes into the history, into JSON and into lines of text.
        if matches!(parsed, Some(Ok(_))) && (file.to_str().is_none() || name.contains(char::is_control)) {
            return Err(Error::config(format!(
                "the file {name:?} has a name that is not UTF-8 text in one line"
            ))
            .hint("give it another name: VERSION_name.up.sql"));
        }
        match parsed {
            Some(parsed) if !inside || parsed.is_ok() => found.add(&path.join(&file), &name, parsed)?,
            parsed => found.pass_over(path, &file, parsed.is_some()),
        }
    }
    beside::check_provider(&path.join("migration_lock.toml"))?;
    found.finish(path)
}

/// True where a folder's files say themselves that they are migrations: pairs, versions with a `V`, both directions in one file.
///
/// # Errors
///
/// A file that cannot be read.
pub fn holds_migrations(path: &Path) -> Result<bool> {
    for file in disk::files_below(path)? {
        let is_one = match parse_path(&file).map(|parsed| parsed.map(|name| name.kind)) {
            Some(Ok(Kind::Up | Kind::Versioned | Kind::FolderUp | Kind::FolderWhole)) => true,
            Some(Ok(Kind::Single)) => {
                layout_of_both_ways(disk::read_script(&path.join(&file))?.text()).is_some()
            }
            _ => false,
        };
        if is_one {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A file's way up, where it holds both directions; else all of it.
///
/// # Errors
///
/// A file that cannot be split, or has no way up.
pub fn read_way_up(script: Script) -> Result<SplitScript> {
    match layout_of_both_ways(script.text()) {
        Some(_) => Ok(parse_both_ways(&script)?.0.script),
        None => split(script),
    }
}

#[derive(Default)]
struct Found {
    files: Vec<(FileName, PathBuf)>,
    notes: Vec<String>,
    passed_over: BTreeMap<PathBuf, usize>,
    /// `init/migration.sql`: a migration of Prisma's or Diesel's, without a version.
    unversioned: Option<PathBuf>,
    with_letter: bool,
}

impl Found {
    fn pass_over(&mut self, path: &Path, file: &Path, is_unversioned: bool) {
        let name = file.file_name().unwrap_or_default();
        let is_way_up = name == "up.sql" || name == "migration.sql";
        let is_migration = is_way_up || parse_path(name.as_ref()).is_some_and(|parsed| parsed.is_ok());
        let folder =
            file.components().next().map(|first| PathBuf::from(first.as_os_str())).unwrap_or_default();
        // Mappings live there, and what `squash` has set aside.
        let is_ours = folder == Path::new("schema_to_schema") || folder == Path::new(SQUASHED);
        if is_unversioned && is_way_up && !is_ours {
            self.unversioned = Some(path.join(file));
        }
        if is_migration && !is_ours {
            *self.passed_over.entry(folder).or_default() += 1;
        }
    }

    fn add(&mut self, path: &Path, name: &str, parsed: std::result::Result<FileName, Unfit>) -> Result<()> {
        let unfit = |message: &str, hint: &str| {
            let place = Place { file: path.to_owned(), line: 1, column: 1 };
            Err(Error::config(message).at(place).hint(hint))
        };
        match parsed {
            Ok(file) => {
                self.with_letter |= name.starts_with('V');
                self.files.push((file, path.to_owned()));
                Ok(())
            }
            Err(Unfit::Other) => Ok(()),
            Err(Unfit::NoVersion) => unfit(
                "the file has no version in front of its name",
                "call it VERSION_name.up.sql (`confiture migrate generate NAME` does), or move it out of the folder",
            ),
            Err(Unfit::Repeatable) => unfit(
                "Flyway's repeatable migrations (R__) are not run",
                "move its views and functions into db/schema, and write a migration when they change",
            ),
            Err(Unfit::Baseline) => unfit(
                "Flyway's baseline migrations (B__) are not run",
                "call it V… where the migrations before it are gone, and `baseline` the databases that have it",
            ),
            Err(Unfit::Callback) => unfit(
                "Flyway's callbacks are not run",
                "write it as a hook (docs/migrations.md#hooks), or move it out of the folder",
            ),
            Err(Unfit::Rust) => unfit(
                "a migration written in Rust cannot be run from its file",
                "implement `confiture::migrate::Migration` and call the library, or write it as SQL",
            ),
            Err(Unfit::Code) => unfit(
                "only SQL is run, and this migration is something else",
                "write it as SQL, or move it out of the folder",
            ),
            Err(Unfit::Sqitch) => unfit(
                "Sqitch's plans are not read",
                "lay the changes out as VERSION_name.up.sql and VERSION_name.down.sql, in the order of the plan",
            ),
        }
    }

    fn finish(mut self, path: &Path) -> Result<Folder> {
        if let (true, Some(first)) = (self.files.is_empty(), self.passed_over.keys().next()) {
            return Err(Error::config(format!(
                "{} holds no migration itself, and folders with migrations, such as {}",
                path.display(),
                first.display()
            ))
            .hint("only the folder itself is read: name the right one, or lay them out as VERSION_name.up.sql and VERSION_name.down.sql; \
                   VERSION_name/up.sql and VERSION_name/migration.sql are read, too"));
        }
        for (folder, count) in std::mem::take(&mut self.passed_over) {
            self.notes.push(format!(
                "{} {} in the folder {} inside of it: only the folder itself is read",
                count,
                if count == 1 { "migration lies" } else { "migrations lie" },
                folder.display()
            ));
        }
        let mut migrations: Vec<MigrationFile> = Vec::new();
        let mut by_text: Vec<(Version, PathBuf)> = Vec::new();
        let mut layouts: Vec<(Layout, PathBuf)> = Vec::new();
        let mut ways_back: Vec<(FileName, PathBuf)> = Vec::new();
        let has_undos = has_undos(&self.files);
        for (file, path) in &self.files {
            if file.kind == Kind::Down || file.kind == Kind::Undo && has_undos {
                ways_back.push((file.clone(), path.clone()));
                continue;
            }
            let (layout, migration) = read_migration(file, path)?;
            if !layouts.iter().any(|(known, _)| *known == layout) {
                layouts.push((layout, path.clone()));
            }
            if matches!(layout, Layout::Dbmate | Layout::Diesel | Layout::Prisma) {
                by_text.push((file.version.clone(), path.clone()));
            }
            migrations.push(migration);
        }
        migrations.sort_by(|one, other| one.version.cmp(&other.version));
        refuse_duplicates(&migrations)?;
        for (file, path) in ways_back {
            self.notes.extend(attach(&mut migrations, &file, &path)?);
        }
        let layout = only_layout(&layouts)?;
        if let (Layout::Diesel | Layout::Prisma, Some(file)) = (layout, &self.unversioned) {
            return Err(Error::config("the folder has no version in front of its name")
                .at(Place { file: file.clone(), line: 1, column: 1 })
                .hint("call it VERSION_name, with digits that put it in its place among the others"));
        }
        self.notes.extend(say_order(by_text, layout));
        let Self { notes, with_letter, .. } = self;
        Ok(Folder { path: path.to_owned(), layout, migrations, notes, with_letter })
    }
}

/// A remark where other tools, which compare versions as texts, have run the files in another order.
fn say_order(mut files: Vec<(Version, PathBuf)>, layout: Layout) -> Option<String> {
    files.sort();
    let pair = files.windows(2).find(|pair| pair[0].0.as_str() > pair[1].0.as_str())?;
    let [first, then] = [&pair[0].0, &pair[1].0];
    Some(format!(
        "versions are compared as numbers, {first} before {then}: with {layout} {then} ran before {first} where both were pending"
    ))
}

/// Flyway's `U` takes back the `V` of its version; refinery's is a version of its own. One pair shows whose all are: an undo that has
/// lost its `V` must not be applied.
fn has_undos(files: &[(FileName, PathBuf)]) -> bool {
    let of = |kind| files.iter().filter(move |(file, _)| file.kind == kind).map(|(file, _)| &file.version);
    of(Kind::Undo).any(|undo| of(Kind::Versioned).any(|version| version == undo))
}

/// Where `squash` puts what it has set aside.
pub(super) const SQUASHED: &str = "squashed";

fn read_migration(file: &FileName, path: &Path) -> Result<(Layout, MigrationFile)> {
    let script = disk::read_script(path)?;
    let mut name = file.name.clone();
    let (layout, mut up, down) = match file.kind {
        Kind::Up | Kind::Down => (Layout::Pairs, Part::parse(script)?, None),
        Kind::Versioned | Kind::Undo => (Layout::Versioned, Part::parse(script)?, None),
        Kind::FolderUp => (Layout::Diesel, Part::parse(script)?, None),
        Kind::FolderWhole => (Layout::Prisma, Part::parse(script)?, None),
        Kind::Single => match layout_of_both_ways(script.text()) {
            Some(layout) => {
                let (up, down) = parse_both_ways(&script)?;
                (layout, up, down)
            }
            None => {
                refuse_unknown_marks(&script)?;
                (Layout::Single, Part::parse(script)?, None)
            }
        },
        Kind::Python => {
            let read = python::parse(&script)?;
            check_version(&read, file, &script)?;
            name = read.name.unwrap_or(name);
            (Layout::Python, read.up, read.down)
        }
    };
    beside::heed(&mut up, path, file.kind)?;
    Ok((layout, MigrationFile { version: file.version.clone(), name, up, down }))
}

fn check_version(read: &python::PythonMigration, file: &FileName, script: &Script) -> Result<()> {
    let said = read.version.as_deref();
    if said.is_some_and(|said| Version::parse(said).as_ref() != Some(&file.version)) {
        return Err(Error::config(format!(
            "the class says version {}, the file's name {}",
            said.unwrap_or_default(),
            file.version
        ))
        .at(script.place(0))
        .hint("rename the file, or correct the class"));
    }
    Ok(())
}

fn refuse_duplicates(migrations: &[MigrationFile]) -> Result<()> {
    for pair in migrations.windows(2) {
        if pair[0].version == pair[1].version {
            let [one, other] = [&pair[0], &pair[1]].map(|migration| migration.path().display().to_string());
            return Err(Error::config(format!("two migrations have the version {}", pair[0].version))
                .at(Place { file: pair[1].path().to_owned(), line: 1, column: 1 })
                .hint(format!("they are {one} and {other}: give the one that runs later a higher version")));
        }
    }
    Ok(())
}

/// Puts a way back to its way up. A remark where there is none: sqlx runs the other files, too.
fn attach(migrations: &mut [MigrationFile], file: &FileName, path: &Path) -> Result<Option<String>> {
    let place = || Place { file: path.to_owned(), line: 1, column: 1 };
    let Some(migration) = migrations.iter_mut().find(|migration| migration.version == file.version) else {
        if file.kind == Kind::Down {
            return Ok(Some(format!("there is no way up for the way back {}", path.display())));
        }
        return Err(Error::config(format!(
            "there is a way back for version {}, and no way up",
            file.version
        ))
        .at(place())
        .hint(format!("put back V{}__{}.sql, or remove this file", file.version, file.name)));
    };
    if migration.down.is_some() {
        return Err(Error::config(format!("version {} has two ways back", file.version))
            .at(place())
            .hint("keep one of them"));
    }
    if file.kind == Kind::Down && migration.name != file.name {
        return Err(Error::config(format!(
            "the way back of version {} is called {}, its way up {}",
            file.version, file.name, migration.name
        ))
        .at(place())
        .hint("both files of a pair have the same name"));
    }
    let mut down = Part::parse(disk::read_script(path)?)?;
    let is_diesels = migration.path().file_name().is_some_and(|name| name == "up.sql");
    beside::heed(&mut down, path, if is_diesels { Kind::FolderUp } else { file.kind })?;
    migration.down = Some(down);
    Ok(None)
}

fn only_layout(layouts: &[(Layout, PathBuf)]) -> Result<Layout> {
    let has = |wanted| layouts.iter().any(|(layout, _)| *layout == wanted);
    // node-pg-migrate takes a file that says nothing of directions for the way up.
    let is_neutral = |layout| match layout {
        Layout::Pairs => true,
        Layout::Single => has(Layout::NodePgMigrate),
        _ => false,
    };
    let foreign: Vec<_> = layouts.iter().filter(|(layout, _)| !is_neutral(*layout)).collect();
    match foreign.as_slice() {
        [] => Ok(Layout::Pairs),
        [(layout, _)] => Ok(*layout),
        [(one, first), (other, second), ..] => {
            Err(Error::config(format!("the folder mixes {one} with {other}"))
                .at(Place { file: second.clone(), line: 1, column: 1 })
                .hint(format!(
                    "{} is one of the first kind, {} of the second: keep one tool's files, and write new ones as pairs of \
                     .up.sql and .down.sql, which may stand beside any",
                    first.display(),
                    second.display()
                )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Folder>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let read = read_folder(folder.path());
        (folder, read)
    }

    /// `version name up/down`, one line each.
    fn shown(files: &[(&str, &str)]) -> (Layout, String) {
        let (_kept, read) = folder(files);
        let read = read.unwrap();
        let lines: Vec<_> = read
            .migrations
            .iter()
            .map(|one| {
                let statements = |part: &Part| part.script.statements.len();
                let (up, down) = (statements(&one.up), one.down.as_ref().map(statements));
                format!(
                    "{} {} {up}/{}",
                    one.version,
                    one.name,
                    down.map_or("-".to_owned(), |n| n.to_string())
                )
            })
            .collect();
        (read.layout, lines.join("; "))
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_name_is_text() {
        use std::os::unix::ffi::OsStrExt as _;
        for name in [&b"001_caf\xe9.up.sql"[..], b"001_a\nb.up.sql"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), "SELECT 1;").unwrap();
            let error = read_folder(folder.path()).unwrap_err();
            assert!(error.message().ends_with("has a name that is not UTF-8 text in one line"), "{error}");
        }
    }

    #[test]
    fn the_layouts_of_all_tools_are_told_apart() {
        let one = "SELECT 1;";
        assert_eq!(shown(&[]), (Layout::Pairs, String::new()));
        assert_eq!(
            shown(&[
                ("002_b.up.sql", one),
                ("001_a.up.sql", one),
                ("001_a.down.sql", one),
                ("README.md", "#")
            ]),
            (Layout::Pairs, "001 a 1/1; 002 b 1/-".to_owned())
        );
        assert_eq!(
            shown(&[("20260101120000_a.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n")]),
            (Layout::Dbmate, "20260101120000 a 1/0".to_owned())
        );
        assert_eq!(
            shown(&[
                ("00001_a.sql", "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n"),
                ("2_b.up.sql", one)
            ]),
            (Layout::Goose, "00001 a 1/1; 2 b 1/-".to_owned())
        );
        assert_eq!(
            shown(&[("20260101120000_a.sql", one), ("20260101130000_b.up.sql", one)]),
            (Layout::Single, "20260101120000 a 1/-; 20260101130000 b 1/-".to_owned())
        );
        assert_eq!(
            shown(&[("V1__a.sql", one), ("V1_1__b.sql", one), ("U1.1__b.sql", one), ("V2__c.up.sql", one)]),
            (Layout::Versioned, "1 a 1/-; 1.1 b 1/1; 2 c 1/-".to_owned())
        );
        assert_eq!(
            shown(&[("V1__a.sql", one), ("U2__b.sql", one)]),
            (Layout::Versioned, "1 a 1/-; 2 b 1/-".to_owned()),
            "refinery's U is a version of its own"
        );
        let node = "-- Up Migration\nSELECT 1;\n\n-- Down Migration\nSELECT 2; SELECT 3;\n";
        assert_eq!(
            shown(&[("1700000000000_a.sql", node), ("1700000000001_b.sql", one)]),
            (Layout::NodePgMigrate, "1700000000000 a 1/2; 1700000000001 b 1/-".to_owned())
        );
        let python =
            "class A(M):\n  version = '003'\n  name = 'x'\n  def up(self): self.execute('SELECT 1')\n";
        assert_eq!(
            shown(&[("003_x.py", python), ("004_y.up.sql", one), ("__init__.py", "import os")]),
            (Layout::Python, "003 x 1/-; 004 y 1/-".to_owned())
        );
    }

    #[test]
    fn what_is_unclear_is_an_error_that_names_the_file() {
        let (one, dbmate) = ("SELECT 1;", "-- migrate:up\nSELECT 1;");
        for (files, message) in [
            (vec![("1_a.up.sql", one), ("001_b.up.sql", one)], "two migrations have the version 001"),
            (vec![("1_a.sql", one), ("2_b.sql", dbmate)], "the folder mixes single .sql files"),
            (vec![("1_a.sql", dbmate), ("V2__b.sql", one)], "the folder mixes dbmate's files with V1__name"),
            (vec![("1_a.up.sql", one), ("1_b.down.sql", one)], "the way back of version 1 is called b"),
            (
                vec![("V1__a.sql", one), ("U1__a.sql", one), ("U2__b.sql", one)],
                "there is a way back for version 2, and no way up",
            ),
            (vec![("beforeMigrate.sql", one)], "Flyway's callbacks are not run"),
            (vec![("1_a.sql", one), ("00002_b.go", "package m")], "only SQL is run"),
            (vec![("sqitch.plan", "%project=a"), ("deploy/a.sql", one)], "Sqitch's plans are not read"),
            (vec![("1_a.sql", "--liquibase formatted sql\n\n--changeset me:1\nSELECT 1;")], "Liquibase's"),
            (vec![("1_a.sql", "-- atlas:checkpoint\n\nSELECT 1;")], "Atlas would heed `checkpoint`"),
            (vec![("1_a.sql", "SELECT 1;\n-- Down Migration\nSELECT 2;")], "what stands above `-- Down"),
            (vec![("1_a.sql", "CREATE TABLE lost ();\n-- migrate:up\nSELECT 1;")], "what stands above"),
            (vec![("1_a.sql", "-- +goose ENVSUB ON\n-- +goose Up\nSELECT 1;")], "goose would put"),
            (vec![("R__v.sql", one)], "Flyway's repeatable migrations (R__) are not run"),
            (vec![("users.sql", one)], "the file has no version in front of its name"),
            (vec![("V1__x.rs", "fn")], "a migration written in Rust cannot be run"),
        ] {
            let (_kept, read) = folder(&files);
            let error = read.err().unwrap_or_else(|| panic!("{message}"));
            assert!(error.message().starts_with(message), "{error:?}");
            assert!(error.place().is_some() && !error.hints().is_empty(), "{error:?}");
        }
    }

    #[test]
    fn a_folder_for_each_migration() {
        let one = "SELECT 1;";
        let diesel = [
            ("00000000000000_diesel_initial_setup/up.sql", one),
            ("00000000000000_diesel_initial_setup/down.sql", one),
            ("2024-01-02-030405_index/up.sql", one),
            ("2024-01-02-030405_index/down.sql", one),
            ("2024-01-02-030405_index/metadata.toml", "# why\nrun_in_transaction = false # here\n"),
            ("20240102030406_more.up.sql", one),
            (".diesel_lock", ""),
        ];
        let (_kept, read) = folder(&diesel);
        let read = read.unwrap();
        let index = &read.migrations[1];
        assert!(index.up.directives.no_transaction && index.down.as_ref().unwrap().directives.no_transaction);
        assert!(!read.migrations[0].up.directives.no_transaction);
        assert_eq!(
            shown(&diesel),
            (
                Layout::Diesel,
                "00000000000000 diesel_initial_setup 1/1; 20240102030405 index 1/1; 20240102030406 more 1/-"
                    .to_owned()
            )
        );
        let lock = ("migration_lock.toml", "provider = \"postgresql\"");
        let prisma = [("0_init/migration.sql", one), ("20240101120000_a/migration.sql", one), lock];
        assert_eq!(shown(&prisma), (Layout::Prisma, "0 init 1/-; 20240101120000 a 1/-".to_owned()));
        for (file, message) in [
            (("init/migration.sql", one), "the folder has no version in front of its name"),
            (("migration_lock.toml", "provider = \"mysql\""), "`provider = \"mysql\"` has Prisma run"),
            (("1_a/up.sql", one), "the folder mixes"),
            (("20240101120000_b/migration.sql", one), "two migrations have the version 20240101120000"),
        ] {
            let (_kept, read) = folder(&[("20240101120000_a/migration.sql", one), file]);
            let error = read.err().unwrap_or_else(|| panic!("{message}"));
            assert!(error.message().starts_with(message) && error.place().is_some(), "{error:?}");
        }
    }

    #[test]
    fn what_flyway_is_told_beside_a_file_is_heeded_or_refused() {
        let with = |conf: &str| folder(&[("V1__a.sql", "SELECT '${a}';"), ("V1__a.sql.conf", conf)]).1;
        let read = with("# why\nexecuteInTransaction=false\nplaceholderReplacement = false\n").unwrap();
        let directives = &read.migrations[0].up.directives;
        assert!(directives.no_transaction && directives.as_written);
        assert!(with("executeInTransaction=true\nencoding=UTF-8\nshouldExecute=true").is_ok());
        for line in ["shouldExecute=${env}==prod", "encoding=latin1", "executeInTransaction=maybe", "other=1"]
        {
            let error = with(&format!("executeInTransaction=false\n{line}\n")).unwrap_err();
            assert!(error.message().starts_with(&format!("`{line}` has Flyway run")), "{error:?}");
            assert_eq!(error.place().map(|place| place.line), Some(2));
        }
    }

    #[test]
    fn a_way_back_in_the_same_file_is_not_run() {
        for mark in [
            "---- create above / drop below ----",
            "-- //@UNDO",
            "--//@UNDO",
            "-- !Downs",
            "-- rambler down",
            "-- Down",
        ] {
            let text =
                format!("-- {}\nCREATE TABLE t ();\n{mark}\nDROP TABLE t;\n", mark.replace(['d', 'D'], "x"));
            let error = folder(&[("1_a.sql", &text)]).1.err().unwrap_or_else(|| panic!("{mark}"));
            assert_eq!(error.message(), "a way back seems to begin here, and would be run with the rest");
            assert_eq!(error.place().map(|place| place.line), Some(3), "{mark}");
        }
        for text in ["-- it goes down\nSELECT 1;", "SELECT '\n-- down\n';", "-- undo the last one\nSELECT 1;"]
        {
            assert!(folder(&[("1_a.sql", text)]).1.is_ok(), "{text}");
        }
    }

    #[test]
    fn a_lone_way_back_and_another_order_are_remarks() {
        let (_kept, read) = folder(&[("1_a.sql", "SELECT 1"), ("2_b.down.sql", "DROP TABLE b")]);
        let read = read.unwrap();
        assert_eq!((read.migrations.len(), read.notes.len()), (1, 1));
        assert!(read.notes[0].ends_with("2_b.down.sql"));
        let one = "-- migrate:up\nSELECT 1;";
        let (_kept, read) = folder(&[("9_a.sql", one), ("10_b.sql", one), ("11_c.up.sql", one)]);
        assert!(read.unwrap().notes[0].starts_with("versions are compared as numbers, 9 before 10: "));
        let (_kept, read) = folder(&[("09_a.sql", one), ("10_b.sql", one)]);
        assert!(read.unwrap().notes.is_empty());
    }

    #[test]
    fn folders_inside_are_said_and_not_read() {
        let (_kept, read) = folder(&[
            ("1_a.up.sql", "SELECT 1"),
            ("old/0_b.up.sql", "SELECT 1"),
            ("squashed/0_b.up.sql", "SELECT 1"),
            ("schema_to_schema/x/config.yaml", ""),
        ]);
        let read = read.unwrap();
        assert_eq!(read.migrations.len(), 1);
        assert_eq!(read.notes.len(), 1);
        assert!(read.notes[0].contains("the folder old"), "{:?}", read.notes);
    }

    #[test]
    fn nothing_but_folders_inside_is_an_error() {
        for file in ["users/up.sql", "init/migration.sql", "v1/1_a.up.sql"] {
            let (_kept, read) = folder(&[(file, "SELECT 1"), ("readme.md", "")]);
            let error = read.unwrap_err();
            assert!(error.message().contains("holds no migration itself, and folders with"), "{error:?}");
        }
        assert!(folder(&[("squashed/0_b.up.sql", ""), ("data/countries.sql", "")]).1.is_ok());
    }
}
