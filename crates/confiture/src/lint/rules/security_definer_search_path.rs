use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;

/// A SECURITY DEFINER routine without a `search_path` of its own.
pub(crate) static RULE: Rule = Rule {
    code: "security-definer-search-path",
    concern: Concern::Design,
    severity: Severity::Error,
    summary: "a SECURITY DEFINER routine without a search_path of its own",
    why: "It runs with its owner's rights and with its caller's search_path: whoever calls it decides which functions and tables its names mean.",
    fix: "add SET search_path = '' (and name things with their schema), or SET search_path = pg_catalog, app, pg_temp",
    bad: "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';",
    good: "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let words = subject.words();
    let routine = ["function", "procedure", "routine"].into_iter().any(|kind| {
        words.sees(&format!("create {kind}"))
            || words.sees(&format!("create or replace {kind}"))
            || words.sees(&format!("alter {kind}"))
    });
    if routine && words.holds("security definer") && !words.holds("set search_path") {
        found.at(subject.all(), "it runs with its owner's rights and its caller's search_path");
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn altered_ones_too() {
        judge(
            &RULE,
            true,
            &[
                "ALTER FUNCTION f() SECURITY DEFINER",
                "CREATE OR REPLACE PROCEDURE p() SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN SET search_path = ''; END $$",
            ],
        );
        judge(&RULE, false, &["CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SECURITY DEFINER'"]);
    }
}
