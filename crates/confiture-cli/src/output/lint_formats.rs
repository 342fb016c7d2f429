//! What lint found, for other programs: SARIF, and GitHub's workflow commands.

use std::fmt::Write as _;

use confiture::lint::{LintReport, RULES, Severity};
use serde_json::{Value, json};

/// SARIF 2.1.0.
pub(crate) fn sarif(report: &LintReport) -> String {
    let level = |severity: Severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.code,
                "shortDescription": { "text": rule.summary },
                "fullDescription": { "text": rule.why },
                "help": { "text": format!("Instead: {}.", rule.fix) },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results: Vec<Value> = report
        .remarks
        .iter()
        .map(|remark| {
            let index = RULES.iter().position(|rule| rule.code == remark.rule);
            json!({
                "ruleId": remark.rule,
                "ruleIndex": index,
                "level": level(remark.severity),
                "message": { "text": format!("{}. Instead: {}.", remark.message, remark.fix) },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": remark.place.file.to_string_lossy().replace('\\', "/") },
                        "region": { "startLine": remark.place.line, "startColumn": remark.place.column },
                    }
                }],
            })
        })
        .collect();
    let driver = json!({ "name": "confiture", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results }],
    });
    format!("{log:#}\n")
}

/// `::error file=…,line=…::message`, which GitHub shows beside the line.
pub(crate) fn github(report: &LintReport) -> String {
    let mut text = String::new();
    for remark in &report.remarks {
        let command = match remark.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let file = property(&remark.place.file.to_string_lossy());
        let message = data(&format!("{}. Instead: {}. ({})", remark.message, remark.fix, remark.docs));
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "::{command} file={file},line={},col={},title={}::{message}",
            remark.place.line, remark.place.column, remark.rule
        );
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
