//! The program as a program: arguments in, text and exit status out.

mod errors;
mod init;
mod meta;
mod server;
mod support;
