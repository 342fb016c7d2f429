//! Names that may mean one thing.

use std::collections::BTreeSet;

/// Words that say nothing alone.
const EMPTY_WORDS: [&str; 16] = [
    "at", "on", "by", "id", "no", "of", "is", "has", "date", "time", "count", "num", "number", "flag",
    "type", "the",
];

/// Words that stand for different things of one kind: what is called by one is not what is called by another.
const OPPOSITES: [&str; 86] = [
    "first",
    "last",
    "middle",
    "next",
    "previous",
    "created",
    "updated",
    "deleted",
    "modified",
    "archived",
    "start",
    "end",
    "begin",
    "min",
    "max",
    "from",
    "to",
    "old",
    "new",
    "in",
    "out",
    "billing",
    "shipping",
    "source",
    "target",
    "parent",
    "child",
    "home",
    "work",
    "primary",
    "secondary",
    "sent",
    "received",
    "paid",
    "due",
    "left",
    "right",
    "upper",
    "lower",
    "given",
    "family",
    "backup",
    "gross",
    "net",
    "eur",
    "usd",
    "gbp",
    "chf",
    "jpy",
    "active",
    "inactive",
    "enabled",
    "disabled",
    "visible",
    "hidden",
    "public",
    "private",
    "open",
    "opened",
    "closed",
    "buy",
    "sell",
    "debit",
    "credit",
    "width",
    "height",
    "lat",
    "lng",
    "lon",
    "latitude",
    "longitude",
    "city",
    "country",
    "street",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "daily",
    "weekly",
    "monthly",
    "yearly",
    "before",
    "after",
    "actual",
];

/// Words that make another thing of what they are put to: `password_hash` is no new name of `password`.
const MAKES_ANOTHER: [&str; 12] =
    ["hash", "hashed", "digest", "encrypted", "cents", "total", "count", "token", "url", "not", "no", "id"];

/// The words of a name: `user_names`, `userNames` and `UserNames` have the same.
fn words(name: &str) -> BTreeSet<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_uppercase() && !before.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

/// A word as it is of one: `categories` are some of `category`.
fn singular(word: &str) -> String {
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        (Some(stem), _) if stem.len() > 1 => format!("{stem}y"),
        (None, Some(stem)) if stem.len() > 2 && !stem.ends_with('s') => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// The words that both have, be it of one or of several.
fn common(one: &str, other: &str) -> BTreeSet<String> {
    let singular = |name: &str| words(name).iter().map(|word| singular(word)).collect::<BTreeSet<_>>();
    singular(one).intersection(&singular(other)).cloned().collect()
}

/// How many words both have.
pub(super) fn words_in_common(one: &str, other: &str) -> usize {
    common(one, other).len()
}

/// True for names of which one may have come from the other, be it as a part.
pub(super) fn share_a_word(one: &str, other: &str) -> bool {
    let telling = |word: &String| !EMPTY_WORDS.contains(&word.as_str()) && word.chars().count() > 2;
    common(one, other).iter().any(telling)
}

/// True for names that may well be one: they share a word that says something, and differ in none that tells things apart.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    let (ours, theirs) = (words(one), words(other));
    let apart = |word: &String| OPPOSITES.contains(&word.as_str());
    if ours.difference(&theirs).any(apart) && theirs.difference(&ours).any(apart) {
        return false;
    }
    if ours.symmetric_difference(&theirs).any(|word| MAKES_ANOTHER.contains(&word.as_str())) {
        return false;
    }
    share_a_word(one, other) || strsim::jaro_winkler(one, other) > 0.9
}

/// True for `"firstName"` and `first_name`.
pub(super) fn has_same_letters(one: &str, other: &str) -> bool {
    let letters = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    letters(one) == letters(other) && !letters(one).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_may_mean_one_thing_are_alike() {
        for (one, other) in [
            ("full_name", "display_name"),
            ("email", "email_address"),
            ("descripton", "description"),
            ("cities", "city"),
            ("EventClass", "ActionClass"),
            ("orders_users", "user"),
        ] {
            assert!(are_alike(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("created_at", "deleted_at"),
            ("first_name", "last_name"),
            ("shipping_zip", "billing_zip"),
            ("user_id", "team_id"),
            ("price", "name"),
            ("start_date", "end_date"),
            ("is_active", "is_inactive"),
            ("amount_eur", "amount_usd"),
            ("price_gross", "price_net"),
            ("password", "password_hash"),
            ("password", "passwordHash"),
            ("isActive", "isInactive"),
        ] {
            assert!(!are_alike(one, other), "{one} {other}");
        }
        for (one, other) in [("firstName", "first_name"), ("TBL_ID", "tbl_id"), ("userid", "user_id")] {
            assert!(has_same_letters(one, other), "{one} {other}");
        }
        assert!(!has_same_letters("address1", "address2") && !has_same_letters("_", "__"));
    }
}
