//! What migrations are numbered by, and how the next one is.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// A version as its file writes it: `001`, `20260101120000`, Flyway's `1.2`. Leading zeros are kept and do not count.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "String")]
pub struct Version {
    text: String,
    /// The groups of digits, without leading zeros; trailing zero groups are dropped: `1.0` is `1`.
    groups: Vec<String>,
}

impl Version {
    /// Reads digits, or groups of them with `.` or `_` in between. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_group = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
        let text = text.replace('_', ".");
        if !text.split('.').all(is_group) {
            return None;
        }
        let mut groups: Vec<_> =
            text.split('.').map(|group| group.trim_start_matches('0').to_owned()).collect();
        while groups.last().is_some_and(String::is_empty) {
            groups.pop();
        }
        Some(Self { text, groups })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same with its last group one higher, and as wide as before.
    fn next(&self) -> String {
        let (head, last) = match self.text.rsplit_once('.') {
            Some((head, last)) => (format!("{head}."), last),
            None => (String::new(), self.text.as_str()),
        };
        format!("{head}{}", incremented(last))
    }
}

/// Digits plus one, as wide as before where that is wide enough.
fn incremented(digits: &str) -> String {
    let mut bytes = digits.as_bytes().to_vec();
    for byte in bytes.iter_mut().rev() {
        if *byte == b'9' {
            *byte = b'0';
        } else {
            *byte += 1;
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    format!("1{}", String::from_utf8_lossy(&bytes))
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.groups == other.groups
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.groups.hash(state);
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        fn keys(version: &Version) -> impl Iterator<Item = (usize, &str)> {
            version.groups.iter().map(|group| (group.len(), group.as_str()))
        }
        keys(self).cmp(keys(other))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The version after `last`, in its style: one more for a sequence, the time for a timestamp. Without a last one, the time.
/// Never one that is not higher than `last`, whatever the clock says.
#[must_use]
pub fn next_version(last: Option<&Version>, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let Some(last) = last else { return timestamp(now) };
    let digits = last.text.len();
    let is_year = ["19", "20"].iter().any(|century| last.text.starts_with(century));
    let by_clock = match digits {
        // A date alone cannot number two migrations of one day.
        8 | 12 | 14 if is_year && !last.text.contains('.') => Some(timestamp(now)),
        10 if last.text.starts_with('1') && !last.text.contains('.') => Some(now.as_secs().to_string()),
        _ => None,
    };
    by_clock
        .filter(|text| Version::parse(text).is_some_and(|version| version > *last))
        .unwrap_or_else(|| last.next())
}

/// `20260101120000`: the time in UTC.
fn timestamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = date_of(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// The date of the Gregorian calendar, so many days after 1970-01-01.
fn date_of(days: u64) -> (u64, u64, u64) {
    // Years that begin in March: then the leap day is the last one. (Howard Hinnant, `civil_from_days`.)
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let sorted = ["0", "1", "1.1", "1.2", "1.10", "002", "10", "20251231235959", "99999999999999999999"];
        for pair in sorted.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("001"), version("1"));
        assert_eq!(version("1_2"), version("1.2.0"));
        for text in ["", "a", "1a", "1..2", "1.", "-1", " 1"] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_next_one_continues_the_style() {
        let now = UNIX_EPOCH + Duration::from_secs(1_709_210_096);
        let next = |last: &str| next_version(Some(&version(last)), now);
        assert_eq!(next_version(None, now), "20240229123456");
        assert_eq!(next("20240101120000"), "20240229123456");
        assert_eq!(next("001"), "002");
        assert_eq!(next("099"), "100");
        assert_eq!(next("9"), "10");
        assert_eq!(next("1.9"), "1.10");
        assert_eq!(next("1700000000"), "1709210096");
        assert_eq!(next("20240101"), "20240229123456");
        assert_eq!(next("20990101120000"), "20990101120001", "a clock that is behind");
    }
}
