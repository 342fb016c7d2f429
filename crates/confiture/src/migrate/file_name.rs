//! What a file in a migrations folder is, by its name.

use std::path::Path;

use super::version::Version;

/// A file's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) version: Version,
    /// What stands behind the version: `add_users`.
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What a file holds, as far as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `001_x.up.sql`, `V1__x.up.sql`.
    Up,
    /// `001_x.down.sql`.
    Down,
    /// `001_x.sql`: dbmate's with both directions, sqlx's with one.
    Single,
    /// `V1__x.sql`: Flyway's and refinery's.
    Versioned,
    /// `U1__x.sql`: Flyway's for the way back, refinery's for a version that may leave a gap.
    Undo,
    /// `001_x.py`: the Python original's.
    Python,
    /// `001_x/up.sql`: Diesel's.
    FolderUp,
    /// `001_x/migration.sql`: Prisma's.
    FolderWhole,
}

/// Why a file is none that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Not meant to be one: neither SQL nor Python, hidden, or a module's own file.
    Other,
    /// SQL without a version in front.
    NoVersion,
    /// `R__x.sql`.
    Repeatable,
    /// `B1__x.sql`.
    Baseline,
    /// `afterMigrate.sql`, `beforeEachMigrate__x.sql`.
    Callback,
    /// `V1__x.rs`.
    Rust,
    /// `001_x.go`, `20240101000000_x.rb`: migrations that only their own tool can run.
    Code,
    /// `sqitch.plan`, which says what is deployed, and in which order.
    Sqitch,
}

/// What other tools' migrations are written in, where they are not SQL.
const CODE: [&str; 13] =
    ["cjs", "cs", "ex", "exs", "go", "java", "js", "kt", "mjs", "php", "rb", "ts", "xml"];

/// Takes a path below the migrations' folder apart: a file's own name, or, where Diesel and Prisma have a folder for each migration, that
/// folder's. `None` for what lies deeper, or is called otherwise.
pub(super) fn parse_path(path: &Path) -> Option<Result<FileName, Unfit>> {
    let mut parts = path.iter().map(|part| part.to_string_lossy());
    let (first, second) = (parts.next()?, parts.next());
    let kind = match (second.as_deref(), parts.next()) {
        (None, _) => return Some(parse_file_name(&first)),
        (Some("up.sql"), None) => Kind::FolderUp,
        (Some("migration.sql"), None) => Kind::FolderWhole,
        (Some("down.sql"), None) => Kind::Down,
        _ => return None,
    };
    let (version, name) = first.split_once('_').unwrap_or((&first, ""));
    // Diesel's dates have dashes, which its ledger leaves out.
    let version = Version::parse(&version.replace('-', "")).ok_or(Unfit::NoVersion);
    Some(version.map(|version| FileName { version, name: name.to_owned(), kind }))
}

/// Takes a name apart.
pub(super) fn parse_file_name(name: &str) -> Result<FileName, Unfit> {
    let lower = name.to_ascii_lowercase();
    let stem = |suffix: &str| lower.ends_with(suffix).then(|| &name[..name.len() - suffix.len()]);
    if name.starts_with(['.', '_']) {
        return Err(Unfit::Other);
    }
    if name == "sqitch.plan" {
        return Err(Unfit::Sqitch);
    }
    if let Some((stem, extension)) = name.rsplit_once('.')
        && CODE.contains(&extension)
    {
        return Err(if is_numbered(stem) { Unfit::Code } else { Unfit::Other });
    }
    let (stem, kind) = if let Some(stem) = stem(".up.sql") {
        (stem, Kind::Up)
    } else if let Some(stem) = stem(".down.sql") {
        (stem, Kind::Down)
    } else if let Some(stem) = stem(".sql") {
        (stem, Kind::Single)
    } else if let Some(stem) = stem(".py") {
        (stem, Kind::Python)
    } else if let Some(stem) = stem(".rs") {
        return Err(if with_letter(stem, 'V').is_some() { Unfit::Rust } else { Unfit::Other });
    } else {
        return Err(Unfit::Other);
    };
    if let Some((version, name)) = with_letter(stem, 'V') {
        let kind = if kind == Kind::Single { Kind::Versioned } else { kind };
        return Ok(FileName { version, name, kind });
    }
    if let Some((version, name)) = with_letter(stem, 'U').filter(|_| kind == Kind::Single) {
        return Ok(FileName { version, name, kind: Kind::Undo });
    }
    if kind == Kind::Single && stem.starts_with("R__") {
        return Err(Unfit::Repeatable);
    }
    if kind == Kind::Single && with_letter(stem, 'B').is_some() {
        return Err(Unfit::Baseline);
    }
    if kind == Kind::Single && is_callback(stem) {
        return Err(Unfit::Callback);
    }
    let digits = stem.find(|c: char| !c.is_ascii_digit()).unwrap_or(stem.len());
    let version = Version::parse(&stem[..digits]).ok_or(Unfit::NoVersion)?;
    let name = stem[digits..].trim_start_matches(['_', '-', '.', ' ']).to_owned();
    Ok(FileName { version, name, kind })
}

