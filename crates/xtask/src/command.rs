//! Running programs, shown before they run.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Set once the user has asked to stop; no further program is started.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C ends the program that is running, which gets the same signal, and not the chore itself: it ends
/// by way of an error, so that what it started is stopped.
pub(crate) async fn note_interrupts() {
    while tokio::signal::ctrl_c().await.is_ok() {
        INTERRUPTED.store(true, Ordering::SeqCst);
    }
}

/// True once the user has asked to stop.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// The cargo that runs this chore. It is not told of this package, as it has told this chore: build scripts that look at
/// that would run again, and what needs them would be built again, each time that a chore and a user take turns.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    for (name, _) in env::vars_os() {
        let of_this_package = ["CARGO_MANIFEST_", "CARGO_PKG_"];
        if of_this_package.iter().any(|start| name.to_string_lossy().starts_with(start)) {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Shows the command, runs it with this chore's terminal, and fails where it fails. Gives how long it took.
pub(crate) fn run(command: &mut Command) -> Result<Duration> {
    let shown = shown(command);
    eprintln!("\n$ {shown}");
    if is_interrupted() {
        bail!("interrupted");
    }
    let start = Instant::now();
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    if is_interrupted() {
        bail!("interrupted during `{shown}`");
    }
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(start.elapsed())
}

/// Runs the command unseen and gives what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    if is_interrupted() {
        bail!("interrupted");
    }
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}", output.status, last_lines(&said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The end of what a program said: enough to see why it failed, on one line.
pub(crate) fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" | ");
    if last.is_empty() { "it said nothing".to_owned() } else { last }
}

/// Where a program is in `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    let words = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}
