//! Commands at moments of a cutover: what they hear, and how they end.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use confiture::config::{Hook, Hooks, Moment};
use confiture::event::{Event, Execution, Observer};
use confiture::hook::{Occasion, run};
use confiture::{ErrorKind, Result};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        if let Event::Note { message } = event {
            self.0.lock().unwrap().push(message.clone());
        }
    }
}

/// Runs these at the moment `fenced`; what they say, and how it ended.
async fn run_all(commands: &[&str], at_most: Duration, folder: &Path) -> (Vec<String>, Result<()>) {
    let mut hooks = Hooks::default().with(Hook::command(Moment::Switched, "echo not now"));
    for command in commands {
        hooks = hooks.with(Hook::command(Moment::Fenced, *command));
    }
    let event = json!({"event": "fenced", "to": "postgresql://db2/shop", "attempt": 2, "tables": ["a"]});
    let heard = Heard::default();
    let execution = Execution::new(Arc::new(heard.clone()), CancellationToken::new());
    let occasion = Occasion { hooks: &hooks, moment: Moment::Fenced, event: &event, at_most, folder };
    let outcome = run(&occasion, &execution).await;
    (heard.0.lock().unwrap().clone(), outcome)
}

/// What `ps` says of a process that wrote its pid into a file.
fn is_there(file: &Path) -> bool {
    let pid = std::fs::read_to_string(file).unwrap();
    let output = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    // One that has ended, and that nobody waits for in a container without an init.
    !state.trim().is_empty() && !state.starts_with('Z')
}

#[tokio::test]
async fn a_command_reads_the_event_and_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let commands = [
        "cat > event; pwd",
        "echo $CONFITURE_EVENT to $CONFITURE_EVENT_TO, attempt $CONFITURE_EVENT_ATTEMPT; echo \"${CONFITURE_EVENT_TABLES-none}\"",
        "exec <&-; echo without reading",
    ];
    let (heard, outcome) = run_all(&commands, LONG, folder.path()).await;
    outcome.unwrap();
    let here = std::fs::canonicalize(folder.path()).unwrap().display().to_string();
    assert_eq!(
        heard,
        [here.as_str(), "fenced to postgresql://db2/shop, attempt 2", "none", "without reading"]
    );
    let event: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("event")).unwrap()).unwrap();
    assert_eq!(event["tables"], json!(["a"]));
}

#[tokio::test]
async fn one_that_fails_is_the_last_and_its_last_words_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let loud = "for i in $(seq 30); do echo line $i; done; echo no >&2; exit 3";
    let (heard, outcome) = run_all(&[loud, "echo after"], LONG, folder.path()).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.message(), "the hook fenced: its command ended with exit status: 3");
    assert_eq!(heard.len(), 30);
    let detail = error.server_detail().unwrap();
    assert!(detail.lines().count() == 10 && detail.contains("line 30") && detail.contains("no"), "{detail}");
    assert!(!detail.contains("line 20"), "{detail}");
}

#[tokio::test]
async fn at_its_deadline_a_command_ends_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    // One that listens to SIGTERM, and one that does not, each with a process of its own.
    let polite = "echo started; sleep 600 & echo $! > polite; wait";
    let stubborn = "trap '' TERM; (trap '' TERM; sleep 600) & echo $! > stubborn; wait; sleep 600";
    for (command, file) in [(polite, "polite"), (stubborn, "stubborn")] {
        let begin = Instant::now();
        let (_, outcome) = run_all(&[command], Duration::from_millis(300), folder.path()).await;
        let error = outcome.unwrap_err();
        assert!(
            error.message().starts_with("the hook fenced: it took longer than 29")
                || error.message().contains("300ms"),
            "{error}"
        );
        assert!(begin.elapsed() < Duration::from_secs(10), "{file} took {:?}", begin.elapsed());
        assert!(!is_there(&folder.path().join(file)), "{file} goes on");
    }
}

#[tokio::test]
async fn what_is_left_in_the_background_does_not_hold_up() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let (heard, outcome) = run_all(&["sleep 600 & echo $! > left; echo up"], LONG, folder.path()).await;
    outcome.unwrap();
    assert_eq!(heard, ["up"]);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(is_there(&folder.path().join("left")));
    let pid = std::fs::read_to_string(folder.path().join("left")).unwrap();
    std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
}

#[tokio::test]
async fn whoever_stops_waiting_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let hooks =
        Hooks::default().with(Hook::command(Moment::Fenced, "echo $$ > pid.tmp; mv pid.tmp pid; sleep 600"));
    let (event, file) = (json!({}), folder.path().join("pid"));
    let occasion = Occasion {
        hooks: &hooks,
        moment: Moment::Fenced,
        event: &event,
        at_most: LONG,
        folder: folder.path(),
    };
    let interrupt = CancellationToken::new();
    let execution = Execution::new(Arc::new(()), interrupt.clone());
    let started = async {
        while !file.exists() {
            tokio::task::yield_now().await;
        }
    };
    // Dropped in the middle.
    tokio::select! {
        outcome = run(&occasion, &execution) => panic!("{outcome:?}"),
        () = started => {}
    }
    while is_there(&file) {}
    std::fs::remove_file(&file).unwrap();
    // Interrupted.
    let (outcome, ()) = tokio::join!(run(&occasion, &execution), async {
        while !file.exists() {
            tokio::task::yield_now().await;
        }
        interrupt.cancel();
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(!is_there(&file));
}
