//! The figures as Prometheus reads them: text format 0.0.4, base units, one HELP and one TYPE for each name.

use std::fmt::{Display, Write as _};

use confiture::schema_to_schema::FollowingStatus;
use confiture::schema_to_schema::watch::{ServerSight, Side, Sight};

use super::state::{Seen, seconds};

/// All metrics.
pub(super) fn render(seen: &Seen) -> String {
    let mut page = Exposition::default();
    monitor(&mut page, seen);
    for server in seen.look.iter().flat_map(|look| &look.servers) {
        let up = u8::from(server.error.is_none());
        page.gauge("confiture_server_up", "Whether a server answers.", &[("side", side(server))], up);
    }
    for server in seen.look.iter().flat_map(|look| &look.servers).filter(|server| server.error.is_none()) {
        of_server(&mut page, server);
    }
    // What is old is not told as if it were new: a gap in a graph says so.
    let sight = seen.look.as_ref().and_then(|look| look.sight.as_ref());
    let present = u8::from(sight.is_some());
    page.gauge("confiture_migration_present", "Whether the target remembers a migration.", &[], present);
    if let Some(sight) = sight {
        of_migration(&mut page, sight);
    }
    page.finish()
}

fn monitor(page: &mut Exposition, seen: &Seen) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.gauge("confiture_monitor_info", "The monitor.", &version, 1);
    page.counter("confiture_monitor_looks_total", "Looks since the monitor began.", &[], seen.looks);
    let took = seen.took.as_secs_f64();
    page.gauge("confiture_monitor_look_seconds", "How long the last look took.", &[], took);
    if let Some(at) = seen.looked_at {
        let help = "When it was last looked.";
        page.gauge("confiture_monitor_last_look_timestamp_seconds", help, &[], seconds(at));
    }
}

fn of_server(page: &mut Exposition, server: &ServerSight) {
    let side = ("side", side(server));
    for database in &server.databases {
        let states = [
            ("active", database.active),
            ("idle", database.idle),
            ("idle_in_transaction", database.idle_in_transaction),
        ];
        for (state, number) in states {
            let labels = [side, ("database", database.database.as_str()), ("state", state)];
            page.gauge("confiture_server_connections", "Connections by database and state.", &labels, number);
        }
    }
    if let Some(database) = server.databases.first() {
        let help = "Connections that the server allows.";
        page.gauge("confiture_server_max_connections", help, &[side], database.allowed);
    }
    let oldest =
        server.databases.iter().map(|database| database.oldest_transaction_seconds).fold(0.0, f64::max);
    page.gauge(
        "confiture_server_oldest_transaction_seconds",
        "Age of the oldest transaction.",
        &[side],
        oldest,
    );
    let (waits, slow) = (server.lock_waits.len(), server.slow_statements.len());
    page.gauge(
        "confiture_server_lock_waiters",
        "Sessions that wait for a lock (20 at most).",
        &[side],
        waits,
    );
    let longest = server.lock_waits.iter().map(|wait| wait.waits_seconds).fold(0.0, f64::max);
    page.gauge(
        "confiture_server_longest_lock_wait_seconds",
        "The longest wait for a lock.",
        &[side],
        longest,
    );
    let help = "Statements that have been running for more than five seconds (20 at most).";
    page.gauge("confiture_server_slow_statements", help, &[side], slow);
    for slot in &server.retained {
        if let Some(bytes) = slot.bytes_kept {
            let help = "WAL that a logical replication slot keeps.";
            page.gauge("confiture_slot_retained_bytes", help, &[side, ("slot", &slot.slot)], bytes);
        }
    }
    if let Some(obstacles) = &server.obstacles {
        let help = "Prepared transactions that are open.";
        page.gauge("confiture_server_prepared_transactions", help, &[side], obstacles.prepared_transactions);
        let help = "Age of the oldest transaction that has written.";
        page.gauge("confiture_server_oldest_writer_seconds", help, &[side], obstacles.oldest_writer_seconds);
    }
}

