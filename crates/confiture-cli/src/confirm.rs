//! The question before something that cannot be taken back.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use confiture::event::Execution;
use confiture::{Error, Result};

use crate::output::sentence;
use crate::terminal::Terminal;

/// Returns only where `yes` was given or the user answers it; `what` says what is about to happen: "copying from … into …".
///
/// Without a terminal there is nobody to ask, and silence is not consent.
pub(crate) async fn confirm(terminal: &Terminal, execution: &Execution, yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !terminal.interactive {
        return Err(Error::refused(format!(
            "nothing was changed: {what} needs a yes, and there is no terminal to ask on"
        ))
        .hint("add --yes to agree"));
    }
    let mut stderr = io::stderr();
    ASKING.store(true, Ordering::Relaxed);
    let _ = write!(stderr, "{}\nContinue? [y/N]: ", sentence(what));
    let _ = stderr.flush();
    // Reading blocks, and Ctrl-C must not wait for an answer.
    let answer = tokio::task::spawn_blocking(read_line);
    let confirmed = tokio::select! {
        answer = answer => answer.is_ok_and(|answer| is_yes(&answer)),
        () = execution.interrupted() => {
            // The terminal shows ^C behind the question.
            let _ = writeln!(stderr);
            false
        }
    };
    ASKING.store(false, Ordering::Relaxed);
    if confirmed { Ok(()) } else { Err(Error::interrupted("not confirmed: nothing was changed")) }
}

/// True while a question waits for its answer: then Ctrl-C is an answer, and there is nothing to stop.
pub(crate) fn is_asking() -> bool {
    ASKING.load(Ordering::Relaxed)
}

static ASKING: AtomicBool = AtomicBool::new(false);

/// One line from stdin; nothing where it cannot be read.
fn read_line() -> String {
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(_) => answer,
        Err(_) => String::new(),
    }
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
