//! The foreign-data-wrapper strategy, beside the statement that it stands for.

use anyhow::Result;

use super::measure::{in_turns, time};
use super::stage::{BARE, SOURCE, Stage, TARGET};
use super::table::{Row, Unit};

pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let server = stage.psql.server;
    let set_up = format!(
        "CREATE EXTENSION postgres_fdw;
        CREATE SERVER source FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host '{}', port '{}', dbname '{SOURCE}', fetch_size '10000');
        CREATE USER MAPPING FOR CURRENT_USER SERVER source OPTIONS (user '{}');
        CREATE SCHEMA by_hand;
        IMPORT FOREIGN SCHEMA public LIMIT TO (account) FROM SERVER source INTO by_hand;",
        server.socket_dir().display(),
        server.port(),
        server.user(),
    );
    let by_hand = || {
        stage.reset_target(BARE)?;
        stage.psql.sql(TARGET, &set_up)?;
        let insert = [
            "--command",
            "INSERT INTO account SELECT * FROM by_hand.account",
            "--command",
            "ANALYZE account",
        ];
        time(stage.psql.on(TARGET).args(insert))
    };
    let (ours, peer) = in_turns(
        stage.runs,
        || stage.timed_migration(BARE, ["--strategy", "fdw", "--no-verify", "--yes"]),
        by_hand,
    )?;
    Ok(vec![Row::new("foreign / INSERT ... SELECT over FDW, then ANALYZE", ours, peer, Unit::Seconds, 1.0)])
}
