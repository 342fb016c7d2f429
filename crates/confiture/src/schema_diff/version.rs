//! A live database on one version of PostgreSQL, beside scratch databases on another.

use crate::catalog::{Kind, Objects};
use crate::diff;

/// From here on, only its owner may create anything in the schema `public`.
const CLOSED_PUBLIC: u32 = 150_000;

/// From here on, there is the privilege MAINTAIN, which is part of ALL.
const MAINTAIN: u32 = 170_000;

/// ALL on a table, as a list of privileges has it, before there was MAINTAIN.
const ALL_BEFORE: &str = "arwdDxt";

/// Reads the privileges of a live database as a server of `version` would have them.
pub(super) fn translate(live: &mut Objects, version: u32) {
    let from = live.server_version;
    let crosses = |bound: u32| (from < bound) != (version < bound);
    for object in &mut live.all {
        if crosses(MAINTAIN) {
            for items in [&mut object.acl, &mut object.acl_default].into_iter().flatten() {
                *items = items.iter().filter_map(|item| with_maintain(item, version >= MAINTAIN)).collect();
            }
        }
        if crosses(CLOSED_PUBLIC) && object.kind == Kind::Schema && object.name == "public" {
            close_public(object.acl.as_deref_mut().unwrap_or_default(), version >= CLOSED_PUBLIC);
        }
    }
}

/// What is said where a live database's version is not that of the scratch databases.
pub(super) fn remark(database: &str, live: u32, scratch: u32) -> Option<String> {
    let (live, scratch) = (live / 10_000, scratch / 10_000);
    (live != scratch).then(|| {
        format!(
            "the database {database} is on PostgreSQL {live} and was compared on {scratch}: what these do differently may be missing here or too much, \
             and MAINTAIN, which is there from 17 on, is not compared; install {live} beside {scratch}, or name a server of it with --scratch-url"
        )
    })
}

/// `"we ird"=arwdDxt/owner` with MAINTAIN, where that is all; or without it, `None` where nothing is left.
fn with_maintain(item: &str, with: bool) -> Option<String> {
    let rest = diff::split_name(item).1;
    let grantee = item.strip_suffix(rest)?;
    let (letters, grantor) = rest.strip_prefix('=')?.split_once('/')?;
    let letters = match with {
        true if letters.replace('*', "") == ALL_BEFORE => {
            format!("{letters}m{}", if letters.ends_with('*') { "*" } else { "" })
        }
        true => letters.to_owned(),
        false => letters.replace("m*", "").replace('m', ""),
    };
    (!letters.is_empty()).then(|| format!("{grantee}={letters}/{grantor}"))
}

/// Takes CREATE on it from everybody, or gives it back, where its privileges are those of a new database.
fn close_public(items: &mut [String], closed: bool) {
    let (open, shut) = ("=UC/", "=U/");
    let (from, to) = if closed { (open, shut) } else { (shut, open) };
    if let [owner, everybody] = items
        && let Some(grantor) = everybody.strip_prefix(from)
        && *owner == format!("{grantor}=UC/{grantor}")
    {
        *everybody = format!("{to}{grantor}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintain_is_part_of_all() {
        for (item, with, read) in [
            ("a=arwdDxt/o", true, Some("a=arwdDxtm/o")),
            ("a=a*r*w*d*D*x*t*/o", true, Some("a=a*r*w*d*D*x*t*m*/o")),
            ("a=arwd/o", true, Some("a=arwd/o")),
            ("\"m=m/\"\"\"=arwdDxtm/m", false, Some("\"m=m/\"\"\"=arwdDxt/m")),
            ("mm=rm*/mm", false, Some("mm=r/mm")),
            ("=m/o", false, None),
        ] {
            assert_eq!(with_maintain(item, with).as_deref(), read, "{item}");
        }
    }

    #[test]
    fn public_of_a_new_database_is_what_it_is_elsewhere() {
        let read = |items: [&str; 2], closed| {
            let mut items = items.map(str::to_owned);
            close_public(&mut items, closed);
            items.join(" ")
        };
        assert_eq!(read(["a=UC/a", "=UC/a"], true), "a=UC/a =U/a");
        assert_eq!(read(["a=UC/a", "=U/a"], false), "a=UC/a =UC/a");
        assert_eq!(read(["a=UC/a", "b=UC/a"], true), "a=UC/a b=UC/a");
    }
}
