//! A network between a run and a server, that fails as it is told to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use confiture::config::{Connection, Endpoint};
use local_postgres::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fine,
    /// Nothing comes through, and nobody is told.
    Stalled,
    /// What the server says is lost, and nobody is told.
    HalfOpen,
    /// A few kilobytes at a time.
    Slow,
    /// All connections are reset, and none is taken.
    Cut,
}

/// Passes bytes between a port and a server's socket.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    weather: watch::Sender<Weather>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(server: &Server) -> Self {
        let socket = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let weather = watch::Sender::new(Weather::Fine);
        let task = tokio::spawn(serve(listener, socket, weather.clone()));
        Self { port, weather, task }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// The same database, through this.
    pub(crate) fn through(&self, connection: &Connection) -> Connection {
        Connection::new(Endpoint::new("127.0.0.1", self.port), &connection.user, &connection.database)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, socket: PathBuf, weather: watch::Sender<Weather>) {
    let socket = Arc::new(socket);
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let (socket, mut weather) = (Arc::clone(&socket), weather.subscribe());
        tokio::spawn(async move {
            if *weather.borrow() == Weather::Cut {
                return reset(client);
            }
            let Ok(server) = UnixStream::connect(&*socket).await else { return reset(client) };
            // Else small answers wait 40 ms for an acknowledgement.
            client.set_nodelay(true).unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let up = pass(&mut from_client, &mut to_server, weather.clone(), true);
            let down = pass(&mut from_server, &mut to_client, weather.clone(), false);
            tokio::select! {
                () = async { tokio::select! { () = up => {} () = down => {} } } => {}
                _ = weather.wait_for(|weather| *weather == Weather::Cut) => {
                    if let Ok(client) = from_client.reunite(to_client) {
                        reset(client);
                    }
                }
            }
        });
    }
}

/// Closes a connection without a goodbye.
fn reset(client: TcpStream) {
    let _ = client.set_zero_linger();
    drop(client);
}

async fn pass(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    mut weather: watch::Receiver<Weather>,
    upwards: bool,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let closed = |weather: &Weather| match weather {
            Weather::Stalled => true,
            Weather::HalfOpen => !upwards,
            _ => false,
        };
        if weather.wait_for(|weather| !closed(weather)).await.is_err() {
            return;
        }
        let slow = *weather.borrow() == Weather::Slow;
        let most = if slow { 2 << 10 } else { buffer.len() };
        let Ok(read) = from.read(&mut buffer[..most]).await else { return };
        if read == 0 {
            return;
        }
        // What was read while it became closed waits too.
        if weather.wait_for(|weather| !closed(weather)).await.is_err() {
            return;
        }
        if slow {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
