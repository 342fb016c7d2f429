//! `local-postgres [FOLDER]`: runs a server until standard input ends, or something ends this program; without a
//! folder a throwaway one. There is nothing to do about Ctrl-C: the server notices that its owner is gone.
//!
//! The first line of the output is the server's URL, the second its address for `Server::attach`.

use std::io::{self, Write};

use local_postgres::{Options, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = match std::env::args_os().nth(1) {
        Some(folder) => Server::keep(folder, Options::default()).await?,
        None => Server::throwaway(Options::default()).await?,
    };
    writeln!(io::stdout(), "{}\n{}", server.url("postgres"), server.address())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
