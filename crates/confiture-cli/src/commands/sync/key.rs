//! The key: from the place that the rules name, else from `CONFITURE_SYNC_KEY`.

use std::process::{Command, Stdio};

use confiture::config::sync_rules::KeySource;
use confiture::config::{Secret, Surroundings, SyncRules};
use confiture::project::Project;
use confiture::sync::MasterKey;
use confiture::{Error, Result, disk};

/// Where the key is looked for when the rules do not say.
const VARIABLE: &str = "CONFITURE_SYNC_KEY";

/// Reads the key; `None` where there is none and nobody named a place.
pub(super) fn read(
    rules: &SyncRules,
    project: &Project,
    surroundings: &Surroundings,
) -> Result<Option<MasterKey>> {
    let Some(source) = &rules.key else {
        let found = surroundings.variable(VARIABLE);
        return found.map(|text| named(MasterKey::from_secret(&Secret::new(text)), VARIABLE)).transpose();
    };
    let (text, name) = match &source.value {
        KeySource::Variable(name) => {
            let text = surroundings.variable(name).ok_or_else(|| {
                source.locate(Error::config(format!("the variable {name}, which holds the key, is not set")))
            })?;
            (text.to_owned(), name.clone())
        }
        KeySource::File(path) => {
            let path = project.root.join(path);
            (disk::read_text(&path).map_err(|error| source.locate(error))?, path.display().to_string())
        }
        KeySource::Command(command) => {
            (output_of(command).map_err(|error| source.locate(error))?, "the key's command".to_owned())
        }
    };
    named(MasterKey::from_secret(&Secret::new(text)), &name).map(Some).map_err(|error| source.locate(error))
}

fn named(key: Result<MasterKey>, name: &str) -> Result<MasterKey> {
    key.map_err(|error| error.context(name))
}

/// What a command of the user's writes on stdout. Its stderr is the user's to see.
fn output_of(command: &str) -> Result<String> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let failed = |why: String| Error::config(format!("the command that gives the key failed: {why}"));
    let output = Command::new(shell)
        .args([flag, command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("its output is no text".to_owned()))
}
