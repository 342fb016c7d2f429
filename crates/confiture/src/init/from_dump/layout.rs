//! Which piece of a dump goes into which file.
//!
//! Each kind has its folder, and partitions are in the file of their table: an index of it must come after they are
//! attached. What is about a table (its keys, indexes, defaults, comments, privileges) goes into the table's file. A
//! piece may need another: whatever of the pieces before it in the dump it mentions by name, which is more than it
//! really needs and never less. Where what it needs would run after it, it goes into a folder with a higher number.
//! Files get numbers only where their names would run them in the wrong order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use super::dump::Piece;
use super::homes::{Folder, Home, constraint_name, find_homes};
use super::names::{Key, is_routine, mentions};
use crate::init::NewFile;

/// The files, and what is worth knowing about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaFiles {
    /// The files, relative to the schema folder, in the order in which they run.
    pub files: Vec<NewFile>,
    /// How many objects, comments and privileges they make.
    pub pieces: usize,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// Where a piece is: the folder and the file's number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    folder: Folder,
    index: usize,
}

pub(super) fn lay_out(pieces: &[Piece]) -> SchemaFiles {
    let mentioned: Vec<BTreeSet<Key>> = pieces.iter().map(mentions).collect();
    let homes = find_homes(pieces, &mentioned);
    let needs = find_needs(pieces, &homes, &mentioned);
    let mut shelf = Shelf::in_order(&homes, &needs);
    let mut spots: Vec<Spot> = Vec::new();
    for (index, home) in homes.iter().enumerate() {
        let spot = shelf.place(home, &needs[index], &spots);
        shelf.fill(spot, index);
        spots.push(spot);
    }
    let files = shelf.render(pieces, &needs, &spots);
    SchemaFiles { files, pieces: pieces.len(), notes: notes_on(pieces) }
}

/// For each piece the earlier ones that it mentions, and what is about these.
fn find_needs(pieces: &[Piece], homes: &[Home], mentioned: &[BTreeSet<Key>]) -> Vec<Vec<usize>> {
    let mut defined: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    let mut about: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    let mut schemas: BTreeMap<String, usize> = BTreeMap::new();
    let mut ground: Vec<usize> = Vec::new();
    let mut needs = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let mut needed: BTreeSet<usize> = match piece.kind.as_str() {
            "SCHEMA" => BTreeSet::new(),
            "EXTENSION" => schemas.values().copied().collect(),
            _ => ground.iter().copied().collect(),
        };
        for key in &mentioned[index] {
            needed.extend(schemas.get(&key.0));
            needed.extend(defined.get(key).into_iter().flatten());
            let owners = defined.get(key).into_iter().flatten().filter_map(|one| homes[*one].owner.as_ref());
            let others = owners.filter_map(|owner| about.get(owner)).flatten();
            needed.extend(others.copied().collect::<Vec<_>>());
        }
        needed.extend(schemas.get(&piece.schema));
        if matches!(piece.kind.as_str(), "COMMENT" | "ACL" | "SECURITY LABEL") {
            needed.extend(index.checked_sub(1));
        }
        needs.push(needed.into_iter().collect());
        match piece.kind.as_str() {
            "SCHEMA" => {
                schemas.insert(piece.name.clone(), index);
            }
            // What an extension brings is in no dump: everything may need it.
            "EXTENSION" | "PROCEDURAL LANGUAGE" => ground.push(index),
            _ => {
                let name = piece.name.split('(').next().unwrap_or_default();
                defined.entry((piece.schema.clone(), name.to_owned())).or_default().push(index);
                if let Some(name) = constraint_name(piece) {
                    defined.entry(name).or_default().push(index);
                }
                if let Some(owner) = &homes[index].owner {
                    about.entry(owner.clone()).or_default().push(index);
                }
            }
        }
    }
    needs
}

/// One file while it is filled.
#[derive(Debug, Default)]
struct File {
    name: String,
    pieces: Vec<usize>,
}

/// The folders and files, while they are filled.
#[derive(Debug, Default)]
struct Shelf {
    folders: BTreeMap<Folder, Vec<File>>,
}

