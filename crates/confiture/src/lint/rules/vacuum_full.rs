use super::{Concern, Rule, Severity};
use crate::lint::Found;
use crate::lint::subject::Subject;
use crate::sql::lex::TokenKind;

/// VACUUM FULL or CLUSTER.
pub(crate) static RULE: Rule = Rule {
    code: "vacuum-full",
    concern: Concern::Running,
    severity: Severity::Error,
    summary: "VACUUM FULL or CLUSTER",
    why: "Both write the whole table anew under ACCESS EXCLUSIVE.",
    fix: "VACUUM without FULL; where room must be given back, pg_repack or pg_squeeze",
    bad: "VACUUM FULL users;",
    good: "VACUUM (ANALYZE) users;",
    check,
};

fn check(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut words = subject.words();
    let full = words.eat("vacuum")
        && (words.sees("full")
            || words
                .rest()
                .iter()
                .take_while(|token| token.kind != TokenKind::Close)
                .any(|token| token.is_word(words.source(), "full"))
                && words.peek().is_some_and(|token| token.kind == TokenKind::Open));
    if full || subject.words().sees("cluster") {
        found.at(subject.all(), "the table is written anew while nobody can read or write it");
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::lint::tests::judge;

    #[test]
    fn options_count() {
        judge(&RULE, true, &["VACUUM (FULL, ANALYZE) t", "CLUSTER t USING i", "cluster"]);
        judge(&RULE, false, &["VACUUM", "VACUUM (ANALYZE)", "VACUUM ANALYZE \"full\""]);
    }
}
