//! `confiture migrate up` and its kin: migrations from a folder, applied and reverted.

mod baseline;
mod down;
mod generate;
mod redo;
mod rehearsal;
mod show;
mod squash;
mod status;
mod up;
mod validate;
mod whereabouts;

pub(crate) use baseline::Baseline;
pub(crate) use down::Down;
pub(crate) use generate::Generate;
pub(crate) use redo::Redo;
pub(crate) use squash::Squash;
pub(crate) use status::Status;
pub(crate) use up::Up;
pub(crate) use validate::Validate;

use confiture::migrate::{Interrupted, Version};
use confiture::{Error, Result};

/// A version on the command line; a letter in front, as in the files' names, is taken too.
fn version(text: &str) -> Result<Version> {
    let digits = text.strip_prefix(['V', 'v']).unwrap_or(text);
    Version::parse(digits.split('_').next().unwrap_or(digits)).ok_or_else(|| {
        Error::usage(format!("`{text}` is not a version"))
            .hint("versions are digits: 003, 20260101120000, 1.2")
    })
}

/// What is known of a statement that was running when a run ended.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum InterruptedStep {
    /// It is done: go on behind it.
    Done,
    /// It is not, or may run twice: run it again.
    Again,
}

impl From<InterruptedStep> for Interrupted {
    fn from(step: InterruptedStep) -> Self {
        match step {
            InterruptedStep::Done => Self::Done,
            InterruptedStep::Again => Self::Again,
        }
    }
}
