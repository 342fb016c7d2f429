//! Commands at moments of a cutover: what they hear, how they end, and the application that they lead.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use confiture::config::{Hook, Hooks, Moment};
use confiture::event::{Event, Execution, Observer};
use confiture::hook::{Occasion, run};
use confiture::schema_to_schema::FeedKind;
use confiture::schema_to_schema::cutover::{Commands, Several, Switching};
use confiture::{ErrorKind, Result};
use recording_clients::{Clients, Options, Outcome, Target, Whereabouts};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::scene::{Scene, Side, led_by};

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

/// Clients that read their address from a file, and the commands that change it.
struct Led {
    scene: Scene,
    folder: tempfile::TempDir,
}

impl Led {
    async fn new() -> Self {
        let led = Self { scene: Scene::new(FeedKind::Queue).await, folder: tempfile::tempdir().unwrap() };
        for side in [Side::Old, Side::New] {
            let Target { url, write } = led.scene.target(side);
            let database = match side {
                Side::Old => led.scene.world.old.name(),
                Side::New => led.scene.world.new.name(),
            };
            std::fs::write(led.folder.path().join(database), format!("{url}\n{write}\n")).unwrap();
        }
        led.point_to(led.scene.world.old.name());
        led
    }

    fn point_to(&self, database: &str) {
        std::fs::copy(self.folder.path().join(database), self.folder.path().join("target")).unwrap();
    }

    fn clients(&self, first_id: i64) -> Clients {
        let options = Options { clients: 4, rate: 500, first_id, ..Options::default() };
        Clients::start(options, Whereabouts::File(self.folder.path().join("target")))
    }

    /// What runs at each moment, beside a line in the file `moments`.
    fn switching(&self, fenced: &str) -> Switching {
        let point = |to: &str| format!("cp \"$CONFITURE_EVENT_{to}_DATABASE\" next && mv next target");
        let mut hooks = Hooks::default();
        for moment in [Moment::PreFence, Moment::Fenced, Moment::Switched, Moment::RolledBack] {
            let note = "echo $CONFITURE_EVENT_KIND $CONFITURE_EVENT >> moments";
            hooks = hooks.with(Hook::command(moment, note));
        }
        let fenced = fenced.replace("{lead}", &point("TO"));
        hooks = hooks
            .with(Hook::command(Moment::Fenced, fenced))
            .with(Hook::command(Moment::RolledBack, point("FROM")));
        led_by(Several(vec![Arc::new(()), Arc::new(self.commands(hooks))]))
    }

    fn commands(&self, hooks: Hooks) -> Commands {
        Commands::new(hooks, self.folder.path().to_owned(), Execution::unattended())
    }

    fn moments(&self) -> String {
        let path = self.folder.path().join("moments");
        let text = std::fs::read_to_string(&path).unwrap().replace('\n', ", ");
        std::fs::remove_file(path).unwrap();
        text.trim_end_matches(", ").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_lead_the_application_over_and_back() {
    let led = Led::new().await;
    let switching = led.switching("{lead}");
    let mut all = recording_clients::Record::default();
    for (round, (to, kind)) in (0..).zip([(Side::New, "cutover"), (Side::Old, "rollback")]) {
        let clients = led.clients(1 + round * 100_000_000);
        clients.until_acknowledged(200).await;
        let (_, closed) = led.scene.switch(to, &switching).await.unwrap();
        clients.until_acknowledged(200).await;
        all = all.and(clients.stop().await);
        assert_eq!(led.scene.judge(&all, to, Some(closed)).await, []);
        assert_eq!(led.moments(), format!("{kind} pre_fence, {kind} fenced, {kind} switched"));
    }
    assert!(all.longest_stall().unwrap().duration < Duration::from_secs(5), "{}", all.summary());
}

/// One that hangs, and one that fails after it has led the application over: everybody is where they were, in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_or_fails_inside_the_fence_takes_it_back() {
    let led = Led::new().await;
    let clients = led.clients(1);
    clients.until_acknowledged(100).await;
    for (fenced, said) in [
        ("sleep 600", "the hook fenced: it took longer than"),
        ("{lead}; echo no way >&2; exit 7", "the hook fenced: its command ended with exit status: 7"),
    ] {
        let mut switching = led.switching(fenced);
        switching.max_stall = Duration::from_secs(1);
        let error = led.scene.switch(Side::New, &switching).await.map(drop).unwrap_err();
        assert!(error.message().contains(said), "{error:?}");
        assert_eq!(led.moments(), "cutover pre_fence, cutover fenced, cutover rolled_back");
        clients.until_acknowledged(100).await;
    }
    let record = clients.stop().await;
    // Whoever was led over for a moment met a side that was not open, and came back.
    for write in &record.writes {
        assert!(!matches!(write.outcome, Outcome::Unknown(_)), "{write:?}");
    }
    assert_eq!(led.scene.judge(&record, Side::Old, None).await, []);
    let stall = record.longest_stall().unwrap().duration;
    println!("hanging and failing commands: {}", record.summary());
    assert!(stall < Duration::from_secs(4), "{stall:?}");
}
