//! Cases as files have them: `-- case: NAME`, then `-- old`, `-- new`, and rows for the old one where there are some;
//! `-- since: 15` where an older server cannot read them, `-- until: 17` where a newer one does not.

use std::fs;
use std::path::Path;

/// Two schemas, and rows that have to survive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) rows: String,
    /// Text that the steps up, their hazards, or the remarks, have.
    pub(crate) expected: Vec<String>,
    /// Text that they have not.
    pub(crate) never: Vec<String>,
    /// In the forms that let others go on working.
    pub(crate) online: bool,
    /// Its new side is made from nothing too.
    pub(crate) from_nothing: bool,
    /// `--rename`, once for each.
    pub(crate) renames: Vec<String>,
    /// `--no-rename`, once for each.
    pub(crate) no_renames: Vec<String>,
    /// The first server that knows what it says.
    pub(crate) since: u32,
    /// The last one that takes it, where a newer one does not.
    pub(crate) until: Option<u32>,
}

impl Case {
    /// True where a server of that major version takes it.
    pub(crate) fn is_for(&self, major: u32) -> bool {
        self.since <= major && self.until.is_none_or(|until| major <= until)
    }
}

pub(crate) fn read_all(folder: &Path) -> Vec<Case> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Case> {
    let kind = file.file_stem().unwrap().to_string_lossy().into_owned();
    let text = fs::read_to_string(file).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut part = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("-- case: ") {
            let name = format!("{kind}/{name}");
            cases.push(Case { name, online: true, from_nothing: true, ..Case::default() });
            part = "";
            continue;
        }
        if let (Some(rename), Some(case)) = (line.strip_prefix("-- rename: "), cases.last_mut()) {
            case.renames.push(rename.to_owned());
            continue;
        }
        if let (Some(rename), Some(case)) = (line.strip_prefix("-- no-rename: "), cases.last_mut()) {
            case.no_renames.push(rename.to_owned());
            continue;
        }
        if let (Some(since), Some(case)) = (line.strip_prefix("-- since: "), cases.last_mut()) {
            case.since = since.parse().unwrap();
            continue;
        }
        if let (Some(until), Some(case)) = (line.strip_prefix("-- until: "), cases.last_mut()) {
            case.until = Some(until.parse().unwrap());
            continue;
        }
        match line {
            "-- both" => part = "both",
            "-- old" => part = "old",
            "-- new" => part = "new",
            "-- rows" => part = "rows",
            "-- expect" => part = "expect",
            "-- never" => part = "never",
            line => {
                let Some(case) = cases.last_mut() else { continue };
                let add = |text: &mut String| {
                    text.push_str(line);
                    text.push('\n');
                };
                match part {
                    "old" => add(&mut case.old),
                    "new" => add(&mut case.new),
                    "rows" => add(&mut case.rows),
                    "expect" => case.expected.push(line.to_owned()),
                    "never" => case.never.push(line.to_owned()),
                    "both" => {
                        add(&mut case.old);
                        add(&mut case.new);
                    }
                    _ => assert!(line.trim().is_empty() || line.starts_with("--"), "{}: {line}", case.name),
                }
            }
        }
    }
    cases
}
