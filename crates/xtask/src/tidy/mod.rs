//! `cargo xtask tidy`: what the compiler does not check about the shape of this repository.
//!
//! Every check is a pure function from the repository's text to remarks, so that its unit tests can show it failing.

mod code;
mod crates;
mod floors;
mod names;
mod papers;
mod purity;
mod sizes;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use tree::Tree;

/// Something that a check has to say about a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Remark {
    file: String,
    line: usize,
    weight: Weight,
    message: String,
}

/// Whether a remark fails the chore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// The rule is broken.
    Fault,
    /// Look again; nothing is broken.
    Look,
}

impl Remark {
    fn fault(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, weight: Weight::Fault, message: message.into() }
    }

    fn look(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, weight: Weight::Look, message: message.into() }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.weight {
            Weight::Fault => "fault",
            Weight::Look => "look again",
        };
        write!(f, "{}:{}: {word}: {}", self.file, self.line, self.message)
    }
}

/// Runs every check on the repository at `root` and fails where a rule is broken.
pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let remarks = check(&tree);
    for remark in &remarks {
        println!("{remark}");
    }
    let faults = remarks.iter().filter(|remark| remark.weight == Weight::Fault).count();
    if faults > 0 {
        bail!("tidy: {faults} fault(s) in {} files", tree.len());
    }
    println!("tidy: {} files, {} to look at again, no faults", tree.len(), remarks.len());
    Ok(())
}

fn check(tree: &Tree) -> Vec<Remark> {
    let checks: [fn(&Tree) -> Vec<Remark>; 7] = [
        floors::check,
        purity::check,
        crates::check,
        sizes::check,
        names::check,
        papers::check,
        words::check,
    ];
    let mut remarks: Vec<Remark> = checks.iter().flat_map(|check| check(tree)).collect();
    remarks.sort();
    remarks
}
