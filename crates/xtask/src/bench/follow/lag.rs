//! How far behind the target is while the source is busy.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::super::stage::Stage;
use super::super::table::{Row, Unit};
use super::scene::{Scene, load, pgbench};

const DATABASE: &str = "lag";

/// How long the source is busy.
const SECONDS: &str = "20";

const WRITER: &str = "\\set kind random(1, 100)\n\
    INSERT INTO event VALUES (nextval('event_number'), now(), :kind, 'something happened');\n";
const HEARTBEAT: &str = "UPDATE heartbeat SET at = clock_timestamp(), number = number + 1 WHERE id = 1;\n";
/// How old the newest heartbeat is that the target has.
const LOOK: &str = "INSERT INTO look SELECT extract(epoch FROM clock_timestamp() - at) FROM heartbeat;\n";

/// pgbench with 8 clients, and 1,000 rows a second into a table that is mapped.
pub(in super::super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for feed in ["wal", "queue"] {
        rows.extend(Scene::play(stage.program, stage.psql.server.bin_dir(), |scene| one(scene, feed))?);
    }
    Ok(rows)
}

fn one(scene: &Scene<'_>, feed: &str) -> Result<Vec<Row>> {
    scene.databases(DATABASE, 10, 1000)?;
    scene.source.sql(DATABASE, "CREATE SEQUENCE event_number")?;
    scene.target.sql(DATABASE, "CREATE UNLOGGED TABLE look (age double precision NOT NULL)")?;
    let follower = scene.follow(DATABASE, feed)?;
    scene.settle(DATABASE, &follower)?;
    let first = scene.target.sql(DATABASE, "SELECT coalesce(max(id), 0) FROM confiture.batch")?;
    let mut busy = pgbench(&scene.source, DATABASE);
    busy.args(["--no-vacuum", "--client", "8", "--jobs", "2", "--time", SECONDS]);
    let mut all = vec![busy];
    for (psql, name, script, rate, clients) in [
        (&scene.source, "writer.sql", WRITER, "1000", "2"),
        (&scene.source, "heartbeat.sql", HEARTBEAT, "50", "1"),
        (&scene.target, "look.sql", LOOK, "50", "1"),
    ] {
        let mut pgbench = pgbench(psql, DATABASE);
        pgbench.args(["--no-vacuum", "--client", clients, "--rate", rate, "--time", SECONDS]);
        pgbench.arg("--file").arg(scene.script(name, script)?);
        all.push(pgbench);
    }
    let children = all
        .iter_mut()
        .map(|command| command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn())
        .collect::<std::io::Result<Vec<_>>>()
        .context("cannot run pgbench")?;
    let mut said = Vec::new();
    for child in children {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("pgbench failed ({})", output.status);
        }
        said.push(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let number = scene.beat(DATABASE)?;
    scene.wait_for_beat(DATABASE, &number)?;
    follower.stop()?;
    let tps = |said: &str| {
        said.lines().find_map(|line| line.strip_prefix("tps = ")?.split('.').next()).unwrap_or("?").to_owned()
    };
    let quantiles = |of: &str, from: &str| -> Result<[f64; 2]> {
        let query = format!(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY {of}), percentile_cont(0.99) WITHIN GROUP (ORDER BY {of}) FROM {from}"
        );
        let answer = scene.target.sql(DATABASE, &query)?;
        let (half, most) = answer.split_once('|').context("no quantiles")?;
        Ok([half.parse()?, most.parse()?])
    };
    let batches = format!("confiture.batch WHERE id > {first}");
    let marker = quantiles("lag_ms / 1000", &batches)?;
    let elapsed = quantiles("elapsed_ms / 1000", &batches)?;
    let age = quantiles("age", "look")?;
    let sizes = scene.target.sql(
        DATABASE,
        &format!("SELECT count(*) || ' batches of ' || round(avg(keys)) || ' keys, ' || round(avg(row_changes)) || ' changes' FROM {batches}"),
    )?;
    eprintln!(
        "  {feed}: pgbench {} tps, writer {} tps; {sizes}; batch p50 {:.0} ms, p99 {:.0} ms; load {:.1}",
        tps(&said[0]),
        tps(&said[1]),
        elapsed[0] * 1e3,
        elapsed[1] * 1e3,
        load()
    );
    let row = |what: &str, figure: f64| {
        Row::new(format!("follow: {feed}, {what} / 1 s"), figure, 1.0, Unit::Seconds, 1.0)
    };
    Ok(vec![
        row("marker lag p50", marker[0]),
        row("marker lag p99", marker[1]),
        row("age of the target p50", age[0]),
        row("age of the target p99", age[1]),
    ])
}
