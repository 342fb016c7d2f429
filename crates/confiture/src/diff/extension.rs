//! Versions of extensions: an update leads to most, but not to all.

use crate::catalog::{Key, Kind, Objects};

/// Has an extension stay at the version that it has, whichever `objects` say.
pub fn leave_version(objects: &mut Objects, key: &Key) {
    if let Some(&at) = objects.by_key.get(key) {
        objects.all[at].forget_facet("version");
    }
}

/// Extensions of another version than in `new`, which no update leads to.
#[must_use]
pub fn other_versions(old: &Objects, new: &Objects) -> Vec<String> {
    let of = |objects: &Objects, key: &Key| -> Option<String> {
        let version = objects.find(key)?.1.facet("version")?;
        version.0.as_str().map(str::to_owned)
    };
    let extensions = new.all.iter().filter(|object| object.kind == Kind::Extension);
    let other = |key: Key| {
        let (is, asked) = (of(old, &key)?, of(new, &key)?);
        (is != asked).then(|| {
            format!("the extension {} is of version {is} and not {asked}: no update leads there", key.1)
        })
    };
    extensions.filter_map(|object| other(object.key())).collect()
}
