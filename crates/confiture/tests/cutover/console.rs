//! PgBouncer's console: pausing, leading elsewhere, and everything that can be in the way.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::config::Destination;
use confiture::postgres::Session;
use confiture::postgres::pgbouncer::{Entry, PgBouncer};
use confiture::sql::Sql;
use local_postgres::testing::Database;

use crate::ground::{bouncer, connection, console, paused, psql, shown};

const SOON: Duration = Duration::from_secs(20);

fn to(database: &Database<'_>) -> Destination {
    Destination::of(&connection(&database.url()))
}

/// Which database a client of PgBouncer is in.
const WHERE: &str = "SELECT current_database()";

#[tokio::test]
async fn clients_wait_and_go_on_at_the_other_server() {
    let (old, new) = (Database::create().await.unwrap(), Database::create().await.unwrap());
    let pooler = bouncer(&old, &[], " pool_size=7").await;
    // In one message: what one prepares on a server's connection, its next message may not meet there.
    let (client, driver) = tokio_postgres::connect(&pooler.url("app"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(driver);
    let console = console(&pooler).await;
    assert!(console.version() >= 11000, "{}", console.version());
    assert_eq!(psql(&pooler.url("app"), WHERE), old.name());

    let entry = Entry::read(&pooler.ini(), "app").unwrap();
    assert_eq!(entry.destination(), &to(&old));
    let paused_now = console.pause("app", SOON).await.unwrap();
    assert_eq!((paused(&pooler).as_str(), console.is_paused("app").await.unwrap()), ("1", true));
    // One that was connected before, and one that comes now.
    let waiting = tokio::spawn(async move {
        let answer = client.simple_query(WHERE).await.unwrap();
        let row = answer.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        row.unwrap().to_owned()
    });
    let url = pooler.url("app");
    let coming = tokio::task::spawn_blocking(move || psql(&url, WHERE));
    console.lead(&entry, &to(&new)).await.unwrap();
    assert!(!waiting.is_finished() && !coming.is_finished());
    paused_now.resume().await.unwrap();
    assert_eq!((waiting.await.unwrap().as_str(), coming.await.unwrap().as_str()), (new.name(), new.name()));
    assert_eq!(paused(&pooler), "0");
    let shown = console.database("app").await.unwrap();
    assert!(shown.leads_to(&to(&new)) && shown.pool_mode == "transaction", "{shown:?}");

    // Once more is nothing new, and the way back is the entry's first destination.
    console.lead(&entry, &to(&new)).await.unwrap();
    console.lead(&entry, entry.destination()).await.unwrap();
    console.reconnect("app").await.unwrap();
    assert_eq!(psql(&pooler.url("app"), WHERE), old.name());
}

/// PAUSE closes a server connection that is about to log in, which PgBouncer takes for a login that failed. Nobody waits for the
/// 15 s after which it would try again.
#[tokio::test]
async fn a_login_that_a_pause_interrupts_keeps_nobody_waiting() {
    let new = Database::create().await.unwrap();
    let pooler = bouncer(&new, &[], "").await;
    let console = console(&pooler).await;
    let entry = Entry::read(&pooler.ini(), "app").unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    console.lead(&entry, &Destination::new("127.0.0.1", port, "x")).await.unwrap();
    let url = pooler.url("app");
    let client = tokio::task::spawn_blocking(move || psql(&url, WHERE));
    let _logging_in = silent.accept().await.unwrap();
    let paused = console.pause("app", SOON).await.unwrap();
    console.lead(&entry, entry.destination()).await.unwrap();
    paused.resume().await.unwrap();
    let resumed = Instant::now();
    assert_eq!(client.await.unwrap(), new.name());
    assert!(resumed.elapsed() < Duration::from_secs(10), "{:?}", resumed.elapsed());
    assert_eq!(console.setting("server_login_retry").await.unwrap().as_deref(), Some("15"));
}

#[tokio::test]
async fn an_open_transaction_is_named_at_the_deadline_and_clients_go_on() {
    let old = Database::create().await.unwrap();
    let pooler = bouncer(&old, &[], "").await;
    let console = console(&pooler).await;
    let client = Session::connect(&connection(&pooler.url("app"))).await.unwrap();
    client.batch(&Sql::literal("BEGIN; SET LOCAL application_name = 'x'; CREATE TABLE t ()")).await.unwrap();
    let pid: i32 = client.query_one(&Sql::literal("SELECT pg_backend_pid()"), &[]).await.unwrap().get(0);
    let begin = Instant::now();
    let error = console.pause("app", Duration::from_millis(300)).await.map(drop).unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    let message = error.message();
    assert!(
        message.starts_with(
            "PgBouncer could not pause \"app\" within 300ms: a server connection is still in use: "
        ),
        "{message}"
    );
    assert!(message.contains(&format!("pid {pid} of postgres for a Unix socket (\"x\")")), "{message}");
    assert_eq!(paused(&pooler), "0");
    assert_eq!(psql(&pooler.url("app"), "SELECT 1"), "1");
    // The one that was in the way was left alone.
    client.batch(&Sql::literal("COMMIT")).await.unwrap();
    console.pause("app", SOON).await.unwrap().resume().await.unwrap();
    assert_eq!(psql(&old.url(), "SELECT count(*) FROM t"), "0");
}

#[tokio::test]
async fn sessions_that_stay_are_said_with_session_pooling() {
    let old = Database::create().await.unwrap();
    let pooler = bouncer(&old, &[("pool_mode", "session")], "").await;
    let console = console(&pooler).await;
    let client = Session::connect(&connection(&pooler.url("app"))).await.unwrap();
    let error = console.pause("app", Duration::from_millis(200)).await.map(drop).unwrap_err();
    assert!(
        shown(&error).contains("with pool_mode = session PgBouncer waits for its clients to leave"),
        "{error:?}"
    );
    drop(client);
    console.pause("app", SOON).await.unwrap().resume().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_however_it_is_left() {
    let old = Database::create().await.unwrap();
    let pooler = bouncer(&old, &[], "").await;
    let console = console(&pooler).await;
    drop(console.pause("app", SOON).await.unwrap());
    assert_eq!(paused(&pooler), "0");

    // Whoever waits for the pause gives up in the middle.
    let client = Session::connect(&connection(&pooler.url("app"))).await.unwrap();
    client.batch(&Sql::literal("BEGIN; SELECT 1")).await.unwrap();
    let pausing = {
        let console = console.clone();
        tokio::spawn(async move { console.pause("app", SOON).await.map(drop) })
    };
    while paused(&pooler) == "0" {}
    pausing.abort();
    assert!(pausing.await.unwrap_err().is_cancelled());
    assert_eq!(paused(&pooler), "0");

    // One whose process was killed: its successor is told, and ends it.
    client.batch(&Sql::literal("COMMIT")).await.unwrap();
    std::mem::forget(console.pause("app", SOON).await.unwrap());
    let error = console.pause("app", SOON).await.map(drop).unwrap_err();
    assert!(shown(&error).contains("RESUME app at the console of postgres@"), "{error:?}");
    assert!(console.resume("app").await.unwrap());
    assert!(!console.resume("app").await.unwrap());
    assert_eq!(paused(&pooler), "0");
}

#[tokio::test]
async fn a_pgbouncer_that_is_killed_or_hangs_is_said() {
    let old = Database::create().await.unwrap();
    let mut pooler = bouncer(&old, &[], "").await;
    let frozen = console(&pooler).await;
    pooler.signal("STOP").unwrap();
    let error = frozen.is_paused("app").await.unwrap_err();
    assert!(error.message().ends_with("does not answer within 5 s"), "{error}");
    pooler.signal("CONT").unwrap();

    let before = console(&pooler).await;
    let pause = before.pause("app", SOON).await.unwrap();
    pooler.signal("KILL").unwrap();
    let error = before.is_paused("app").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    pooler.restart().unwrap();
    // A new one has forgotten the pause, and is found anew.
    pause.resume().await.unwrap();
    assert_eq!(paused(&pooler), "0");

    let pause = console(&pooler).await.pause("app", SOON).await.unwrap();
    pooler.signal("KILL").unwrap();
    let error = pause.resume().await.unwrap_err();
    assert!(
        error.message().starts_with("PgBouncer may still hold back the clients of \"app\": cannot connect"),
        "{error}"
    );
}

#[tokio::test]
async fn who_may_not_is_told_what_to_change() {
    let old = Database::create().await.unwrap();
    let settings = [("auth_type", "scram-sha-256"), ("stats_users", "looker")];
    let pooler = bouncer(&old, &settings, "").await;
    let failure = async |user: &str, password: &str, database: &str| {
        let mut connection = connection(&pooler.url_of(user, database));
        connection.password = Some(confiture::config::Secret::new(password));
        let error = PgBouncer::connect(&connection).await.map(drop).unwrap_err();
        assert!(!format!("{error:?}").contains(password), "{error:?}");
        shown(&error).replace(&pooler.folder().display().to_string(), "…")
    };
    insta::assert_snapshot!(failure("looker", "wrong", "pgbouncer").await, @r#"
    cannot connect to looker@…:6432/pgbouncer: SASL authentication failed
      hint: PgBouncer checks "looker" by its auth_file or auth_query: check the password there, and where yours comes from: the URL, password_file, the service, PGPASSWORD, ~/.pgpass, in this order
    "#);
    insta::assert_snapshot!(failure("looker", "seen", "pgbouncer").await, @"
    looker@…:6432/pgbouncer: admin access needed
      hint: add looker to admin_users of pgbouncer.ini, and RELOAD: stats_users may only look
    ");
    insta::assert_snapshot!(failure("writer", "pass word", "pgbouncer").await, @"
    cannot connect to writer@…:6432/pgbouncer: not allowed
      hint: the console is for those in admin_users of pgbouncer.ini: add writer, and RELOAD
    ");
    insta::assert_snapshot!(failure("writer", "pass word", "app").await, @r#"
    writer@…:6432/app is not the admin console of a PgBouncer
      hint: the console is PgBouncer's database "pgbouncer": postgresql://USER@HOST:6432/pgbouncer
    "#);
    // A server is no PgBouncer.
    let mut server = connection(&old.url());
    server.database = "pgbouncer".into();
    let error = PgBouncer::connect(&server).await.map(drop).unwrap_err();
    assert!(
        error.message().ends_with("what answers there is not the admin console of a PgBouncer"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_is_not_known_is_looked_up_among_those_that_are() {
    let old = Database::create().await.unwrap();
    let pooler = bouncer(&old, &[], "").await;
    let error = console(&pooler).await.pause("apq", SOON).await.map(drop).unwrap_err();
    assert!(shown(&error).contains("did you mean `app`?"), "{error:?}");
}

#[tokio::test]
async fn an_entry_in_an_included_file_is_found_and_keeps_its_owner() {
    let (old, new) = (Database::create().await.unwrap(), Database::create().await.unwrap());
    let pooler = bouncer(&old, &[], " pool_size=3").await;
    let console = console(&pooler).await;
    let text = std::fs::read_to_string(pooler.ini()).unwrap();
    let line = text.lines().find(|line| line.starts_with("app")).unwrap();
    let included = pooler.folder().join("databases.ini");
    let content = format!("; ours\n{line}\n# the end\n");
    std::fs::write(&included, &content).unwrap();
    let owner = std::fs::metadata(pooler.ini()).unwrap();
    // What PgBouncer may read.
    drop(std::os::unix::fs::chown(&included, Some(owner.uid()), Some(owner.gid())));
    std::fs::set_permissions(&included, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(pooler.ini(), text.replace(line, &format!("%include {}", included.display()))).unwrap();

    let entry = Entry::read(&pooler.ini(), "app").unwrap();
    assert_eq!(entry.place().to_string(), format!("{}:2:1", included.display()));
    console.lead(&entry, &to(&new)).await.unwrap();
    assert_eq!(psql(&pooler.url("app"), WHERE), new.name());
    let about = std::fs::metadata(&included).unwrap();
    assert_eq!((about.uid(), about.mode() & 0o777), (owner.uid(), 0o600));
    assert_eq!(std::fs::read_to_string(&included).unwrap(), content.replace(old.name(), new.name()));
    entry.restore().unwrap();
    assert_eq!(std::fs::read_to_string(&included).unwrap(), content);
}

#[tokio::test]
async fn an_entry_that_pgbouncer_does_not_take_is_put_back() {
    let (old, new) = (Database::create().await.unwrap(), Database::create().await.unwrap());
    let pooler = bouncer(&old, &[], "").await;
    let console = console(&pooler).await;
    // Another file than PgBouncer's own.
    let other = pooler.folder().join("other.ini");
    std::fs::copy(pooler.ini(), &other).unwrap();
    let entry = Entry::read(&other, "app").unwrap();
    let error = console.lead(&entry, &to(&new)).await.unwrap_err();
    assert!(error.message().starts_with("PgBouncer still leads \"app\" to host="), "{error}");
    assert_eq!(error.place().unwrap().to_string(), format!("{}:2:1", other.display()));
    assert_eq!(std::fs::read(&other).unwrap(), std::fs::read(pooler.ini()).unwrap());
    // Its own, which it cannot load.
    let broken = std::fs::read_to_string(pooler.ini()).unwrap() + "unheard_of = 1\n";
    std::fs::write(pooler.ini(), &broken).unwrap();
    let entry = Entry::read(&pooler.ini(), "app").unwrap();
    let outcome = console.lead(&entry, &to(&new)).await;
    // Whether it takes the rest of such a file is PgBouncer's affair; that both say the same is ours.
    let now = console.database("app").await.unwrap().destination();
    assert_eq!(now, *Entry::read(&pooler.ini(), "app").unwrap().destination(), "{outcome:?}");
}

#[tokio::test]
async fn entries_that_are_missing_or_doubled_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("p.ini");
    let failure = |text: &str| {
        std::fs::write(&main, text).unwrap();
        let error = Entry::read(&main, "app").unwrap_err();
        let place = error.place().unwrap();
        format!("{}:{}: {}", place.line, place.column, shown(&error))
            .replace(&folder.path().display().to_string(), "…")
    };
    insta::assert_snapshot!(failure("[databases]\n* = host=x\n"), @r#"
    1:1: …/p.ini has no entry for the database "app"
      hint: write `app = host=… port=… dbname=…` into its section [databases], also where `*` covers it
    "#);
    insta::assert_snapshot!(failure("[databases]\napp = host=x\n app = host=y\n"), @r#"
    3:2: the database "app" has a second entry
      hint: the first is at …/p.ini:2:1: remove one of them
    "#);
    insta::assert_snapshot!(failure("[databases]\n%include none.ini\n"), @"2:1: cannot read …/none.ini: there is no such file or folder");
    insta::assert_snapshot!(failure("[databases]\n%include p.ini\n"), @"2:1: files include each other too deeply, or in a circle");
}
