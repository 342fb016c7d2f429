//! A first guess at which file needs which: from the names that its statements define and mention.
//!
//! It only saves time. Whether it is right is found out by running the files (`need.rs`), and nothing of the result
//! depends on it but the order among files that could run either way.

use std::collections::{BTreeMap, BTreeSet};

use crate::build::order::TreeFile;
use crate::sql::lex::{Token, TokenKind, lex};

/// The numbers of the files in an order in which what is mentioned mostly stands before what mentions it. Among files
/// that may run now, the first by name goes first.
pub(super) fn guess_order(files: &[&TreeFile]) -> Vec<usize> {
    let names: Vec<Names> = files.iter().map(|file| names_of(file)).collect();
    let mut makers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, names) in names.iter().enumerate() {
        for name in &names.defined {
            makers.entry(name).or_default().push(index);
        }
    }
    let mut needs: Vec<BTreeSet<usize>> = Vec::new();
    for (index, names) in names.iter().enumerate() {
        let mentioned = names.mentioned.iter().filter_map(|name| makers.get(name.as_str())).flatten();
        needs.push(mentioned.copied().filter(|one| *one != index).collect());
    }
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); files.len()];
    for (index, needed) in needs.iter().enumerate() {
        for one in needed {
            followers[*one].push(index);
        }
    }
    let mut waiting: BTreeSet<usize> = (0..files.len()).collect();
    let mut free: BTreeSet<usize> =
        waiting.iter().copied().filter(|index| needs[*index].is_empty()).collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        // In a circle: who is waited for by most.
        let awaited = |index: &&usize| followers[**index].iter().filter(|one| waiting.contains(one)).count();
        let circle = || waiting.iter().rev().max_by_key(awaited).copied();
        let Some(next) = free.pop_first().or_else(circle) else { break };
        waiting.remove(&next);
        order.push(next);
        for follower in &followers[next] {
            needs[*follower].remove(&next);
            if needs[*follower].is_empty() && waiting.contains(follower) {
                free.insert(*follower);
            }
        }
    }
    order
}

/// The names that a file defines, for telling whether somebody who waits will make what another lacks.
pub(super) fn defined_by(file: &TreeFile) -> BTreeSet<String> {
    names_of(file).defined
}

#[derive(Debug, Default)]
struct Names {
    defined: BTreeSet<String>,
    mentioned: BTreeSet<String>,
}

fn names_of(file: &TreeFile) -> Names {
    let mut names = Names::default();
    for statement in &file.script.statements {
        let text = file.script.text_of(statement);
        let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
        names.defined.extend(defined(text, &tokens));
        names.mentioned.extend(
            tokens.iter().filter_map(|token| token.identifier(text)).map(|name| name.as_str().to_owned()),
        );
    }
    names.mentioned.retain(|name| !names.defined.contains(name));
    names
}

/// The name behind `CREATE … KIND [IF NOT EXISTS]`, without its schema.
fn defined(text: &str, tokens: &[Token]) -> Option<String> {
    const KINDS: [&str; 17] = [
        "table",
        "view",
        "type",
        "domain",
        "function",
        "procedure",
        "aggregate",
        "sequence",
        "schema",
        "extension",
        "role",
        "index",
        "server",
        "wrapper",
        "collation",
        "policy",
        "operator",
    ];
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token: &Token| token.is_word(text, word));
    if !is(0, "create") {
        return None;
    }
    let kind = (1..tokens.len().min(6)).find(|at| KINDS.iter().any(|kind| is(*at, kind)))?;
    let mut at = kind + 1;
    while ["if", "not", "exists", "concurrently"].iter().any(|word| is(at, word)) {
        at += 1;
    }
    while tokens.get(at + 1).is_some_and(|token| token.kind == TokenKind::Dot) {
        at += 2;
    }
    Some(tokens.get(at)?.identifier(text)?.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Script, split};

    fn order(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<TreeFile> = files
            .iter()
            .map(|(path, text)| TreeFile {
                path: (*path).to_owned(),
                script: split(Script::new(*path, *text)).unwrap(),
                is_seed: false,
            })
            .collect();
        let files: Vec<&TreeFile> = files.iter().collect();
        guess_order(&files).into_iter().map(|index| files[index].path.clone()).collect()
    }

    #[test]
    fn what_is_mentioned_comes_first_and_names_decide_the_rest() {
        let order = order(&[
            ("a", "CREATE VIEW app.v AS SELECT * FROM app.users"),
            ("b", "CREATE TABLE IF NOT EXISTS app.users (m mood)"),
            ("c", "CREATE TYPE mood AS ENUM ('sad')"),
            ("d", "CREATE TABLE x (y int REFERENCES y)"),
            ("e", "CREATE TABLE y (x int REFERENCES x)"),
            ("f", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 FROM users $$"),
        ]);
        assert_eq!(order, ["c", "b", "a", "f", "d", "e"]);
    }
}
