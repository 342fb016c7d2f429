//! `confiture migrate schema-to-schema monitor`.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::ValueHint;
use confiture::config::Secret;
use confiture::event::Execution;
use confiture::project::Project;
use confiture::{Error, Result, disk};
use serde_json::json;

use super::ends;
use super::flags::Selection;
use super::options::{MonitorOptions, SchemaToSchemaOptions, Step};
use super::run::{self, Named};
use crate::args::Format;
use crate::invocation::Invocation;
use crate::monitor as web;
use crate::output::{self, Reply};

/// The variable that may hold the token.
const TOKEN: &str = "CONFITURE_MONITOR_TOKEN";

/// A token that is shorter can be guessed.
const SHORTEST: usize = 16;

/// Shows a migration in a browser, until Ctrl-C: phases, tables, rates, lag, comparisons, who waits for whom.
///
/// It only looks, beside a run in another process, and before there is one. While somebody watches, the points of `checklist` are
/// looked at every few seconds. /metrics is for Prometheus. No row's value is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Monitor {
    #[command(flatten)]
    migration: Selection,

    /// Where to listen. On another address than this machine's own, whoever reaches it sees the names of your tables.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787", value_parser = address)]
    listen: SocketAddr,

    /// Let the page pause, resume and throttle a run, for whoever has the token.
    #[arg(long)]
    allow_control: bool,

    /// The file that holds the token; else CONFITURE_MONITOR_TOKEN is the token.
    #[arg(long, value_name = "FILE", requires = "allow_control", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || format!("{text} is no address and port, as 127.0.0.1:8787");
    text.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)
}

impl Monitor {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Monitor);
        self.migration.fill(&mut options);
        options.monitor = Some(MonitorOptions {
            listen: self.listen,
            allow_control: self.allow_control,
            token_file: self.token_file,
        });
        options
    }
}

/// Serves the page until Ctrl-C.
pub(super) async fn monitor(
    invocation: &Invocation,
    project: &Project,
    options: &SchemaToSchemaOptions,
    named: &Named,
    execution: &Execution,
) -> Result<Reply> {
    let Some(told) = &options.monitor else { return Reply::new(&json!({}), "") };
    let token = if told.allow_control { Some(token(invocation, told.token_file.as_deref())?) } else { None };
    if !told.listen.ip().is_loopback() {
        execution.warn(format!(
            "whoever reaches {} sees the names of tables and roles, without TLS{}",
            told.listen,
            if token.is_some() { "; the token travels in the clear, too" } else { "" }
        ));
    }
    let mapping = &named.mapping;
    let target = ends::target(project, options, mapping).await?;
    // A local server runs as long as it is held.
    let held = Mutex::new(None);
    let source = async || {
        let (source, _) = ends::source(project, options, mapping, &target).await.ok()?;
        let connection = source.connection.clone();
        held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(source);
        Some(connection)
    };
    let monitor = web::Monitor { listen: told.listen, token, target: target.connection.clone() };
    let mut address = told.listen;
    let ready = |listened: SocketAddr| {
        address = listened;
        if invocation.terminal.format == Format::Text {
            output::print(&format!("http://{listened}/ until Ctrl-C"));
        }
    };
    let list = async || run::look(project, options, named.clone(), &Execution::unattended()).await;
    web::serve(monitor, source, list, ready, execution).await?;
    Reply::new(&json!({ "address": format!("http://{address}/") }), "")
}

fn token(invocation: &Invocation, file: Option<&Path>) -> Result<Secret> {
    let text = match file {
        Some(file) => Some(disk::read_text(file)?),
        None => invocation.surroundings().variables.get(TOKEN).cloned(),
    };
    const HOW: &str = "make one: openssl rand -hex 32 > monitor.token; chmod 600 monitor.token";
    let text = text.ok_or_else(|| {
        Error::usage(format!(
            "--allow-control needs a token: --token-file FILE, or {TOKEN} in the environment"
        ))
        .hint(HOW)
    })?;
    let text = text.trim();
    if text.len() < SHORTEST || text.contains(char::is_whitespace) {
        return Err(Error::usage(format!(
            "the token is shorter than {SHORTEST} characters, or holds a blank"
        ))
        .hint(HOW));
    }
    Ok(Secret::new(text))
}
