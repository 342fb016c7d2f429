//! What the user sees of a fault of ours: one short message, no backtrace unless asked for, exit status 1.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;

use confiture::Error;

use crate::invocation::Invocation;
use crate::output;

/// Runs `work`; a panic in it becomes an error like any other.
pub(crate) fn catch(invocation: &Invocation, work: impl FnOnce() -> ExitCode) -> ExitCode {
    let with_backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    let default = panic::take_hook();
    let terminal = invocation.terminal.clone();
    panic::set_hook(Box::new(move |info| {
        if with_backtrace {
            default(info);
        }
        output::error::print(&terminal, &describe(info));
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| ExitCode::from(1))
}

/// The place of the fault; its message only where it is a fixed text, for another could hold a row's values.
fn describe(info: &PanicHookInfo<'_>) -> Error {
    let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
    let error = Error::unexpected(format!("confiture met a fault of its own{place}"));
    let error = match info.payload().downcast_ref::<&'static str>() {
        Some(message) => error.detail(*message),
        None => error,
    };
    error.hint("please report it; RUST_BACKTRACE=1 shows where it happened")
}
