//! Rows are written anew once, or read, and a table is locked once for the columns that come: neighbours that do it become one statement.

use crate::diff::{Hazard, Step};
use crate::sql::Sql;

/// Makes one step of steps that follow each other and write all rows of one table anew, or give it columns.
#[must_use]
pub fn rewrite_once(steps: Vec<Step>) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    for step in steps {
        // What checks rows apart from what it holds locks for stays out of others' transaction.
        let in_transaction = all.iter().nth_back(1).is_some_and(|before| before.joined);
        match (all.last_mut(), Rewrite::of(&step)) {
            (Some(last), Some(rewrite))
                if Rewrite::of(last).is_some_and(|one| one.goes_with(&rewrite))
                    && !(in_transaction && step.alone) =>
            {
                last.take_along(step);
            }
            _ => all.push(step),
        }
    }
    all
}

/// The first statement of a step that writes all rows anew, or adds a column: `ALTER TABLE table word rest`.
struct Rewrite<'a> {
    table: &'a str,
    word: &'static str,
    rest: &'a str,
}

impl<'a> Rewrite<'a> {
    fn of(step: &'a Step) -> Option<Self> {
        let text = step.statements.first()?.as_str().strip_prefix("ALTER TABLE ")?;
        let (table, word, rest) = ["ALTER COLUMN", "ADD COLUMN"].into_iter().find_map(|word| {
            let (table, rest) = text.split_once(&format!(" {word} "))?;
            // Such words in a name are none.
            table.matches('"').count().is_multiple_of(2).then_some((table.trim_end(), word, rest))
        })?;
        let rewrites =
            || rest.contains(" TYPE ") && step.hazards.iter().any(|one| matches!(one, Hazard::Rewrites(_)));
        (word == "ADD COLUMN" || rewrites()).then_some(Self { table, word, rest })
    }

    fn goes_with(&self, next: &Self) -> bool {
        (self.table, self.word) == (next.table, next.word)
    }

    /// The name of the column, with its quotes.
    fn column(&self) -> &'a str {
        let mut quoted = false;
        let end = self.rest.find(|c: char| {
            quoted ^= c == '"';
            c == ' ' && !quoted
        });
        &self.rest[..end.unwrap_or(self.rest.len())]
    }
}

/// Says of which column a hazard is told, where a statement has several: once, where the same is told of others.
fn tell(hazards: &mut Vec<Hazard>, column: &str, hazard: Hazard) {
    let of_column = match hazard {
        Hazard::DataLoss(_) => Hazard::DataLoss,
        Hazard::MayFail(_) => Hazard::MayFail,
        _ => {
            if !hazards.contains(&hazard) {
                hazards.push(hazard);
            }
            return;
        }
    };
    let why = format!(": {}", hazard.why());
    let is_same = |one: &&mut Hazard| one.class() == hazard.class() && one.why().ends_with(&why);
    if let Some(same) = hazards.iter_mut().find(is_same) {
        let columns = same.why().strip_suffix(&why).unwrap_or_default();
        *same = of_column(format!("{columns}, {column}{why}").into());
        return;
    }
    hazards.push(of_column(format!("{column}{why}").into()));
}

impl Step {
    /// Does what `next` does along with its own: in one statement, and what else `next` does after its own.
    fn take_along(&mut self, next: Step) {
        let (Some(own), Some(other)) = (Rewrite::of(self), Rewrite::of(&next)) else { return };
        let Rewrite { table, word, rest } = own;
        let all = format!("ALTER TABLE {table}\n    {word} {rest},\n    {word} {}", other.rest);
        let (title, own, other) =
            (format!("columns of {table}"), own.column().to_owned(), other.column().to_owned());
        if !self.statements[0].as_str().starts_with(&format!("ALTER TABLE {table}\n")) {
            for hazard in std::mem::take(&mut self.hazards) {
                tell(&mut self.hazards, &own, hazard);
            }
        }
        self.title = title;
        self.statements[0] = Sql::from_server(all);
        self.statements.extend(next.statements.into_iter().skip(1));
        for hazard in next.hazards {
            tell(&mut self.hazards, &other, hazard);
        }
        self.commits |= next.commits;
        self.alone |= next.alone;
        self.joined = next.joined;
    }
}
