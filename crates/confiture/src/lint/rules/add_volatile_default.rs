use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::shape::What;
use crate::lint::subject::Subject;
use crate::sql::lex::{TokenKind, lex};

/// A column is added with a default that has to be computed for every row.
pub(crate) static RULE: Rule = Rule {
    code: "add-volatile-default",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "a column is added with a default that has to be computed for every row",
    why: "A constant default, `now()` included, is kept in the catalog and costs nothing. One that differs from row to row (`random()`, `gen_random_uuid()`, `clock_timestamp()`, `nextval()`) writes the whole table anew under ACCESS EXCLUSIVE: nobody reads or writes meanwhile.",
    fix: "add the column without a default, set the default, then fill the old rows in batches",
    bad: "ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();",
    good: "ALTER TABLE users ADD COLUMN token uuid;\nALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (table, what, span) in subject.alterations() {
        let What::AddColumn(column) = what else { continue };
        let Some(default) = &column.default else { continue };
        if let Some((called, certain)) = volatile_call(&subject.text[default.clone()]) {
            let may = if certain { "is" } else { "may be" };
            found.on(
                table,
                span,
                format!(
                    "the default of {} {may} different in every row ({called}), which writes {table} anew",
                    column.name
                ),
            );
            if !certain {
                found.less(Severity::Warning);
            }
        }
    }
}

/// Functions that are different at every call.
const VOLATILE: [&str; 14] = [
    "random",
    "gen_random_uuid",
    "uuidv4",
    "uuidv7",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "clock_timestamp",
    "timeofday",
    "nextval",
    "setval",
    "random_normal",
    "gen_random_bytes",
    "gen_salt",
];

/// Functions, and words before a parenthesis that are none, that are the same for all rows of one statement.
const STEADY: [&str; 38] = [
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "transaction_timestamp",
    "statement_timestamp",
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "lower",
    "upper",
    "length",
    "concat",
    "format",
    "array",
    "row",
    "interval",
    "timezone",
    "date_trunc",
    "extract",
    "to_timestamp",
    "make_interval",
    "jsonb_build_object",
    "jsonb_build_array",
    "json_build_object",
    "json_build_array",
    "to_jsonb",
    "md5",
    "numeric",
    "varchar",
    "char",
    "character",
    "timestamp",
    "timestamptz",
    "current_setting",
];

/// The function whose result differs, and whether that is certain or only possible.
fn volatile_call(expression: &str) -> Option<(String, bool)> {
    let tokens: Vec<_> = lex(expression).filter(|token| !token.is_blank()).collect();
    let mut unknown = None;
    for pair in tokens.windows(2) {
        let is_call = pair[0].kind == TokenKind::Word && pair[1].kind == TokenKind::Open;
        let name = pair[0].text(expression).to_ascii_lowercase();
        if !is_call || STEADY.contains(&name.as_str()) {
            continue;
        }
        if VOLATILE.contains(&name.as_str()) {
            return Some((name, true));
        }
        unknown.get_or_insert((name, false));
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn only_what_differs_from_row_to_row_counts() {
        judge(
            &RULE,
            true,
            &[
                "ALTER TABLE t ADD a float DEFAULT random()",
                "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT nextval('s') CHECK (a > 0)",
                "ALTER TABLE t ADD a text DEFAULT app.make_key()",
                "ALTER TABLE t ADD a int, ADD b timestamptz DEFAULT clock_timestamp()",
            ],
        );
        judge(
            &RULE,
            false,
            &[
                "ALTER TABLE t ADD a timestamptz NOT NULL DEFAULT now()",
                "ALTER TABLE t ADD a date DEFAULT CURRENT_DATE",
                "ALTER TABLE t ADD a jsonb DEFAULT '{}'::jsonb",
                "ALTER TABLE t ADD a numeric(10, 2) DEFAULT (1 + 2)",
                "CREATE TABLE t (a int); ALTER TABLE t ADD b uuid DEFAULT gen_random_uuid()",
                "ALTER TABLE t ADD a text DEFAULT 'random()'",
                "ALTER TABLE t ADD a text[] DEFAULT ARRAY[]::text[]",
                "ALTER TABLE t ADD a varchar(9) DEFAULT lower('X')",
            ],
        );
    }
}
