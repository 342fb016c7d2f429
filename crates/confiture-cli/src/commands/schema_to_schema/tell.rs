//! `confiture migrate schema-to-schema pause`, `resume` and `throttle`.

use confiture::schema_to_schema::Order;

use super::flags::Selection;
use super::options::{SchemaToSchemaOptions, Step};
use crate::args::rows;

/// Pauses a run that is at work: it neither copies nor applies, and changes go on being captured.
#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    #[command(flatten)]
    migration: Selection,
}

/// Lets a paused run go on.
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    #[command(flatten)]
    migration: Selection,
}

/// Tells a run how fast it may be; without a figure, as fast as it can.
#[derive(Debug, clap::Args)]
pub(super) struct Throttle {
    #[command(flatten)]
    migration: Selection,

    /// Rows that it may write a second.
    #[arg(long, value_name = "ROWS", value_parser = rows)]
    rows: Option<u64>,

    /// Bytes that it may send a second.
    #[arg(long, value_name = "BYTES", value_parser = rows)]
    bytes: Option<u64>,
}

fn told(migration: Selection, order: Order) -> SchemaToSchemaOptions {
    let mut options = SchemaToSchemaOptions::new(Step::Tell(order));
    migration.fill(&mut options);
    options
}

impl Pause {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        told(self.migration, Order::Pause)
    }
}

impl Resume {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        told(self.migration, Order::Resume)
    }
}

impl Throttle {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let positive = |figure: Option<u64>| figure.filter(|figure| *figure > 0);
        let order =
            Order::Throttle { rows_per_second: positive(self.rows), bytes_per_second: positive(self.bytes) };
        told(self.migration, order)
    }
}