/// `001_x`, `V1__x`, `R__x`: as migrations in other languages are called, and their helpers are not.
fn is_numbered(stem: &str) -> bool {
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && stem[digits..].starts_with(['_', '-']) && !stem.ends_with("_test")
        || stem.starts_with("R__")
        || ['V', 'U', 'B'].iter().any(|letter| with_letter(stem, *letter).is_some())
}

/// `beforeMigrate`, `afterVersioned__name`: a moment of Flyway's.
fn is_callback(stem: &str) -> bool {
    let moment = stem.strip_prefix("before").or_else(|| stem.strip_prefix("after"));
    moment.is_some_and(|moment| moment.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// `V1_2__name`: a letter, a version, two underscores, a name.
fn with_letter(stem: &str, letter: char) -> Option<(Version, String)> {
    let (version, name) = stem.strip_prefix(letter)?.split_once("__")?;
    Some((Version::parse(version)?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_tools() {
        for (file, version, name, kind) in [
            ("001_add_users.up.sql", "1", "add_users", Kind::Up),
            ("20260101120000_x.down.sql", "20260101120000", "x", Kind::Down),
            ("V7__y.up.sql", "7", "y", Kind::Up),
            ("20260101120000_b.sql", "20260101120000", "b", Kind::Single),
            ("V1_1__Initial_x.sql", "1.1", "Initial_x", Kind::Versioned),
            ("V2.1__x.sql", "2.1", "x", Kind::Versioned),
            ("U2.1__x.sql", "2.1", "x", Kind::Undo),
            ("002_add_bio.py", "2", "add_bio", Kind::Python),
            ("3.sql", "3", "", Kind::Single),
            ("004-with-dashes.UP.SQL", "4", "with-dashes", Kind::Up),
        ] {
            let version = Version::parse(version).unwrap();
            let expected = FileName { version, name: name.to_owned(), kind };
            assert_eq!(parse_file_name(file), Ok(expected), "{file}");
        }
        for (file, why) in [
            ("README.md", Unfit::Other),
            (".hidden.sql", Unfit::Other),
            ("__init__.py", Unfit::Other),
            ("mod.rs", Unfit::Other),
            ("users.sql", Unfit::NoVersion),
            ("helpers.py", Unfit::NoVersion),
            ("R__views.sql", Unfit::Repeatable),
            ("B5__base.sql", Unfit::Baseline),
            ("V1__x.rs", Unfit::Rust),
            ("afterMigrate__x.sql", Unfit::Callback),
            ("after_school.sql", Unfit::NoVersion),
            ("00002_fill.go", Unfit::Code),
            ("00002_fill_test.go", Unfit::Other),
            ("V2__Fill.java", Unfit::Code),
            ("20240101000000_users.rb", Unfit::Code),
            ("knexfile.js", Unfit::Other),
            ("sqitch.plan", Unfit::Sqitch),
        ] {
            assert_eq!(parse_file_name(file), Err(why), "{file}");
        }
    }
}
