//! The entry of a database in `pgbouncer.ini`, or in a file that this includes.

use std::path::{Path, PathBuf};

use crate::config::{Destination, EntryLine, Piece, Pieces};
use crate::disk;
use crate::error::{Error, Place, Result};

/// PgBouncer gives up there.
const DEEPEST_INCLUDE: usize = 10;

/// Where an entry stands, and where it led when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    main: PathBuf,
    database: String,
    place: Place,
    destination: Destination,
}

impl Entry {
    /// Finds the entry of a database. `main` is PgBouncer's own file, and includes are followed from its folder.
    ///
    /// # Errors
    ///
    /// Where there is none or more than one, and what PgBouncer would not load, with file, line and column.
    pub fn read(main: &Path, database: &str) -> Result<Self> {
        let found = find(main, database)?;
        Ok(Self {
            main: main.to_owned(),
            database: database.to_owned(),
            destination: found.line.destination()?,
            place: found.line.place,
        })
    }

    /// The database's name, as PgBouncer's clients have it.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Where the entry stands.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where the entry led when it was read: what [`rewrite`](Self::rewrite) takes to put it back.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Has the entry lead elsewhere, and says where it led until now. The file is replaced whole, and keeps its owner, its
    /// permissions, and everything but these three keys. PgBouncer reads it at the next `RELOAD`.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and a file that cannot be written: it is as it was then.
    pub fn rewrite(&self, to: &Destination) -> Result<Destination> {
        let found = find(&self.main, &self.database)?;
        let before = found.line.destination()?;
        let after = found.line.lead(&found.text, to)?;
        disk::replace_text(&found.line.place.file, &found.text, &after)?;
        Ok(before)
    }

    /// Has the entry lead to where it led when it was read.
    ///
    /// # Errors
    ///
    /// Those of [`rewrite`](Self::rewrite).
    pub fn restore(&self) -> Result<()> {
        self.rewrite(&self.destination).map(drop)
    }
}

struct Found {
    line: EntryLine,
    /// Of the file that it stands in.
    text: String,
}

fn find(main: &Path, database: &str) -> Result<Found> {
    let mut found = Vec::new();
    let mut section = String::new();
    look(main, main, database, &mut section, 0, &mut found)?;
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(found), None) => Ok(found),
        (Some(first), Some(second)) => {
            Err(Error::config(format!("the database \"{database}\" has a second entry"))
                .at(second.line.place)
                .hint(format!("the first is at {}: remove one of them", first.line.place)))
        }
        (None, _) => Err(Error::config(format!(
            "{} has no entry for the database \"{database}\"",
            main.display()
        ))
        .at(Place { file: main.to_owned(), line: 1, column: 1 })
        .hint(format!(
            "write `{database} = host=… port=… dbname=…` into its section [databases], also where `*` covers it"
        ))),
    }
}

fn look(
    main: &Path,
    file: &Path,
    database: &str,
    section: &mut String,
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<()> {
    let text = disk::read_text(file)?;
    let mut pieces = Pieces::new(&text, file, database);
    while let Some(piece) = pieces.next(section)? {
        match piece {
            Piece::Entry(line) => found.push(Found { line, text: text.clone() }),
            Piece::Include { path, place } if depth < DEEPEST_INCLUDE => {
                // PgBouncer takes its own working folder, which nobody else knows; a service has that of its file, or names
                // the whole path.
                let path = main.parent().unwrap_or(Path::new("")).join(path);
                look(main, &path, database, section, depth + 1, found)
                    .map_err(|error| error.or_at(&place))?;
            }
            Piece::Include { place, .. } => {
                return Err(Error::config("files include each other too deeply, or in a circle").at(place));
            }
        }
    }
    Ok(())
}