fn side(server: &ServerSight) -> &'static str {
    match server.side {
        Side::Source => "source",
        Side::Target => "target",
    }
}

fn of_migration(page: &mut Exposition, sight: &Sight) {
    let status = &sight.status;
    let labels = [("source", status.source.as_str()), ("target", status.target.as_str())];
    page.gauge("confiture_migration_info", "The migration.", &labels, 1);
    let at_work = u8::from(status.at_work.is_some());
    page.gauge("confiture_run_at_work", "Whether a run is at work.", &[], at_work);
    page.counter("confiture_copied_rows_total", "Rows copied, of all tables.", &[], sight.copied_rows);
    page.counter("confiture_copied_bytes_total", "Bytes copied, of all tables.", &[], sight.copied_bytes);
    for table in &status.tables {
        let name = table.table.to_string();
        let label = ("table", name.as_str());
        page.gauge("confiture_table_copied_rows", "Rows copied.", &[label], table.rows);
        if let Some(expected) = table.expected_rows {
            page.gauge(
                "confiture_table_expected_rows",
                "Rows of the source, by estimate.",
                &[label],
                expected,
            );
        }
        page.gauge(
            "confiture_table_waiting_keys",
            "Keys that wait for the table.",
            &[label],
            table.waiting_keys,
        );
        for state in ["copying", "copied", "indexing", "catching_up", "following", "finished"] {
            let labels = [label, ("state", state)];
            let is_it = u8::from(table.state == state);
            page.gauge("confiture_table_state", "1 for the state that the table is in.", &labels, is_it);
        }
        if let Some(known) = &table.coverage {
            let help = "How long ago the table was found equal to its source.";
            page.gauge("confiture_table_compared_age_seconds", help, &[label], known.seconds_ago);
            let help = "Keys that were touched since the table was found equal.";
            page.gauge("confiture_table_touched_keys", help, &[label], known.touched_keys);
        }
    }
    if let Some(following) = &status.following {
        of_following(page, sight, following);
    }
    let off = &sight.taken_off;
    for (kind, number) in
        [("index", off.indexes_off), ("foreign_key_or_trigger", off.foreign_keys_and_triggers_off)]
    {
        let help = "What is taken off the target's tables.";
        page.gauge("confiture_target_taken_off", help, &[("kind", kind)], number);
    }
    for (kind, number) in [("index", off.indexes_not_valid), ("foreign_key", off.foreign_keys_not_valid)] {
        let help = "What is not valid on the target's tables.";
        page.gauge("confiture_target_not_valid", help, &[("kind", kind)], number);
    }
    if let Some(stall) = sight.cutovers.iter().find_map(|cutover| cutover.stall_ms) {
        let help = "How long writes had to wait in the last cutover or rollback.";
        page.gauge("confiture_cutover_stall_seconds", help, &[], stall / 1e3);
    }
}

