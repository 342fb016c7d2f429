//! A migration, whether it is a file or code.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Place, Result};
use crate::migrate::checksum::Checksum;
use crate::migrate::code::Migration;
use crate::migrate::folder::MigrationFile;
use crate::migrate::part::Part;
use crate::migrate::steps::place_of;
use crate::migrate::version::Version;

/// One migration.
#[derive(Clone)]
pub(super) struct Unit<'a> {
    pub(super) version: Version,
    pub(super) name: String,
    pub(super) checksum: Checksum,
    pub(super) source: Source<'a>,
}

/// The one of a version, among units in the order of their versions.
pub(super) fn find_unit<'b, 'a>(units: &'b [Unit<'a>], version: &Version) -> Option<&'b Unit<'a>> {
    let at = units.binary_search_by(|unit| unit.version.cmp(version)).ok()?;
    units.get(at)
}

/// Where it comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    File(&'a MigrationFile),
    Code(&'a dyn Migration),
}

impl<'a> Unit<'a> {
    pub(super) fn of_file(file: &'a MigrationFile) -> Self {
        Self {
            version: file.version.clone(),
            name: file.name.clone(),
            checksum: file.up.checksum.clone(),
            source: Source::File(file),
        }
    }

    fn of_code(code: &'a dyn Migration) -> Result<Self> {
        let version = Version::parse(code.version()).ok_or_else(|| {
            Error::config(format!(
                "`{}` is not a version: the migration {} needs digits",
                code.version(),
                code.name()
            ))
        })?;
        let checksum = Checksum::of_code(code.mark());
        Ok(Self { version, name: code.name().to_owned(), checksum, source: Source::Code(code) })
    }

    /// Files and code, in the order of their versions.
    pub(super) fn all(files: &'a [MigrationFile], code: &'a [Arc<dyn Migration>]) -> Result<Vec<Self>> {
        let mut units: Vec<_> = files.iter().map(Self::of_file).collect();
        for migration in code {
            units.push(Self::of_code(migration.as_ref())?);
        }
        units.sort_by(|one, other| one.version.cmp(&other.version));
        for pair in units.windows(2) {
            if pair[0].version == pair[1].version {
                return Err(Error::config(format!(
                    "the migrations {} and {} have the same version",
                    pair[0].name, pair[1].name
                )));
            }
        }
        Ok(units)
    }

    pub(super) fn called(&self) -> String {
        super::assess::called(&self.version, &self.name)
    }

    pub(super) fn file(&self) -> Option<&'a Path> {
        match self.source {
            Source::File(file) => Some(file.path()),
            Source::Code(_) => None,
        }
    }

    /// The text of one direction; `None` for code, and where there is no way back.
    pub(super) fn part(&self, up: bool) -> Option<&'a Part> {
        match self.source {
            Source::File(file) if up => Some(&file.up),
            Source::File(file) => file.down.as_ref(),
            Source::Code(_) => None,
        }
    }

    pub(super) fn squashes(&self) -> &'a [Version] {
        self.part(true).map(|part| part.directives.squashes.as_slice()).unwrap_or_default()
    }

    /// For code, nobody knows before it is called: then what it says counts.
    pub(super) fn is_reversible(&self) -> bool {
        match self.source {
            Source::File(file) => file.down.as_ref().is_some_and(|down| !down.is_empty()),
            Source::Code(_) => true,
        }
    }

    /// What is different from the statements that were applied, in words, and where the first change is.
    pub(super) fn changes_since(&self, applied: &[String]) -> (Vec<String>, Option<Place>) {
        let Some(part) = self.part(true) else {
            return (vec!["its mark is another".to_owned()], None);
        };
        let (mut changes, mut first, mut left) = (Vec::new(), None, applied.to_vec());
        for (index, digest) in self.checksum.statements.iter().enumerate() {
            if let Some(at) = left.iter().position(|one| one == digest) {
                left.remove(at);
                continue;
            }
            let place = place_of(part, &part.script.statements[index]);
            changes.push(format!("statement {} ({place}) is new or changed", index + 1));
            first.get_or_insert(place);
        }
        match left.len() {
            0 => {}
            1 => changes.push("1 statement of what was applied is gone".to_owned()),
            gone => changes.push(format!("{gone} statements of what was applied are gone")),
        }
        if changes.is_empty() {
            changes.push("its statements stand in another order".to_owned());
        }
        (changes, first)
    }
}
