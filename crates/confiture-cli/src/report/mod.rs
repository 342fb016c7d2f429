//! A migration as one HTML file, for people who decide and were not there: what was planned, what was done, and what proves it.
//!
//! The file needs nothing from elsewhere, runs nothing, and holds no row.

mod html;
mod plot;
mod proof;
mod story;

use confiture::schema_to_schema::Plan;
use confiture::schema_to_schema::watch::Record;

use self::html::{Html, facts, paragraph, section, table};
use crate::monitor::{Headline, StopState, Tone, rail};
use crate::output::numbers::{count, thousands};

const CSS: &str = include_str!("report.css");

/// What a report tells.
pub(crate) struct Told<'a> {
    /// What the ledger holds.
    pub(crate) record: &'a Record,
    /// The plan, where both sides and the mapping are there; else why not.
    pub(crate) plan: Result<&'a Plan, String>,
    /// The sentence.
    pub(crate) headline: &'a Headline,
    /// When it is told, UTC.
    pub(crate) now: String,
}

/// The file.
pub(crate) fn render(told: &Told<'_>) -> String {
    let record = told.record;
    let main = Html::all([
        opening(told),
        story::figures(record),
        plan(told),
        story::timeline(record),
        proof::proofs(record),
        proof::cutover(record),
        closing(told),
    ]);
    let title = Html::text(format!("Migration into {}", record.sight.status.target)).into_string();
    let main = Html::element("main", "", main).into_string();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n{main}\n</body>\n</html>\n"
    )
}

fn opening(told: &Told<'_>) -> Html {
    let status = &told.record.sight.status;
    let database = |address: &str| address.rsplit('/').next().unwrap_or(address).to_owned();
    let title = format!("{} → {}", database(&status.source), database(&status.target));
    let stops = rail(Some(&told.record.sight)).into_iter().map(|stop| {
        let (class, mark) = match stop.state {
            StopState::Done => ("done", "✓"),
            StopState::Now => ("now", "●"),
            StopState::Ahead => ("", "○"),
            StopState::Wrong => ("wrong", "✗"),
        };
        Html::element("li", class, Html::text(format!("{mark} {}", stop.label)))
    });
    let wrong = matches!(told.headline.tone, Tone::Wrong | Tone::Look);
    let sentence = Html::element("b", if wrong { "fail" } else { "" }, Html::text(&told.headline.text));
    Html::all([
        Html::element("div", "mark", Html::text("confiture · migration report")),
        Html::element("h1", "", Html::text(title)),
        Html::element("p", "soft", Html::text(format!("As it was at {} UTC", told.now))),
        Html::element(
            "div",
            "verdict",
            Html::all([
                sentence,
                paragraph(&told.headline.more),
                paragraph(proof::last_comparison(told.record)),
                Html::element("ol", "rail", Html::all(stops)),
            ]),
        ),
    ])
}

fn plan(told: &Told<'_>) -> Html {
    let record = told.record;
    let mapping = record.mapping_file.as_deref().unwrap_or("none: tables and columns of the same name");
    let mut inside = vec![facts([
        ("Old database", Html::text(&record.sight.status.source)),
        ("New database", Html::text(&record.sight.status.target)),
        ("Mapping", Html::text(mapping)),
    ])];
    match &told.plan {
        Ok(plan) => {
            inside.push(facts([("Fingerprint", Html::element("code", "", Html::text(&plan.fingerprint)))]));
            inside.extend(plan.remarks.iter().map(|remark| hazard(&remark.message, remark.warning)));
            inside.extend(plan.tables.iter().map(table_plan));
        }
        Err(why) => {
            inside.push(paragraph(format!(
                "Which column becomes what cannot be said here: {why}. How each table was copied stands under Figures."
            )));
        }
    }
    section("What was planned", inside)
}

fn table_plan(plan: &confiture::schema_to_schema::TablePlan) -> Html {
    let from = plan
        .source
        .as_ref()
        .map_or_else(|| "a statement of the mapping".to_owned(), confiture::sql::QualifiedName::short);
    let title = Html::element("h3", "", Html::text(format!("{} ← {from}", plan.target.short())));
    let about = format!(
        "About {} rows, {}; by {}: {}.",
        thousands(plan.rows),
        crate::output::numbers::bytes(plan.bytes),
        match plan.route {
            confiture::schema_to_schema::Route::Copy => "COPY",
            confiture::schema_to_schema::Route::Fdw => "foreign tables",
            confiture::schema_to_schema::Route::Local => "INSERT … SELECT",
        },
        plan.reason
    );
    let same = |column: &confiture::schema_to_schema::ColumnPlan| {
        column.source_column.as_ref().is_some_and(|source| source == &column.target)
    };
    let (kept, changed): (Vec<_>, Vec<_>) = plan.columns.iter().partition(|column| same(column));
    let mut pieces = vec![title, paragraph(about)];
    if !changed.is_empty() {
        let row = |column: &&confiture::schema_to_schema::ColumnPlan| {
            [
                Html::element("code", "", Html::text(&column.target)),
                Html::element("code", "", Html::text(&column.shown)),
                Html::text(&column.data_type),
            ]
        };
        pieces.push(table(["New column", "Made from", "Type"], changed.iter().map(row)));
    }
    if !kept.is_empty() {
        let names: Vec<String> = kept.iter().map(|column| column.target.to_string()).collect();
        pieces.push(paragraph(format!("Under their own names: {}.", names.join(", "))));
    }
    if !plan.skipped.is_empty() {
        let skipped: Vec<String> = plan.skipped.iter().map(|(name, why)| format!("{name} ({why})")).collect();
        pieces.push(paragraph(format!("Not written: {}.", skipped.join(", "))));
    }
    pieces.extend(plan.remarks.iter().map(|remark| hazard(&remark.message, remark.warning)));
    Html::all(pieces)
}

fn hazard(message: &str, warning: bool) -> Html {
    let text = if warning { format!("To look at: {message}") } else { message.to_owned() };
    Html::element("p", if warning { "hazard" } else { "soft" }, Html::text(text))
}

fn closing(told: &Told<'_>) -> Html {
    let record = told.record;
    Html::element(
        "footer",
        "",
        paragraph(format!(
            "Written by confiture {} from what the new database remembers of the migration in its schema confiture: {} of the \
             audit trail. It holds no value of a row. Times are UTC.",
            record.tool_version,
            count(record.trail.len(), "line")
        )),
    )
}
