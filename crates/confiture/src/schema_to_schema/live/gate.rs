//! Lets chunks and batches pass: not while somebody has paused the run, and not faster than they were told to be.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::event::Execution;
use crate::schema_to_schema::live::ledger::Control;

/// Who wants to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passer {
    /// A chunk of a table that is being copied.
    Chunk,
    /// A batch of changes. What holds copying back does not hold these: applying them is what helps.
    Batch,
}

/// Whether the gate is closed, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    ClosedToChunks,
    Closed,
}

/// What everybody passes.
pub(crate) struct Gate {
    state: watch::Sender<State>,
    budget: Mutex<Budget>,
}

/// When more may be done.
struct Budget {
    control: Control,
    /// When what was done so far is paid for.
    paid: Instant,
}

impl Gate {
    /// An open gate.
    pub(crate) fn new() -> Self {
        let budget = Budget { control: Control::default(), paid: Instant::now() };
        Self { state: watch::Sender::new(State::Open), budget: Mutex::new(budget) }
    }

    /// Sets what was told; `held` keeps chunks back for another reason.
    pub(crate) fn set(&self, control: &Control, held: bool) {
        self.budget.lock().expect("not poisoned").control = control.clone();
        let state = match (control.paused, held) {
            (true, _) => State::Closed,
            (false, true) => State::ClosedToChunks,
            (false, false) => State::Open,
        };
        self.state.send_if_modified(|was| std::mem::replace(was, state) != state);
    }

    /// Returns when the gate is open and what was done before is paid for.
    pub(crate) async fn wait(&self, passer: Passer, execution: &Execution) -> Result<()> {
        let pass = async {
            let mut state = self.state.subscribe();
            let passes = |state: &State| {
                *state == State::Open || (*state == State::ClosedToChunks && passer == Passer::Batch)
            };
            loop {
                if state.wait_for(passes).await.is_err() {
                    return;
                }
                let paid = self.budget.lock().expect("not poisoned").paid;
                let left = paid.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return;
                }
                sleep(left.min(Duration::from_millis(500))).await;
            }
        };
        tokio::select! {
            () = pass => Ok(()),
            () = execution.interrupted() => Err(Error::interrupted("stopped while it was paused")),
        }
    }

    /// Says what was done, to be paid for in time.
    pub(crate) fn spend(&self, rows: u64, bytes: u64) {
        let mut budget = self.budget.lock().expect("not poisoned");
        let seconds = |done: u64, most: Option<u64>| most.map_or(0.0, |most| done as f64 / most as f64);
        let control = &budget.control;
        let cost = seconds(rows, control.rows_per_second).max(seconds(bytes, control.bytes_per_second));
        let from = budget.paid.max(Instant::now());
        budget.paid = from + Duration::from_secs_f64(cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_paid_for() {
        let gate = Gate::new();
        gate.set(&Control { rows_per_second: Some(1000), ..Control::default() }, false);
        gate.spend(500, 0);
        let left = gate.budget.lock().unwrap().paid.saturating_duration_since(Instant::now());
        assert!(left > Duration::from_millis(400) && left <= Duration::from_millis(500), "{left:?}");
    }

    #[tokio::test]
    async fn nobody_passes_a_closed_gate() {
        let gate = Gate::new();
        gate.set(&Control { paused: true, ..Control::default() }, false);
        let execution = Execution::unattended();
        for passer in [Passer::Chunk, Passer::Batch] {
            let waiting = tokio::time::timeout(Duration::from_millis(50), gate.wait(passer, &execution));
            assert!(waiting.await.is_err());
        }
        gate.set(&Control::default(), true);
        gate.wait(Passer::Batch, &execution).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(50), gate.wait(Passer::Chunk, &execution));
        assert!(waiting.await.is_err());
        gate.set(&Control::default(), false);
        gate.wait(Passer::Chunk, &execution).await.unwrap();
    }
}
