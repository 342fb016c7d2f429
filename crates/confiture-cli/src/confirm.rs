//! The question before something that cannot be taken back.

use std::io::{self, BufRead as _, Write as _};

use confiture::{Error, Result};

use crate::terminal::Terminal;

/// Returns only where `yes` was given or the user answers it; `what` says what is about to happen.
///
/// Without a terminal there is nobody to ask, and silence is not consent.
pub(crate) fn confirm(terminal: &Terminal, yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !terminal.interactive {
        return Err(Error::refused(format!(
            "{what}, which needs a confirmation, and there is no terminal to ask on"
        ))
        .hint("look at the plan with --dry-run where the command has it, then add --yes"));
    }
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{what}.\nContinue? [y/N]: ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && is_yes(&answer) {
        return Ok(());
    }
    Err(Error::interrupted("not confirmed: nothing was changed"))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes("YES\r\n") && is_yes(" Yes "));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("n") && !is_yes("yeah") && !is_yes("ye"));
    }
}
