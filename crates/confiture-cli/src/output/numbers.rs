//! Numbers, sizes and durations as people read them.

use std::time::Duration;

/// `10,000,000`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `10M`, `1.5M`, `100K`, `999`: a row count where its magnitude is what matters.
pub(crate) fn magnitude(number: u64) -> String {
    scaled(number as f64, &[(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")])
        .unwrap_or_else(|| number.to_string())
}

/// `10M rows`, `1 row`: about as many.
pub(crate) fn rows(number: u64) -> String {
    if number == 1 { "1 row".to_owned() } else { format!("{} rows", magnitude(number)) }
}

/// `1.2 GB`, `340 MB`, `12 bytes`: powers of 1000, as disks and networks are sold.
pub(crate) fn bytes(number: u64) -> String {
    scaled(number as f64, &[(1e12, " TB"), (1e9, " GB"), (1e6, " MB"), (1e3, " kB")])
        .unwrap_or_else(|| format!("{number} bytes"))
}

/// `20 sec`, `90 sec`, `2.9 minutes`, `3.4 hours`, `2.5 days`: one unit, one decimal at most.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if seconds < 0.0005 => "0 sec".to_owned(),
        _ if seconds < 0.0995 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 9.95 => format!("{} sec", one_decimal(seconds)),
        _ if seconds < 119.5 => format!("{seconds:.0} sec"),
        _ if seconds < 2.0 * 3600.0 => format!("{} minutes", one_decimal(seconds / 60.0)),
        _ if seconds < 2.0 * 86400.0 => format!("{} hours", one_decimal(seconds / 3600.0)),
        _ => format!("{} days", one_decimal(seconds / 86400.0)),
    }
}

/// `4 ms`, `0.3 ms`, `2.1 sec`: a duration of which milliseconds matter.
pub(crate) fn milliseconds(elapsed: Duration) -> String {
    let milliseconds = elapsed.as_secs_f64() * 1e3;
    match milliseconds {
        _ if milliseconds >= 999.5 => duration(elapsed),
        _ if milliseconds >= 0.95 => format!("{milliseconds:.0} ms"),
        _ => format!("{milliseconds:.1} ms"),
    }
}

/// `1 table`, `3 tables`.
pub(crate) fn count(number: impl TryInto<u64>, one: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{} {one}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// Below ten of a unit one decimal, from there on none; `None` below the smallest unit.
fn scaled(number: f64, units: &[(f64, &str)]) -> Option<String> {
    let (index, (size, unit)) = units.iter().enumerate().find(|(_, (size, _))| number >= *size)?;
    let value = number / size;
    // 999.9M rounds to 1000M: say 1B.
    if value >= 999.5 && index > 0 {
        return Some(format!("1{}", units[index - 1].1));
    }
    Some(if value < 9.95 { format!("{}{unit}", one_decimal(value)) } else { format!("{value:.0}{unit}") })
}

fn one_decimal(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_threes() {
        let shown = [0, 7, 999, 1_000, 12_345, 123_456, 10_000_000, u64::MAX].map(thousands);
        assert_eq!(
            shown,
            ["0", "7", "999", "1,000", "12,345", "123,456", "10,000,000", "18,446,744,073,709,551,615"]
        );
    }

    #[test]
    fn magnitudes_are_those_of_the_seed() {
        let shown = [0, 999, 100_000, 1_500_000, 10_000_000, 500_000_000, 999_900_000, 1_000].map(magnitude);
        assert_eq!(shown, ["0", "999", "100K", "1.5M", "10M", "500M", "1B", "1K"]);
    }

    #[test]
    fn sizes_have_one_unit() {
        let shown = [0, 512, 1_200_000_000, 340_000_000, 999_999].map(bytes);
        assert_eq!(shown, ["0 bytes", "512 bytes", "1.2 GB", "340 MB", "1 MB"]);
    }

    #[test]
    fn durations_are_those_of_the_seed() {
        let of = |seconds: f64| duration(Duration::from_secs_f64(seconds));
        assert_eq!(
            [0.0, 0.03, 0.2, 8.33, 15.0, 20.0, 90.0].map(of),
            ["0 sec", "30 ms", "0.2 sec", "8.3 sec", "15 sec", "20 sec", "90 sec"]
        );
        assert_eq!(
            [175.0, 1002.0, 7200.0, 216_000.0].map(of),
            ["2.9 minutes", "16.7 minutes", "2 hours", "2.5 days"]
        );
    }
}
