//! A mapping whose way back gives other texts for rows that nobody has touched: they stay as they were, and the way is open.

use confiture::event::Execution;
use confiture::schema_to_schema::FeedKind;
use confiture::schema_to_schema::cutover::{Switching, active, cut_over, roll_back};

use crate::between::{assert_switched, follow};
use crate::world::{World, psql};

const OLD: &str = "
CREATE SCHEMA app;
CREATE TABLE app.people (id bigint PRIMARY KEY, full_name text NOT NULL);
INSERT INTO app.people SELECT i, 'First   Last' || i FROM generate_series(1, 10000) i;
ANALYZE;";

const NEW: &str = "
CREATE SCHEMA new;
CREATE TABLE new.people (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL);";

const MAPPING: &str = "
tables:
  new.people:
    from: app.people p
    columns: { first_name: \"split_part(p.full_name, ' ', 1)\", last_name: \"substring(p.full_name from '[^ ]+$')\" }
    reverse:
      full_name: first_name || ' ' || last_name
";

/// Changes of more rows than are written down one by one, in several batches.
#[tokio::test(flavor = "multi_thread")]
async fn many_changes_do_not_close_the_way_back() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Queue).await;
    let switching = Switching { accept_losses: true, ..Switching::default() };
    let execution = Execution::unattended();
    assert_switched(&cut_over(options.clone(), &switching, &execution).await.unwrap());
    for first in [1, 3001, 6001] {
        let change = format!(
            "UPDATE new.people SET last_name = 'New' || id WHERE id BETWEEN {first} AND {first} + 2499"
        );
        psql(&world.new, &change).await;
        follow(&active(options.clone()).await.unwrap().0, FeedKind::Queue).await;
    }
    assert_switched(&roll_back(options.clone(), &switching, &execution).await.unwrap());
    let names = psql(
        &world.old,
        "SELECT count(*) FILTER (WHERE full_name = 'First New' || id), count(*) FILTER (WHERE full_name = 'First   Last' || id)
         FROM app.people",
    );
    assert_eq!(names.await.trim(), "7500|2500", "what the way back cannot say is as it was");
}
