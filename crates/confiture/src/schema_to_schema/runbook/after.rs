//! After the cutover, and some days later.

use std::collections::BTreeSet;

use crate::catalog::RelationKind;
use crate::schema_to_schema::runbook::before::count;
use crate::schema_to_schema::runbook::during::said_of;
use crate::schema_to_schema::runbook::{Ground, Group, Step};
use crate::sql::{QualifiedName, Sql};

/// Who waits for whom, and since when: what is not granted alone does not say who is in the way.
const BLOCKED: &str = "psql -X -d \"$NEW\" -c \"SELECT pid, pg_blocking_pids(pid) AS waits_for, now() - xact_start AS since, left(query, 60) AS query FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0\"";

/// Statements that run for longer than five seconds.
const SLOW: &str = "psql -X -d \"$NEW\" -c \"SELECT pid, now() - query_start AS since, state, left(query, 60) AS query FROM pg_stat_activity WHERE state <> 'idle' AND backend_type = 'client backend' AND now() - query_start > interval '5 s'\"";

pub(super) fn after_the_cutover(ground: &Ground<'_>) -> Group {
    const USES: &str = "Application using new schema";
    let uses = match &ground.figures.switched {
        Some(switch) => Step::done(USES, format!("since {}; the old side refuses writes", said_of(switch))),
        None => Step::open(USES, "the application writes to the old side"),
    };
    let monitored = Step::people("Monitoring shows healthy metrics");
    let going_back = Step::people("Nobody needs to go back");
    let (monitored, going_back) = match ground.standard.no_way_back {
        true => (
            monitored,
            going_back.instead("there is no way: what is written since the cutover is on the new side alone"),
        ),
        false => (
            monitored.run(ground.commands.with_mapping("sync")).instead(
                "keep it running: it carries every change back to the old side, so that a rollback loses nothing",
            ),
            going_back
                .instead("writes made since the cutover are kept by a rollback")
                .run(ground.commands.with_mapping("rollback")),
        ),
    };
    let steps = vec![
        uses.run(ground.commands.with_ends("status")),
        Step::people("No errors in application logs"),
        Step::people("API endpoints responding normally"),
        Step::people("Database performance normal").run(BLOCKED).run(SLOW),
        Step::people("User-facing features working"),
        monitored,
        going_back,
    ];
    Group { id: "post-cutover", title: "Post-Cutover", steps }
}

pub(super) fn afterwards(ground: &Ground<'_>) -> Group {
    let tables = old_tables(ground);
    let dumped: String = tables.iter().map(|table| format!(" -t {}", shell(table))).collect();
    let dropped = Sql::join(", ", &tables).to_string();
    let cleanup = ground.commands.with_ends("cleanup");
    let steps = vec![
        Step::people("What captured changes is removed").run(cleanup.clone()),
        Step::people("FDW infrastructure removed").instead("the same command: it removes what it made, and nothing else").run(cleanup),
        Step::people("Old tables backed up").run(format!("pg_dump -Fc -d \"$OLD\"{dumped} -f old_tables.dump")),
        Step {
            evidence: Some(beside(ground, &tables)),
            ..Step::people("Old tables dropped")
        }
        .instead("never DROP SCHEMA … CASCADE: that takes everything else in the schema with it; without CASCADE, what still needs a table keeps it")
        .run(ground.commands.with_ends("cleanup --drop-old --keep-old 14"))
        .run(format!("psql -X -d \"$OLD\" -c {}", shell_quoted(&format!("DROP TABLE IF EXISTS {dropped}")))),
        Step::people("Statistics are fresh").run("psql -X -d \"$NEW\" -c 'ANALYZE'"),
        Step::people("Documentation updated"),
        Step::people("Post-mortem completed"),
        Step::people("Lessons learned documented"),
    ];
    Group { id: "post-migration", title: "Post-Migration (24-48 hours later)", steps }
}

/// The tables that were moved, each once.
fn old_tables<'a>(ground: &'a Ground<'_>) -> Vec<&'a QualifiedName> {
    let tables = ground.migration.plan.tables.iter().filter_map(|table| table.source.as_ref());
    tables.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What else is in the schemas of the old tables.
fn beside(ground: &Ground<'_>, moved: &[&QualifiedName]) -> String {
    let schemas: BTreeSet<&str> = moved.iter().map(|table| table.schema.as_str()).collect();
    let others = ground.migration.source_catalog.relations.values().filter(|relation| {
        schemas.contains(relation.name.schema.as_str())
            && !relation.is_partition
            && !moved.contains(&&relation.name)
    });
    let (views, tables): (Vec<_>, Vec<_>) = others
        .partition(|relation| matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView));
    let names: Vec<&str> = schemas.into_iter().collect();
    format!(
        "{} were moved; {} also holds {} and {} that were not",
        count(moved.len(), "table"),
        names.join(", "),
        count(tables.len(), "table"),
        count(views.len(), "view")
    )
}

/// A name as the patterns of `pg_dump` take it, for the shell.
fn shell(table: &QualifiedName) -> String {
    let name = table.to_string();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
    if is_plain { name } else { shell_quoted(&name) }
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
