//! The only place that names the driver: sessions, COPY streams, reading the catalog.

mod session;

pub use session::{Parameter, Session};
pub use tokio_postgres::Row;
