//! In one database: what refers to tables that change their schemas at the cutover goes with them.

use crate::error::Result;
use crate::schema_to_schema::checklist::{Check, Ground, fail, pass, some, warn};
use crate::schema_to_schema::cutover::Exchange;
use crate::schema_to_schema::live::ledger::{self, Direction};
use crate::schema_to_schema::plan::Topology;
use crate::sql::{QualifiedName, Sql};

pub(super) async fn look(ground: &Ground<'_>) -> Result<Option<Check>> {
    const WHAT: &str = "Nothing else refers to the tables that change places";
    let migration = ground.migration;
    let direction = ledger::read(&ground.target).await?.map(|record| record.direction);
    let (Topology::OneDatabase, Ok(captured), None | Some(Direction::Forward)) =
        (migration.plan.topology, &ground.captured, direction)
    else {
        return Ok(None);
    };
    let exchange = match Exchange::of_cutover(migration, &captured.tables) {
        Ok(exchange) => exchange,
        Err(error) => {
            let hint = error.hints().first().map(ToString::to_string).unwrap_or_default();
            return Ok(Some(fail("exchange", WHAT, error.to_string(), hint)));
        }
    };
    let moving = exchange.tables();
    let oids: Vec<u32> = moving
        .iter()
        .filter_map(|name| migration.source_catalog.relations.get(name).map(|relation| relation.oid))
        .collect();
    let query = Sql::literal(include_str!("../../postgres/queries/referring.sql"));
    let rows = ground.source.query(&query, &[&oids]).await?;
    let said: Vec<String> = rows
        .iter()
        .map(|row| {
            let table = QualifiedName::new(row.get::<_, String>(1), row.get::<_, String>(2));
            let then = exchange.rename(&table);
            format!("{} refers to {}, which will be {}", row.get::<_, &str>(0), table.short(), then.short())
        })
        .collect();
    Ok(Some(match said.is_empty() {
        true => pass("exchange", WHAT, "nothing does"),
        false => warn(
            "exchange",
            WHAT,
            some(&said),
            "they go with the table that they were made for: make them anew after the cutover, where they are to follow the name",
        ),
    }))
}
