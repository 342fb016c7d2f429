//! How a new migration's files are called.

use std::path::Path;

use confiture::{Error, Result, disk};

/// The name as a file has it: `Add user bio` becomes `add_user_bio`.
pub(super) fn slug(name: &str) -> Result<String> {
    let plain = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let slug: String = name.trim().chars().map(plain).collect();
    let slug = slug.trim_matches('_').to_owned();
    if slug.is_empty() {
        return Err(
            Error::usage("a migration's name needs a letter").hint("for instance: --name add_user_bio")
        );
    }
    Ok(slug)
}

/// The next number where the folder has numbers, else the time in UTC.
pub(super) fn next_version(folder: &Path) -> Result<String> {
    let files = disk::files_below(folder)?;
    let versions = files.iter().filter_map(|file| {
        let name = file.to_str().filter(|name| !name.contains('/') && name.ends_with(".sql"))?;
        let digits = &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())];
        Some(digits.to_owned()).filter(|digits| !digits.is_empty())
    });
    let last = versions.max_by_key(|digits| (digits.len(), digits.clone()));
    let now = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    Ok(match last {
        Some(last) if last.len() < 14 => {
            let number = last.parse::<u64>().unwrap_or_default() + 1;
            format!("{number:0width$}", width = last.len())
        }
        Some(last) if last >= now => (last.parse::<u64>().unwrap_or_default() + 1).to_string(),
        _ => now,
    })
}
