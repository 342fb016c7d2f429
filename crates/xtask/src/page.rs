//! `cargo xtask page`: the monitor's page and the report in headless Chromium, which is installed where it is missing.

use std::path::Path;

use anyhow::Result;
use local_postgres::{Options, testing};

use crate::command::{self, cargo};
use crate::test::on_servers;
use crate::{install, server};

pub(crate) fn run(root: &Path) -> Result<()> {
    install::chromium()?;
    let binaries = install::postgresql()?;
    let options = Options { bin_dir: Some(binaries.dir().to_owned()), ..testing::options() };
    server::with_servers([options], |servers| {
        let mut tests = cargo(["test", "--package", "confiture-cli", "--test", "program", "--", "page::"]);
        tests.env("CONFITURE_CHROMIUM", "required");
        command::run(on_servers(&mut tests, root, servers))?;
        eprintln!("\nPictures are in {}.", root.join("target/page").display());
        Ok(())
    })
}
