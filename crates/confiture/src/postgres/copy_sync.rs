//! A refused `COPY … FROM STDIN` leaves a session as good as it was.
//!
//! The driver (tokio-postgres 0.7.18) sends a Sync behind the message that starts a COPY, and another one at the end of its rows. A
//! server that is in the middle of a COPY ignores the first. One that has refused the COPY by then (a missing privilege, a lock
//! that was not to be had, a trigger that raises) answers both, and from there on every statement is given the answer to
//! the one before it: what failed seems done. So the first Sync goes out as a Flush, which means the same to the server and asks
//! for no answer of its own. (rust-postgres issue 789; with a driver that does so itself this can go.)

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::sql::lex::{TokenKind, lex};

/// A stream to a server on which a COPY has one Sync.
pub(super) struct CopySync<S> {
    stream: S,
    outgoing: Outgoing,
}

impl<S> CopySync<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, outgoing: Outgoing::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CopySync<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CopySync<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, outgoing } = &mut *self;
        let next = match outgoing.room(buf) {
            0 if !buf.is_empty() => FLUSH,
            room => &buf[..room],
        };
        let written = ready!(Pin::new(stream).poll_write(cx, next))?;
        outgoing.advance(&next[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for CopySync<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// A TLS connector whose streams have one Sync a COPY: what is inside of the TLS is looked at.
pub(super) struct WithCopySync<T>(pub(super) T);

impl<S, T> TlsConnect<CopySync<S>> for WithCopySync<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = CopySync<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, T::Error>> + Send>>;

    fn connect(self, stream: CopySync<S>) -> Self::Future {
        let handshake = self.0.connect(stream.stream);
        Box::pin(async move { handshake.await.map(CopySync::new) })
    }
}

/// The first byte of a Flush; what follows is the same as in a Sync.
const FLUSH: &[u8] = b"H";

/// Where in the client's messages the writing stands.
#[derive(Debug, Default)]
struct Outgoing {
    frame: Frame,
    /// What is known of the body of a message that matters.
    body: Vec<u8>,
    /// The prepared statements that are a COPY FROM STDIN, by name.
    copies: Vec<Vec<u8>>,
    /// One of them is bound, and its early Sync is still to come.
    is_bound: bool,
}

/// One message: a tag, a length that counts itself, and a body. The first ones of a connection have no tag.
#[derive(Debug, Default, Clone, Copy)]
struct Frame {
    has_tag: bool,
    head: [u8; 5],
    /// How much of the head has gone.
    known: usize,
    /// How much of the body is to come, once the head has gone.
    left: usize,
}

impl Frame {
    fn tag(&self) -> u8 {
        if self.has_tag { self.head[0] } else { 0 }
    }

    /// Moves on by as many of `bytes` as belong together: the head, or what is there of the body. Says how many, and whether
    /// the message ends with them.
    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        let length = if self.has_tag { 5 } else { 4 };
        if self.known < length {
            let taken = bytes.len().min(length - self.known);
            self.head[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            if self.known < length {
                return (taken, false);
            }
            let size =
                self.head[length - 4..length].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
            self.left = size.saturating_sub(4);
            return (taken, self.left == 0);
        }
        let taken = bytes.len().min(self.left);
        self.left -= taken;
        (taken, self.left == 0)
    }

    /// The message after this one. What asks for TLS is eight bytes long; after what begins a session everything has a tag.
    fn next(self) -> Self {
        let asks_for_tls = !self.has_tag && self.head[..4] == [0, 0, 0, 8];
        Self { has_tag: !asks_for_tls, ..Self::default() }
    }
}

impl Outgoing {
    /// How much of `buf` can be written as it is; 0 where an early Sync stands in front. (Whoever prepares a statement waits
    /// for the answer before he binds it: both are never in one `buf`.)
    fn room(&self, buf: &[u8]) -> usize {
        if self.copies.is_empty() && !self.is_bound {
            return buf.len();
        }
        let (mut frame, mut at) = (self.frame, 0);
        while at < buf.len() {
            if frame.known == 0 && frame.has_tag && buf[at] == b'S' && self.is_bound {
                return at;
            }
            let (taken, is_end) = frame.take(&buf[at..]);
            at += taken;
            if is_end {
                if frame.tag() == b'B' {
                    // What this binds decides what becomes of the Sync behind it.
                    return at;
                }
                frame = frame.next();
            }
        }
        at
    }

    /// Notes what has been written.
    fn advance(&mut self, mut written: &[u8]) {
        while !written.is_empty() {
            let is_body = self.frame.left > 0;
            let (taken, is_end) = self.frame.take(written);
            if is_body && matches!(self.frame.tag(), b'P' | b'B' | b'C') {
                self.body.extend_from_slice(&written[..taken]);
            }
            written = &written[taken..];
            if is_end {
                self.note();
                self.body.clear();
                self.frame = self.frame.next();
            }
        }
    }

    /// Looks at a message that is complete.
    fn note(&mut self) {
        let mut texts = self.body.split(|byte| *byte == 0);
        let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        match self.frame.tag() {
            b'P' if is_copy_in(second) => {
                let name = first.to_vec();
                self.copies.push(name);
            }
            b'B' => self.is_bound = self.copies.iter().any(|name| name == second),
            b'C' => {
                if let Some(closed) = first.strip_prefix(b"S") {
                    self.copies.retain(|name| name != closed);
                }
            }
            b'H' | b'S' => self.is_bound = false,
            _ => {}
        }
    }
}

/// True for `COPY … FROM STDIN`.
fn is_copy_in(statement: &[u8]) -> bool {
    let Ok(statement) = std::str::from_utf8(statement) else { return false };
    let mut tokens = lex(statement).filter(|token| !token.is_blank());
    if !tokens.next().is_some_and(|token| token.is_word(statement, "copy")) {
        return false;
    }
    let mut depth = 0_usize;
    while let Some(token) = tokens.next() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            _ if depth == 0 && token.is_word(statement, "from") => {
                // The grammar takes either word.
                return tokens.next().is_some_and(|token| {
                    token.is_word(statement, "stdin") || token.is_word(statement, "stdout")
                });
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    /// What arrives when `sent` is written in pieces of `size` bytes, of which each write takes at most `takes`.
    fn arrives(sent: &[&[u8]], size: usize, takes: usize) -> Vec<u8> {
        let (mut outgoing, mut arrived) = (Outgoing::default(), Vec::new());
        for mut piece in sent.iter().flat_map(|sent| sent.chunks(size)) {
            while !piece.is_empty() {
                let next = match outgoing.room(piece) {
                    0 => FLUSH,
                    room => &piece[..room.min(takes)],
                };
                outgoing.advance(next);
                arrived.extend_from_slice(next);
                piece = &piece[next.len()..];
            }
        }
        arrived
    }

    #[test]
    fn only_the_early_sync_of_a_copy_becomes_a_flush() {
        let startup = [&16_u32.to_be_bytes()[..], b"\0\x03\0\0user\0a\0\0"].concat();
        let asks = [&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes()].concat();
        let sync = message(b'S', b"");
        let run = |name: &str| {
            let bind = format!("\0{name}\0\0\0\0\0\0\0");
            [message(b'B', bind.as_bytes()), message(b'E', b"\0\0\0\0\0")].concat()
        };
        let prepare = |name: &str, text: &str| message(b'P', format!("{name}\0{text}\0\0\0").as_bytes());
        let rows = message(b'd', b"SSSSS\0\0\0\x04S\0\0\0\x04");
        let end = [message(b'c', b""), sync.clone()].concat();
        let before = [
            &asks[..],
            &startup,
            &prepare("s0", "SELECT 1"),
            &sync,
            &prepare("s1", "copy t (\"from\") from stdin"),
            &sync,
        ]
        .concat();
        let after = |early: &[u8]| {
            [
                &run("s0")[..],
                &sync,
                &run("s1"),
                early,
                &rows,
                &end,
                &run("s0"),
                &sync,
                &message(b'C', b"Ss1\0"),
                &sync,
                &run("s1"),
                &sync,
            ]
            .concat()
        };
        let expected = [before.clone(), after(&message(b'H', b""))].concat();
        for size in [1, 2, 3, 5, 7, 64, 10_000] {
            for takes in [1, 4, 10_000] {
                let arrived = arrives(&[&before, &after(&sync)], size, takes);
                assert_eq!(arrived, expected, "{size} {takes}");
            }
        }
    }

    #[test]
    fn what_starts_a_copy_from_the_client() {
        for (text, is) in [
            ("COPY a.t (x, y) FROM STDIN (FORMAT binary)", true),
            (" /* x */ copy \"to\" from /**/ stdin with csv", true),
            ("COPY t FROM STDOUT", true),
            ("COPY t TO STDOUT", false),
            ("COPY (SELECT * FROM stdin) TO STDOUT", false),
            ("COPY t FROM 'stdin'", false),
            ("COPY t FROM PROGRAM 'x'", false),
            ("SELECT copy FROM stdin", false),
        ] {
            assert_eq!(is_copy_in(text.as_bytes()), is, "{text}");
        }
    }
}
