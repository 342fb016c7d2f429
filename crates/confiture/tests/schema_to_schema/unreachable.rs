//! A source that this process reaches and the target's server does not: what foreign tables need besides.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::config::Endpoint;
use confiture::config::mapping::Strategy;
use confiture::event::{Event, Execution, Observer};
use confiture::schema_to_schema::Migration;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::crash::{MAPPING, NEW, OLD, assert_exact};
use crate::world::{World, dump, psql};

/// A way to the test server's socket that can be cut: what is connected stays so, and what comes after gets nothing.
struct Way {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    work: tokio::task::JoinHandle<()>,
}

impl Way {
    /// Once it is cut, it answers nothing (`silent`) or ends connections at once.
    async fn to(socket: PathBuf, silent: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, cut) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let is_cut = Arc::clone(&cut);
        let work = tokio::spawn(async move {
            let mut held: Vec<TcpStream> = Vec::new();
            while let Ok((mut near, _)) = listener.accept().await {
                if is_cut.load(Ordering::Relaxed) {
                    held.extend(silent.then_some(near));
                    continue;
                }
                let mut far = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
            }
        });
        Self { address, cut, work }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Cuts a way when foreign tables are set up.
struct Cut(Mutex<Arc<AtomicBool>>);

impl Observer for Cut {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::StepStarted { step } if step == "Setting up foreign tables") {
            self.0.lock().unwrap().store(true, Ordering::Relaxed);
        }
    }
}

async fn is_told_and_changes_nothing(silent: bool) {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let server = world.old.server();
    let way = Way::to(server.socket_dir().join(format!(".s.PGSQL.{}", server.port())), silent).await;
    let mut options = world.options(MAPPING).await;
    options.source.endpoints = vec![Endpoint::new(way.address.ip().to_string(), way.address.port())];
    options.source.connect_timeout = Duration::from_secs(2);
    options.strategy = Some(Strategy::Fdw);
    let cut = Cut(Mutex::new(Arc::clone(&way.cut)));
    let execution = Execution::new(Arc::new(cut), CancellationToken::new());
    let started = Instant::now();
    let migration = Arc::new(Migration::plan(options.clone(), &execution).await.unwrap());
    let error = migration.migrate(&execution).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Server, Some("08001")), "{error:?}");
    assert!(error.message().contains("the target's server cannot reach the source"), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("--strategy copy")), "{error:?}");
    drop(migration);
    // Not even the extension's server is left, and the way around that the hint names works.
    assert_eq!(psql(&world.new, "SELECT count(*) FROM pg_foreign_server").await.trim(), "0");
    psql(&world.new, "DROP EXTENSION postgres_fdw").await;
    assert_eq!(dump(&world.new).await, before);
    way.cut.store(false, Ordering::Relaxed);
    options.strategy = Some(Strategy::Copy);
    world.migrate(options).await.unwrap();
    assert_exact(&world, &before).await;
}

#[tokio::test]
async fn a_source_that_ends_connections_of_the_target() {
    is_told_and_changes_nothing(false).await;
}

#[tokio::test]
async fn a_source_that_does_not_answer_the_target() {
    is_told_and_changes_nothing(true).await;
}
