//! The program `confiture`: arguments in, text or JSON and an exit status out.

mod args;
mod commands;
mod confirm;
mod database;
mod event_log;
mod exit_code;
mod invocation;
mod monitor;
mod output;
mod panic;
mod progress;
mod report;
mod runtime;
mod scratches;
mod terminal;

use std::process::ExitCode;

use invocation::Invocation;

fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(stop) => return stop.print(),
    };
    let invocation = Invocation::new(&cli.global, cli.command.name());
    panic::catch(&invocation, || {
        let outcome =
            invocation.enter(cli.global.project.as_deref()).and_then(|()| cli.command.run(&invocation));
        output::show(&invocation.terminal, invocation.command, outcome)
    })
}
