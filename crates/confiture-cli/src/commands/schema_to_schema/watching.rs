//! `status --watch`: a look every second, drawn in place on a terminal, a line each on a pipe.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use confiture::config::Connection;
use confiture::event::Execution;
use confiture::schema_to_schema::watch::{Look, Sight, Watch};
use confiture::{Error, Result};
use tokio::time::sleep;

use crate::args::Format;
use crate::invocation::Invocation;
use crate::monitor::{History, headline};
use crate::output::screen::{self, Shown};
use crate::output::{as_value, style::Style};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// What was seen so far.
#[derive(Default)]
struct Seen {
    sight: Option<(Sight, Instant)>,
    history: History,
}

/// Looks until Ctrl-C.
pub(super) async fn watch(
    invocation: &Invocation,
    source: Option<&Connection>,
    target: &Connection,
    execution: &Execution,
) -> Result<()> {
    let terminal = &invocation.terminal;
    let mut watch = Watch::new(target.clone());
    if let Some(source) = source {
        watch.set_source(source.clone());
    }
    let redraws = terminal.redraws && terminal.format == Format::Text;
    let _canvas = redraws.then(Canvas::open);
    let mut seen = Seen::default();
    while !execution.is_interrupted() {
        let look = tokio::select! {
            look = watch.look(seen.history.since()) => look,
            () = execution.interrupted() => break,
        };
        let written = match (redraws, terminal.format) {
            (_, Format::Json) => match &look.sight {
                Some(sight) => write(&format!("{}\n", as_value(&sight.status)?)),
                None => Ok(()),
            },
            (true, _) => draw(terminal.stdout, &seen.take_in(&look)),
            (false, _) => write(&format!("{}\n", screen::sentence(&seen.take_in(&look)))),
        };
        // A reader that has gone has seen enough.
        written.map_err(|error| Error::interrupted("nobody reads the status any more").because(error))?;
        tokio::select! {
            () = sleep(EVERY) => {}
            () = execution.interrupted() => {}
        }
    }
    Ok(())
}

impl Seen {
    /// Takes in a look, and says what to show.
    fn take_in<'a>(&'a mut self, look: &'a Look) -> Shown<'a> {
        if let Some(sight) = &look.sight {
            self.history.take_in(sight);
            self.sight = Some((sight.clone(), Instant::now()));
        } else if look.servers.iter().all(|server| server.error.is_none()) {
            *self = Self::default();
        }
        let sight = self.sight.as_ref().map(|(sight, _)| sight);
        let away = self.sight.as_ref().map(|(_, at)| at.elapsed());
        Shown {
            look,
            sight,
            headline: headline(look, sight, away),
            history: &self.history,
            clock: jiff::Timestamp::now().strftime("%H:%M:%S").to_string(),
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A whole frame in one write, between the marks that tell a terminal to show it at once: nothing flickers.
fn draw(style: Style, shown: &Shown<'_>) -> io::Result<()> {
    let (width, height) =
        terminal_size::terminal_size().map_or((80, 24), |(width, height)| (width.0, height.0));
    let lines = screen::render(style, shown, usize::from(width), usize::from(height));
    let page = lines.join("\x1b[K\r\n");
    write(&format!("\x1b[?2026h\x1b[H{page}\x1b[K\x1b[J\x1b[?2026l"))
}

/// The terminal's other screen, without a cursor; what was there before comes back at the end.
struct Canvas;

impl Canvas {
    fn open() -> Self {
        drop(write("\x1b[?1049h\x1b[?25l\x1b[2J"));
        Self
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        drop(write("\x1b[?25h\x1b[?1049l"));
    }
}
