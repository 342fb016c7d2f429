//! The socket to a server, opened as libpq does.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::config::{Connection, Endpoint};

/// TCP, or a Unix socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Opens the socket of an endpoint: `address`, or without one its Unix socket.
pub(super) async fn open(
    connection: &Connection,
    endpoint: &Endpoint,
    address: Option<IpAddr>,
) -> io::Result<Socket> {
    let Some(address) = address else { return open_unix(endpoint).await };
    let socket = TcpStream::connect((address, endpoint.port)).await?;
    keep_alive(&socket, connection);
    Ok(Socket::Tcp(socket))
}

#[cfg(unix)]
async fn open_unix(endpoint: &Endpoint) -> io::Result<Socket> {
    let path = format!("{}/.s.PGSQL.{}", endpoint.host, endpoint.port);
    UnixStream::connect(path).await.map(Socket::Unix)
}

#[cfg(not(unix))]
async fn open_unix(_: &Endpoint) -> io::Result<Socket> {
    Err(io::ErrorKind::Unsupported.into())
}

fn keep_alive(socket: &TcpStream, connection: &Connection) {
    let (keepalive, reference) = (&connection.keepalive, SockRef::from(socket));
    // Without these the connection works as well.
    let _ = reference.set_tcp_nodelay(true);
    if keepalive.enabled {
        let probes = TcpKeepalive::new().with_time(keepalive.idle);
        #[cfg(not(windows))]
        let probes = probes.with_interval(keepalive.interval.max(Duration::from_secs(1)));
        #[cfg(not(windows))]
        let probes = probes.with_retries(keepalive.probes);
        let _ = reference.set_tcp_keepalive(&probes);
    }
    #[cfg(target_os = "linux")]
    if let Some(timeout) = keepalive.user_timeout {
        let _ = reference.set_tcp_user_timeout(Some(timeout));
    }
}

impl Socket {
    fn as_write(self: Pin<&mut Self>) -> Pin<&mut (dyn AsyncWrite + Send + Unpin)> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket),
            #[cfg(unix)]
            Self::Unix(socket) => Pin::new(socket),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.as_write().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_write().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_write().poll_shutdown(cx)
    }
}
