//! Names of tables and columns on the command line, read as SQL reads them: folded to lower case unless quoted.

use confiture::config::mapping::TableName;
use confiture::sql::Identifier;

/// `users`, `app.users`, `"Weird.Name"`.
pub(super) fn table(text: &str) -> Result<TableName, String> {
    text.parse().map_err(|_| match text.trim() {
        "" => "a name is missing".to_owned(),
        text => {
            format!("`{text}` is no table's name: write table or schema.table, with double quotes as in SQL")
        }
    })
}

/// `users,app.posts`.
pub(super) fn tables(text: &str) -> Result<Vec<TableName>, String> {
    split(text, ',')?.iter().map(|name| table(name)).collect()
}

/// `full_name:display_name,email:email`: source column, target column.
pub(super) fn columns(text: &str) -> Result<Vec<(Identifier, Identifier)>, String> {
    let pair = |pair: &String| match split(pair, ':')?.as_slice() {
        [source, target] => Ok((identifier(source)?, identifier(target)?)),
        _ => Err(format!("{pair} is not source_column:target_column")),
    };
    split(text, ',')?.iter().map(pair).collect()
}

/// One name.
pub(super) fn identifier(text: &str) -> Result<Identifier, String> {
    match table(text)? {
        TableName { schema: None, name } => Ok(name),
        TableName { .. } => Err(format!("`{text}` is two names where one is expected")),
    }
}

/// Splits at `separator` outside double quotes.
fn split(text: &str, separator: char) -> Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        quoted ^= character == '"';
        if character == separator && !quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    if quoted { Err(format!("{text}: a quote is not closed")) } else { Ok(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let name = table(text).unwrap();
        name.schema.map_or(String::new(), |schema| format!("{schema}.")) + &name.name.to_string()
    }

    #[test]
    fn names_fold_unless_quoted() {
        let read =
            ["users", "Users", "App.Users", "\"Users\"", "app.\"we\"\"ird.name\"", " users "].map(shown);
        assert_eq!(read, ["users", "users", "app.users", "\"Users\"", "app.\"we\"\"ird.name\"", "users"]);
    }

    #[test]
    fn lists_split_outside_quotes() {
        assert_eq!(tables("users,app.posts,\"a,b\"").unwrap().len(), 3);
        let pairs = columns("full_name:display_name,email:email").unwrap();
        assert_eq!(
            pairs,
            [
                (Identifier::new("full_name"), Identifier::new("display_name")),
                (Identifier::new("email"), Identifier::new("email")),
            ]
        );
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a.b.c", "1st", "a b", "users;drop", "\"open", "\"\"", "\"a\"b\"", "a..b"] {
            assert!(table(text).is_err(), "{text} was read");
        }
        assert!(tables("users,").is_err() && tables("").is_err());
        assert!(columns("a").is_err() && columns("a:b:c").is_err() && columns("a:").is_err());
    }
}
