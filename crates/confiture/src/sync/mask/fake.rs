//! Words from lists of our own, chosen by a keyed hash: the same value always gets the same word.

use super::key::Keyed;
use crate::config::sync_rules::{FakeKind, Locale};

/// Counted up when a list changes: masks of another version differ.
pub const LISTS_VERSION: u32 = 1;

macro_rules! list {
    ($name:ident, $file:literal) => {
        fn $name() -> &'static [&'static str] {
            static LIST: std::sync::OnceLock<Vec<&'static str>> = std::sync::OnceLock::new();
            LIST.get_or_init(|| include_str!($file).lines().filter(|line| !line.is_empty()).collect())
        }
    };
}
list!(first_en, "lists/first_en.txt");
list!(first_fr, "lists/first_fr.txt");
list!(first_de, "lists/first_de.txt");
list!(last_en, "lists/last_en.txt");
list!(last_fr, "lists/last_fr.txt");
list!(last_de, "lists/last_de.txt");
list!(cities, "lists/cities.txt");
list!(words, "lists/words.txt");
list!(jobs, "lists/jobs.txt");

/// Writes the fake for `value`.
pub(super) fn fake(key: &Keyed, kind: FakeKind, locale: Locale, value: &str, out: &mut String) {
    let hash = key.hash(&[value.as_bytes()]);
    let mut at = 0;
    let mut next = || {
        at += 4;
        u32::from_be_bytes(hash[at - 4..at].try_into().unwrap_or([0; 4])) as usize
    };
    let (firsts, lasts) = match locale {
        Locale::En => (first_en(), last_en()),
        Locale::Fr => (first_fr(), last_fr()),
        Locale::De => (first_de(), last_de()),
    };
    let mut pick = |list: &[&'static str]| list[next() % list.len()];
    match kind {
        FakeKind::FirstName => out.push_str(pick(firsts)),
        FakeKind::LastName => out.push_str(pick(lasts)),
        FakeKind::Name => push_all(out, &[pick(firsts), " ", pick(lasts)]),
        FakeKind::Company => {
            push_all(
                out,
                &[pick(lasts), " ", pick(&["& Sons", "Ltd", "Group", "Works", "Partners", "Labs"])],
            );
        }
        FakeKind::City => out.push_str(pick(cities())),
        FakeKind::Job => out.push_str(pick(jobs())),
        FakeKind::Street => {
            let street = pick(words());
            let ending = pick(&["Street", "Road", "Lane", "Avenue", "Square", "Way"]);
            out.push_str(&format!("{} ", 1 + next() % 199));
            push_capitalised(out, street);
            push_all(out, &[" ", ending]);
        }
        FakeKind::Username => {
            let (first, second) = (pick(words()), pick(words()));
            push_all(out, &[first, "_", second, &(next() % 10_000).to_string()]);
        }
        FakeKind::Sentence => {
            let chosen = [pick(words()), pick(words()), pick(words()), pick(words()), pick(words())];
            push_capitalised(out, chosen[0]);
            chosen[1..].iter().for_each(|word| push_all(out, &[" ", word]));
            out.push('.');
        }
    }
}

/// How many different fakes there are: what two rows may share.
pub(crate) fn variety(kind: FakeKind, locale: Locale) -> u64 {
    let (firsts, lasts) = match locale {
        Locale::En => (first_en(), last_en()),
        Locale::Fr => (first_fr(), last_fr()),
        Locale::De => (first_de(), last_de()),
    };
    let number = match kind {
        FakeKind::FirstName => firsts.len(),
        FakeKind::LastName => lasts.len(),
        FakeKind::Name => firsts.len() * lasts.len(),
        FakeKind::Company => lasts.len() * 6,
        FakeKind::City => cities().len(),
        FakeKind::Job => jobs().len(),
        FakeKind::Street => words().len() * 6 * 199,
        FakeKind::Username => words().len().pow(2) * 10_000,
        FakeKind::Sentence => words().len().pow(5),
    };
    number as u64
}

/// The longest fake of a kind, in characters: what a column must have room for.
pub(crate) fn longest(kind: FakeKind, locale: Locale) -> usize {
    let most = |list: &[&str]| list.iter().map(|word| word.chars().count()).max().unwrap_or_default();
    let (first, last) = match locale {
        Locale::En => (most(first_en()), most(last_en())),
        Locale::Fr => (most(first_fr()), most(last_fr())),
        Locale::De => (most(first_de()), most(last_de())),
    };
    match kind {
        FakeKind::FirstName => first,
        FakeKind::LastName => last,
        FakeKind::Name => first + 1 + last,
        FakeKind::Company => last + 9,
        FakeKind::City => most(cities()),
        FakeKind::Job => most(jobs()),
        FakeKind::Street => 3 + 1 + most(words()) + 1 + 6,
        FakeKind::Username => most(words()) * 2 + 5,
        FakeKind::Sentence => most(words()) * 5 + 5,
    }
}

fn push_all(out: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| out.push_str(part));
}

fn push_capitalised(out: &mut String, word: &str) {
    let mut letters = word.chars();
    out.extend(letters.next().into_iter().flat_map(char::to_uppercase));
    out.push_str(letters.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::mask::key::MasterKey;

    #[test]
    fn a_value_keeps_its_fake_and_none_is_longer_than_promised() {
        let key = MasterKey::ephemeral().unwrap().subkey("test");
        for (_, kind) in FakeKind::ALL {
            for (_, locale) in Locale::ALL {
                for number in 0..300 {
                    let (mut one, mut two) = (String::new(), String::new());
                    fake(&key, *kind, *locale, &format!("value {number}"), &mut one);
                    fake(&key, *kind, *locale, &format!("value {number}"), &mut two);
                    assert_eq!(one, two);
                    assert!(!one.is_empty() && one.chars().count() <= longest(*kind, *locale), "{one}");
                }
            }
        }
    }

    #[test]
    fn lists_hold_no_word_twice() {
        for list in
            [first_en(), first_fr(), first_de(), last_en(), last_fr(), last_de(), cities(), words(), jobs()]
        {
            let mut sorted = list.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), list.len());
            assert!(list.len() >= 40);
        }
    }
}
