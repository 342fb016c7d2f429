//! A stream that is lent to the driver for the login.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::postgres::socket::Socket;

/// A socket, with TLS or without.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// What was lent, until it is taken back.
#[derive(Clone, Default)]
pub(super) struct Loan(Arc<Mutex<Option<Box<dyn Duplex>>>>);

impl Loan {
    /// Takes the stream back; whoever had it finds it closed.
    pub(super) fn take(&self) -> Option<Box<dyn Duplex>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn with<T>(&self, work: impl FnOnce(Pin<&mut dyn Duplex>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_deref_mut() {
            Some(stream) => work(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// The stream as the driver sees it.
pub(super) struct Lent {
    loan: Loan,
    startup: Startup,
    binding: Mutex<Option<ChannelBinding>>,
}

/// The first message, which asks for replication mode.
enum Startup {
    Awaited,
    Underway { message: Vec<u8>, sent: usize },
    Sent,
}

impl Lent {
    pub(super) fn new(stream: Box<dyn Duplex>, loan: &Loan) -> Self {
        *loan.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        Self { loan: loan.clone(), startup: Startup::Awaited, binding: Mutex::new(None) }
    }
}

/// The driver's startup message with one parameter more. It ends with a zero byte of its own after the last parameter.
fn in_replication_mode(startup: &[u8]) -> Vec<u8> {
    let mut message = startup[..startup.len().saturating_sub(1)].to_vec();
    message.extend_from_slice(b"replication\0database\0\0");
    let length = u32::try_from(message.len()).unwrap_or_default();
    if let Some(head) = message.first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
    }
    message
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.loan.with(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let lent = &mut *self;
        if matches!(lent.startup, Startup::Awaited) {
            lent.startup = Startup::Underway { message: in_replication_mode(buf), sent: 0 };
        }
        let Startup::Underway { message, sent } = &mut lent.startup else {
            return lent.loan.with(|stream| stream.poll_write(cx, buf));
        };
        while *sent < message.len() {
            *sent += ready!(lent.loan.with(|stream| stream.poll_write(cx, &message[*sent..])))?;
        }
        lent.startup = Startup::Sent;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.loan.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.loan.with(|stream| stream.poll_shutdown(cx))
    }
}

impl TlsStream for Lent {
    fn channel_binding(&self) -> ChannelBinding {
        // Asked for once, in the login.
        let binding = self.binding.lock().unwrap_or_else(PoisonError::into_inner).take();
        binding.unwrap_or_else(ChannelBinding::none)
    }
}

/// The TLS handshake of our connector, on a stream that is then lent.
pub(super) struct Tap {
    tls: <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect,
    loan: Loan,
}

impl Tap {
    pub(super) fn new(tls: &MakeRustlsConnect, host: &str, loan: &Loan) -> io::Result<Self> {
        let tls = MakeTlsConnect::<Socket>::make_tls_connect(&mut tls.clone(), host)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Self { tls, loan: loan.clone() })
    }
}

impl TlsConnect<Socket> for Tap {
    type Stream = Lent;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Lent>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        let Self { tls, loan } = self;
        let handshake = tls.connect(stream);
        Box::pin(async move {
            let stream = handshake.await?;
            let binding = stream.channel_binding();
            let lent = Lent::new(Box::new(stream), &loan);
            *lent.binding.lock().unwrap_or_else(PoisonError::into_inner) = Some(binding);
            Ok(lent)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_startup_message_asks_for_replication() {
        let plain = b"\0\0\0\x12\0\x03\0\0user\0anna\0\0";
        let message = in_replication_mode(&plain[..]);
        assert_eq!(&message[..], b"\0\0\0\x28\0\x03\0\0user\0anna\0replication\0database\0\0");
        assert_eq!(message.len(), 0x28);
    }
}
