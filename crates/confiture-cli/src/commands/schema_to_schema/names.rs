//! Names of tables and columns on the command line, read as SQL reads them: folded to lower case unless quoted.

use confiture::config::mapping::TableName;
use confiture::sql::Identifier;

/// `users`, `app.users`, `"Weird.Name"`.
pub(super) fn table(text: &str) -> Result<TableName, String> {
    let parts = split(text, '.')?;
    match parts.as_slice() {
        [name] => Ok(TableName { schema: None, name: identifier(name)? }),
        [schema, name] => Ok(TableName { schema: Some(identifier(schema)?), name: identifier(name)? }),
        _ => Err(format!("{text} is not a table's name: write table or schema.table")),
    }
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
    let text = text.trim();
    if let Some(inside) = text.strip_prefix('"') {
        let inside = inside.strip_suffix('"').ok_or_else(|| format!("{text}: the quote is not closed"))?;
        let bare = inside.replace("\"\"", "");
        return if inside.is_empty() || bare.contains('"') {
            Err(format!("{text} is not a name"))
        } else {
            Ok(Identifier::new(inside.replace("\"\"", "\"")))
        };
    }
    let letter = |character: char| character.is_alphabetic() || character == '_' || !character.is_ascii();
    let fits = |character: char| letter(character) || character.is_ascii_digit() || character == '$';
    if text.starts_with(letter) && text.chars().all(fits) {
        Ok(Identifier::new(text.to_ascii_lowercase()))
    } else if text.is_empty() {
        Err("a name is missing".to_owned())
    } else {
        Err(format!("{text} is not a name: quote it as in SQL, \"{}\"", text.replace('"', "\"\"")))
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
