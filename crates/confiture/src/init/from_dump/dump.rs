//! The pieces of a dump, cut at its own headings: `-- Name: users; Type: TABLE; Schema: public; Owner: -`.

use super::names::first_name;
use crate::error::Result;
use crate::sql::{Script, split};

/// One object of the dump, or one more thing about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// `TABLE`, `FK CONSTRAINT`, `COMMENT`, as `pg_dump` calls it.
    pub(super) kind: String,
    /// The schema; empty for what has none.
    pub(super) schema: String,
    /// The name, which for some kinds holds more: `users users_pkey`, `f(integer)`, `COLUMN users.email`.
    pub(super) name: String,
    /// Its statements, without their semicolons.
    pub(super) statements: Vec<String>,
    /// Settings that hold for it and are not the default: `SET default_tablespace = fast`.
    pub(super) settings: Vec<String>,
}

/// Cuts a dump into its pieces, in its order. What only frames it (settings of the session) is left out.
pub(super) fn parse_dump(text: &str) -> Result<Vec<Piece>> {
    let script = split(Script::new("the output of pg_dump", text))?;
    let mut pieces: Vec<Piece> = Vec::new();
    let mut tablespace = None;
    let mut access_method = None;
    for statement in &script.statements {
        let lead = &script.script.text()[statement.lead.clone()];
        let sql = script.text_of(statement);
        if let Some((kind, schema, name)) = lead.lines().rev().find_map(parse_heading) {
            let settings = [&tablespace, &access_method].into_iter().flatten().cloned().collect();
            pieces.push(Piece { kind, schema, name, statements: Vec::new(), settings });
        }
        if let Some(value) = sql.strip_prefix("SET default_tablespace = ") {
            tablespace = (value != "''").then(|| sql.to_owned());
        } else if let Some(value) = sql.strip_prefix("SET default_table_access_method = ") {
            access_method = (value != "heap").then(|| sql.to_owned());
        } else if let Some(piece) = pieces.last_mut() {
            // A heading has spaces for the line ends in a name.
            if let Some((schema, name)) = first_name(sql)
                && schema == piece.schema
                && name != piece.name
                && name.replace(['\n', '\r'], " ") == piece.name
            {
                piece.name = name;
            }
            piece.statements.push(sql.to_owned());
        }
    }
    pieces.retain(|piece| !piece.statements.is_empty());
    Ok(pieces)
}

/// Kind, schema and name. Here a name may hold anything but a line end, so it is read from the right.
fn parse_heading(line: &str) -> Option<(String, String, String)> {
    let rest = line.strip_prefix("-- Name: ")?;
    let (rest, _) = rest.rsplit_once("; Owner: ")?;
    let (rest, schema) = rest.rsplit_once("; Schema: ")?;
    let (name, kind) = rest.rsplit_once("; Type: ")?;
    let schema = if schema == "-" { "" } else { schema };
    Some((kind.to_owned(), schema.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_at_headings_and_carry_what_holds_for_them() {
        let text = "\\restrict x\n\nSET row_security = off;\n\n--\n-- Name: a; Type: TABLE; Schema: public; Owner: -\n--\n\n\
                    CREATE TABLE public.a (\n    n text DEFAULT ';'::text\n);\n\nALTER TABLE public.a OWNER TO b;\n\n\
                    SET default_tablespace = fast;\n\n--\n-- Name: odd; Type: x; Type: INDEX; Schema: -; Owner: -\n--\n\n\
                    CREATE INDEX odd ON public.a USING btree (n);\n\nSET default_tablespace = '';\n\n\\unrestrict x\n";
        let pieces = parse_dump(text).unwrap();
        assert_eq!(pieces.len(), 2);
        assert_eq!((pieces[0].kind.as_str(), pieces[0].statements.len()), ("TABLE", 2));
        assert_eq!(pieces[0].settings, [""; 0]);
        assert_eq!((pieces[1].name.as_str(), pieces[1].schema.as_str()), ("odd; Type: x", ""));
        assert_eq!(pieces[1].settings, ["SET default_tablespace = fast"]);
        let text = "-- Name: new line; Type: TABLE; Schema: public; Owner: -\n--\n\nCREATE TABLE public.\"new\nline\" ();\n";
        assert_eq!(parse_dump(text).unwrap()[0].name, "new\nline");
    }
}
