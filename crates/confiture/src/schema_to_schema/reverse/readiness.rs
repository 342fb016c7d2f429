//! Whether the way back can be gone: planned like any migration, with the sides exchanged, and looked at as if it began now.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::feed::Obstacle;
use crate::schema_to_schema::live::capture::plan_capture;
use crate::schema_to_schema::live::{Capture, feed};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::preflight;
use crate::schema_to_schema::reverse::ReverseMapping;

impl Migration {
    /// Plans the way back: the new side's server checks every expression, as it does for the way there. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the place under `reverse:`, where an expression does not hold; [`ErrorKind::Connect`].
    pub async fn plan_reverse(&self, reverse: &ReverseMapping, execution: &Execution) -> Result<Self> {
        let options = Options { probe: Duration::ZERO, ..reverse.options(&self.options) };
        Box::pin(Self::plan(options, execution)).await
    }

    /// Of a planned way back: what stands in its way on either side. Changes on the new side must be capturable by the keys
    /// that the old tables have, by the WAL or the queue, and the old side's role must be allowed to write. Empty where it
    /// can be armed now. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`], and where a server cannot be asked.
    pub async fn obstacles_of_following(&self, capture: Capture) -> Result<Vec<Obstacle>> {
        let mut found = Vec::new();
        match plan_capture(&self.plan, &self.source, &self.source_catalog).await {
            Ok(captured) => {
                found.extend(feed::obstacles_of(capture, self, &captured).await?);
            }
            Err(error) => found.push(obstacle(error)?),
        }
        if let Err(error) = preflight::check_privileges(self).await {
            found.push(obstacle(error)?);
        }
        Ok(found)
    }
}

/// What an error says, unless it says nothing of the migration.
fn obstacle(error: Error) -> Result<Obstacle> {
    if error.kind() == ErrorKind::Connect {
        return Err(error);
    }
    let hint = error.hints().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Ok(Obstacle { message: error.to_string(), hint, fatal: true })
}
