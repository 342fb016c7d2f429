//! The table of ratios.

use serde_json::{Value, json};

/// One comparison: the program's figure, the peer's, and the highest ratio that is good enough.
#[derive(Debug, Clone)]
pub(super) struct Row {
    name: String,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
enum Outcome {
    Measured { ours: f64, peer: f64, unit: Unit, bar: f64 },
    NotRun(String),
}

/// What a figure counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    Mebibytes,
}

/// Whether a comparison came out well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    Missed,
    NoBar,
    NotRun,
}

impl Verdict {
    fn shown(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NoBar => "no bar",
            Self::NotRun => "not run",
        }
    }
}

impl Row {
    /// Less is better: `ours / peer` should be at most `bar`.
    pub(super) fn new(name: impl Into<String>, ours: f64, peer: f64, unit: Unit, bar: f64) -> Self {
        Self { name: name.into(), outcome: Outcome::Measured { ours, peer, unit, bar } }
    }

    /// A figure that explains another one, and that nobody can better.
    pub(super) fn without_bar(name: impl Into<String>, ours: f64, peer: f64, unit: Unit) -> Self {
        Self::new(name, ours, peer, unit, f64::INFINITY)
    }

    /// A comparison that could not be made.
    pub(super) fn not_run(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::NotRun(reason.into()) }
    }

    /// Whether the ratio is good enough.
    pub(super) fn verdict(&self) -> Verdict {
        match self.outcome {
            Outcome::NotRun(_) => Verdict::NotRun,
            Outcome::Measured { bar: f64::INFINITY, .. } => Verdict::NoBar,
            Outcome::Measured { ours, peer, bar, .. } if ours / peer <= bar => Verdict::Met,
            Outcome::Measured { .. } => Verdict::Missed,
        }
    }
}

impl Unit {
    fn show(self, figure: f64) -> String {
        match self {
            Self::Seconds if figure < 0.1 => format!("{:.1} ms", figure * 1000.0),
            Self::Seconds => format!("{figure:.2} s"),
            Self::Mebibytes => format!("{figure:.0} MiB"),
        }
    }
}

/// Prints the rows as `name | ours | peer | ratio | bar | verdict`.
pub(super) fn print(rows: &[Row]) {
    println!("{:<46} | {:>9} | {:>9} | {:>5} | {:>5} | verdict", "name", "ours", "peer", "ratio", "bar");
    for row in rows {
        match &row.outcome {
            Outcome::Measured { ours, peer, unit, bar } => {
                let verdict = row.verdict().shown();
                let (name, ratio) = (&row.name, ours / peer);
                let [ours, peer] = [ours, peer].map(|figure| unit.show(*figure));
                let bar = if bar.is_finite() { format!("{bar:.2}") } else { "-".to_owned() };
                println!("{name:<46} | {ours:>9} | {peer:>9} | {ratio:>5.2} | {bar:>5} | {verdict}");
            }
            Outcome::NotRun(reason) => println!("{:<46} | not run: {reason}", row.name),
        }
    }
}

/// The rows as data.
pub(super) fn to_json(rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| match &row.outcome {
        Outcome::Measured { ours, peer, unit, bar } => json!({
            "name": row.name,
            "unit": match unit { Unit::Seconds => "s", Unit::Mebibytes => "MiB" },
            "ours": ours,
            "peer": peer,
            "ratio": ours / peer,
            "bar": bar,
            "verdict": row.verdict().shown(),
        }),
        Outcome::NotRun(reason) => json!({ "name": row.name, "verdict": "not run", "reason": reason }),
    });
    Value::Array(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_its_bar_is_missed() {
        assert_eq!(Row::new("a", 1.0, 2.0, Unit::Seconds, 0.5).verdict(), Verdict::Met);
        assert_eq!(Row::new("a", 1.1, 2.0, Unit::Seconds, 0.5).verdict(), Verdict::Missed);
        assert_eq!(Row::not_run("a", "no such command").verdict(), Verdict::NotRun);
        assert_eq!(Row::without_bar("a", 9.0, 1.0, Unit::Seconds).verdict(), Verdict::NoBar);
    }

    #[test]
    fn data_and_table_agree() {
        let rows = [Row::new("a", 1.0, 2.0, Unit::Mebibytes, 0.5), Row::not_run("b", "no such command")];
        let json = to_json(&rows);
        assert_eq!(json[0]["ratio"], 0.5);
        assert_eq!(json[0]["verdict"], "met");
        assert_eq!(json[1]["reason"], "no such command");
        assert!(to_json(&[Row::without_bar("a", 1.0, 2.0, Unit::Seconds)])[0]["bar"].is_null());
    }
}