impl Shelf {
    /// The folders of the kinds, with their files in an order in which as much as possible may stay where it belongs.
    fn in_order(homes: &[Home], needs: &[Vec<usize>]) -> Self {
        let mut edges: BTreeMap<Folder, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
        for (home, needed) in homes.iter().zip(needs) {
            let before = edges.entry(home.folder).or_default().entry(&home.file).or_default();
            let inside = needed.iter().map(|one| &homes[*one]);
            before.extend(
                inside
                    .filter(|one| one.folder == home.folder && one.file != home.file)
                    .map(|one| one.file.as_str()),
            );
        }
        let mut shelf = Self::default();
        for (folder, mut waiting) in edges {
            let files = shelf.folders.entry(folder).or_default();
            while !waiting.is_empty() {
                let free = waiting.iter().find(|(_, before)| before.is_empty()).map(|(name, _)| *name);
                // In a circle the first by name goes first, and what it needs of the others goes elsewhere.
                let Some(next) = free.or_else(|| waiting.keys().next().copied()) else { break };
                waiting.remove(next);
                for before in waiting.values_mut() {
                    before.remove(next);
                }
                files.push(File { name: next.to_owned(), pieces: Vec::new() });
            }
        }
        shelf
    }

    /// The first spot, from the piece's home on, at which everything that it needs has run.
    fn place(&mut self, home: &Home, needs: &[usize], spots: &[Spot]) -> Spot {
        let mut folder = home.folder;
        loop {
            let files = self.folders.entry(folder).or_default();
            let index = files.iter().position(|file| file.name == home.file).unwrap_or(files.len());
            let late = needs.iter().map(|one| spots[*one]).filter(|spot| {
                spot.folder.0 > folder.0
                    || (spot.folder.0 == folder.0 && (spot.folder != folder || spot.index > index))
            });
            let Some(latest) = late.map(|spot| spot.folder.0).max() else {
                if index == files.len() {
                    files.push(File { name: home.file.clone(), pieces: Vec::new() });
                }
                return Spot { folder, index };
            };
            folder.0 = if latest > folder.0 && self.folders.contains_key(&(latest, folder.1)) {
                latest
            } else {
                latest + 1
            };
        }
    }

    fn fill(&mut self, spot: Spot, piece: usize) {
        if let Some(file) = self.folders.get_mut(&spot.folder).and_then(|files| files.get_mut(spot.index)) {
            file.pieces.push(piece);
        }
    }

    fn render(self, pieces: &[Piece], needs: &[Vec<usize>], spots: &[Spot]) -> Vec<NewFile> {
        let highest = self.folders.keys().map(|folder| folder.0).max().unwrap_or_default();
        let width = highest.to_string().len().max(2);
        let mut written = Vec::new();
        for (folder, files) in &self.folders {
            let names = file_names(*folder, files, needs, spots);
            for (file, name) in files.iter().zip(names).filter(|(file, _)| !file.pieces.is_empty()) {
                let path =
                    PathBuf::from(format!("{:0width$}_{}", folder.0, folder.1)).join(format!("{name}.sql"));
                written.push(NewFile { path, contents: text_of(pieces, &file.pieces) });
            }
        }
        written.sort_by(|one, other| one.path.cmp(&other.path));
        written
    }
}

/// The names of a folder's files: as they are, where these run in the right order, else with numbers in front.
fn file_names(folder: Folder, files: &[File], needs: &[Vec<usize>], spots: &[Spot]) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let unique = files.iter().map(|file| {
        let mut name = file.name.clone();
        let mut number = 2;
        // Many disks take `User` for `user`.
        while !taken.insert(name.to_lowercase()) {
            name = format!("{}_{number}", file.name);
            number += 1;
        }
        name
    });
    let names: Vec<String> = unique.collect();
    let wrong = files.iter().enumerate().any(|(index, file)| {
        file.pieces.iter().flat_map(|piece| &needs[*piece]).any(|one| {
            let spot = spots[*one];
            // As a tree is sorted: by the whole name, its ending included.
            spot.folder == folder
                && spot.index != index
                && format!("{}.sql", names[spot.index]) > format!("{}.sql", names[index])
        })
    });
    if !wrong {
        return names;
    }
    let width = (files.len() * 10).to_string().len();
    let numbered = names.iter().enumerate();
    numbered.map(|(index, name)| format!("{:0width$}_{name}", (index + 1) * 10)).collect()
}

fn text_of(pieces: &[Piece], indices: &[usize]) -> String {
    let mut text = String::new();
    for (number, piece) in indices.iter().map(|index| &pieces[*index]).enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let unchecked = has_body_as_text(piece);
        if unchecked {
            text.push_str("-- What the body names may come later.\nSET check_function_bodies = false;\n");
        }
        for setting in &piece.settings {
            let _ = writeln!(text, "{setting};");
        }
        for statement in &piece.statements {
            let _ = writeln!(text, "{statement};");
        }
        for setting in piece.settings.iter().filter_map(|setting| setting.split(' ').nth(1)) {
            let _ = writeln!(text, "RESET {setting};");
        }
        if unchecked {
            text.push_str("RESET check_function_bodies;\n");
        }
    }
    text
}