fn of_following(page: &mut Exposition, sight: &Sight, following: &FollowingStatus) {
    for phase in ["preparing", "copying", "catching_up", "following", "armed", "cut_over", "immediate"] {
        let is_it = u8::from(following.phase.word() == phase);
        page.gauge(
            "confiture_phase",
            "1 for the phase that the migration is in.",
            &[("phase", phase)],
            is_it,
        );
    }
    let paused = u8::from(following.paused);
    page.gauge("confiture_paused", "Whether somebody has paused it.", &[], paused);
    let stopped = u8::from(following.stopped_because.is_some());
    page.gauge("confiture_stopped_by_error", "Whether the last run stopped by an error.", &[], stopped);
    page.counter("confiture_batches_total", "Batches applied.", &[], following.batches);
    let help = "Row changes that the feed has told, where it knows them.";
    page.counter("confiture_row_changes_total", help, &[], following.row_changes);
    if let Some(lag) = following.lag {
        let help = "From a snapshot of the source until all that it sees had been told: the last marker's round trip.";
        page.gauge("confiture_marker_lag_seconds", help, &[], lag / 1e3);
    }
    if let Some(ago) = following.seen_seconds_ago {
        let help = "How long ago the target last was a picture of the source.";
        page.gauge("confiture_picture_age_seconds", help, &[], ago.max(0.0));
    }
    page.gauge("confiture_waiting_keys", "Keys that wait for their table.", &[], following.waiting_keys);
    let help = "What the source keeps for the feed.";
    page.gauge("confiture_source_retained_bytes", help, &[], following.retained_bytes);
    if let Some(oldest) = following.oldest_snapshot_seconds {
        let help = "Age of the oldest snapshot that a run holds on the source.";
        page.gauge("confiture_source_oldest_snapshot_seconds", help, &[], oldest.max(0.0));
    }
    if let Some(pace) = &sight.pace {
        let help = "Rows a second that batches wrote in the last minute.";
        page.gauge("confiture_applied_rows_per_second", help, &[], pace.rows_per_second);
        let lags =
            ("confiture_batch_lag_seconds", "Marker lag in the last minute, by quantile.", pace.lag_ms);
        let times = (
            "confiture_batch_seconds",
            "Time that a batch took in the last minute, by quantile.",
            pace.batch_ms,
        );
        for (name, help, found) in [lags, times] {
            for (quantile, value) in ["0.5", "0.95", "0.99"].into_iter().zip(found.into_iter().flatten()) {
                page.gauge(name, help, &[("quantile", quantile)], value / 1e3);
            }
        }
    }
    if let Some(last) = sight.comparisons.first() {
        let equal = u8::from(last.ok);
        page.gauge(
            "confiture_comparison_equal",
            "Whether the last comparison found both sides equal.",
            &[],
            equal,
        );
        let help = "When both sides were last compared.";
        page.gauge("confiture_comparison_timestamp_seconds", help, &[], last.at);
        page.gauge("confiture_comparison_rows", "Rows that the last comparison compared.", &[], last.rows);
    }
}

/// Samples by name: all of one name stand together, under one HELP and one TYPE.
#[derive(Default)]
struct Exposition {
    families: Vec<Family>,
}

struct Family {
    name: &'static str,
    head: String,
    samples: String,
}

impl Exposition {
    fn gauge(&mut self, name: &'static str, help: &str, labels: &[(&str, &str)], value: impl Display) {
        self.add("gauge", name, help, labels, &value);
    }

    fn counter(&mut self, name: &'static str, help: &str, labels: &[(&str, &str)], value: impl Display) {
        self.add("counter", name, help, labels, &value);
    }

    fn add(
        &mut self,
        kind: &str,
        name: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        value: &dyn Display,
    ) {
        let index = self.families.iter().position(|family| family.name == name).unwrap_or_else(|| {
            let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
            self.families.push(Family { name, head, samples: String::new() });
            self.families.len() - 1
        });
        let samples = &mut self.families[index].samples;
        samples.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let escaped = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(samples, "{}{label}=\"{escaped}\"", if index == 0 { '{' } else { ',' });
        }
        let _ = writeln!(samples, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn finish(self) -> String {
        self.families.into_iter().map(|family| family.head + &family.samples).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_stand_together_and_labels_are_escaped() {
        let mut page = Exposition::default();
        page.gauge("a_seconds", "A.", &[("table", "public.\"Or\\der\"\n")], 1.5);
        page.counter("b_total", "B.", &[], 7);
        page.gauge("a_seconds", "A.", &[("table", "t"), ("state", "s")], 0);
        insta::assert_snapshot!(page.finish(), @r#"
        # HELP a_seconds A.
        # TYPE a_seconds gauge
        a_seconds{table="public.\"Or\\der\"\n"} 1.5
        a_seconds{table="t",state="s"} 0
        # HELP b_total B.
        # TYPE b_total counter
        b_total 7
        "#);
    }

    #[test]
    fn before_anything_was_seen_there_is_a_page_too() {
        let page = render(&Seen::default());
        assert!(page.contains("confiture_migration_present 0\n"), "{page}");
        assert!(page.contains("confiture_monitor_looks_total 0\n"), "{page}");
    }
}
