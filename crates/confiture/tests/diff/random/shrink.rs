//! A trial that fails, made small: what can be taken away while it still fails in the same way is taken away.

use std::time::{Duration, Instant};

use local_postgres::Server;

use crate::random::{Trial, judge};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// The failure of the smallest trial that was found, with its statements.
pub(crate) async fn shrink<T: Trial>(server: &'static Server, trial: T, why: String) -> String {
    let mut small = trial;
    let mut why = why;
    let until = Instant::now() + PATIENCE;
    let mut progress = true;
    while progress && Instant::now() < until {
        progress = false;
        for candidate in small.candidates() {
            // Of what was made smaller meanwhile, only what still fits is tried.
            let Some(next) = candidate(&small) else { continue };
            if Instant::now() >= until {
                break;
            }
            if let Err(new) = judge(&next, server, String::new()).await
                && class(&new) == class(&why)
            {
                small = next;
                why = new;
                progress = true;
            }
        }
    }
    let case = small.case(server, String::new()).await;
    let (old, new) = case.map_or((String::new(), String::new()), |case| (case.old, case.new));
    format!("{why}\n-- old\n{old}-- new\n{new}")
}

/// What stays the same while a failure gets smaller: what was said, without names.
fn class(why: &str) -> String {
    let first = why.lines().next().unwrap_or_default();
    let what = first.split_once(" fails at ").and_then(|(_, rest)| Some(rest.split_once(": ")?.1));
    let unquoted: String = what.unwrap_or(first).split('"').step_by(2).collect();
    unquoted.chars().filter(|c| !c.is_ascii_digit()).take(32).collect()
}