/// True for routines whose body the server would check against what is there when they are made.
fn has_body_as_text(piece: &Piece) -> bool {
    use crate::sql::lex::{TokenKind, lex};
    is_routine(piece)
        && piece.statements.first().is_some_and(|statement| {
            let language = |name: &str| statement.contains(&format!("LANGUAGE {name}"));
            let body = lex(statement).find(|token| token.kind == TokenKind::DollarString);
            let body = body.map(|token| token.text(statement));
            // In PL/pgSQL only the types of variables are looked up at once.
            body.is_some_and(|body| {
                language("sql")
                    || (language("plpgsql")
                        && (body.contains('%') || body.to_lowercase().contains("declare")))
            })
        })
}

fn notes_on(pieces: &[Piece]) -> Vec<String> {
    let mut notes = Vec::new();
    let views = pieces.iter().filter(|piece| piece.kind == "MATERIALIZED VIEW").count();
    if views > 0 {
        notes.push(format!(
            "{views} materialized view{} made WITH NO DATA: REFRESH MATERIALIZED VIEW fills one",
            if views == 1 { " is" } else { "s are" }
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(kind: &str, name: &str, statement: &str) -> Piece {
        Piece {
            kind: kind.into(),
            schema: "public".into(),
            name: name.into(),
            statements: vec![statement.into()],
            settings: Vec::new(),
        }
    }

    fn paths(pieces: &[Piece]) -> Vec<String> {
        lay_out(pieces).files.iter().map(|file| file.path.display().to_string()).collect()
    }

    #[test]
    fn what_is_about_a_table_is_in_its_file() {
        let files = lay_out(&[
            piece("TABLE", "users", "CREATE TABLE public.users (id integer)"),
            piece("COMMENT", "TABLE users", "COMMENT ON TABLE public.users IS 'x'"),
            piece("SEQUENCE", "users_id_seq", "CREATE SEQUENCE public.users_id_seq"),
            piece(
                "SEQUENCE OWNED BY",
                "users_id_seq",
                "ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id",
            ),
            piece(
                "DEFAULT",
                "users id",
                "ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass)",
            ),
            piece(
                "CONSTRAINT",
                "users users_pkey",
                "ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id)",
            ),
            piece("INDEX", "users_x", "CREATE INDEX users_x ON public.users USING btree (id)"),
        ]);
        assert_eq!(files.files.len(), 1, "{:?}", files.files);
        assert_eq!(files.files[0].path, PathBuf::from("10_tables/users.sql"));
        assert!(files.files[0].contents.ends_with("btree (id);\n"));
    }

    #[test]
    fn what_is_needed_runs_first() {
        let found = paths(&[
            piece(
                "FUNCTION",
                "key()",
                "CREATE FUNCTION public.key() RETURNS text LANGUAGE sql AS $$SELECT 'x'$$",
            ),
            piece(
                "FUNCTION",
                "other()",
                "CREATE FUNCTION public.other() RETURNS text LANGUAGE sql AS $$SELECT 'x'$$",
            ),
            piece("TABLE", "a", "CREATE TABLE public.a (k text DEFAULT public.key())"),
            piece("VIEW", "v", "CREATE VIEW public.v AS SELECT * FROM public.a"),
            piece("TABLE", "late", "CREATE TABLE public.late (one public.v)"),
            piece("VIEW", "u", "CREATE VIEW public.u AS SELECT * FROM public.v"),
        ]);
        let expected = [
            "05_functions/key.sql",
            "10_tables/a.sql",
            "20_views/10_v.sql",
            "20_views/20_u.sql",
            "21_tables/late.sql",
            "30_functions/other.sql",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn names_that_disks_confuse_differ() {
        let found = paths(&[
            piece("TABLE", "user", "CREATE TABLE public.\"user\" ()"),
            piece("TABLE", "User", "CREATE TABLE public.\"User\" ()"),
            piece("TABLE", "a/b", "CREATE TABLE public.\"a/b\" ()"),
        ]);
        assert_eq!(found, ["10_tables/User.sql", "10_tables/a_b.sql", "10_tables/user_2.sql"]);
    }
}
