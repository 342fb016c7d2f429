//! Which files make a schema, and in which order they run.
//!
//! The folders run in the order in which they are configured. In a folder, paths are compared component by component,
//! byte by byte: `00_common/types.sql`, `10_tables/a.sql`, `10_tables/b/c.sql`, `10_tables.sql`. So `10_x` runs before
//! `9_y`, and `Z.sql` before `a.sql`, on every machine and in every locale.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::config::BuildOrder;
use crate::disk;
use crate::error::{Error, Result};
use crate::sql::{SplitScript, split};

/// Where the DDL files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The project's folder: nothing outside of it is read.
    pub root: PathBuf,
    /// Folders (or single files) below `root`, in the order in which they run.
    pub schema_dirs: Vec<PathBuf>,
    /// The schema folders may lie outside of `root`, because the user named them for this very call. Such a folder is a
    /// root of its own: nothing outside of it is read on its account.
    pub anywhere: bool,
    /// Globs: with any, only files that one of them matches are taken. A glob is held against the path below the schema
    /// folder, the path below `root`, every folder of these, and, where it has no `/`, the file's name.
    pub include: Vec<String>,
    /// Globs of files and folders to leave out.
    pub exclude: Vec<String>,
    /// In which order the files run.
    pub order: BuildOrder,
    /// Rows that are there from the beginning; `None`: none.
    pub seeds: Option<Seeds>,
}

/// Where seeds are: files that run after the schema, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeds {
    /// The folder, below `root`: the files right in it are for every environment.
    pub folder: PathBuf,
    /// The environment, whose own seeds are in the folder of its name in there.
    pub environment: Option<String>,
}

impl Tree {
    /// All `.sql` files of `db/schema` below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            schema_dirs: vec!["db/schema".into()],
            anywhere: false,
            include: Vec::new(),
            exclude: Vec::new(),
            order: BuildOrder::Names,
            seeds: None,
        }
    }
}

/// One file of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path below the project's folder, with `/` on every system: the same on every machine.
    pub path: String,
    /// Its text and statements.
    pub script: SplitScript,
    /// It holds rows and not schema.
    pub is_seed: bool,
}

/// Reads the files of a tree in the order in which they run.
pub(super) fn read_tree(tree: &Tree) -> Result<Vec<TreeFile>> {
    let include = globs(&tree.include)?;
    let exclude = globs(&tree.exclude)?;
    let mut files: Vec<TreeFile> = Vec::new();
    let mut seen = Vec::new();
    let mut unmatched = include.clone();
    for folder in &tree.schema_dirs {
        let mut below = list(tree, folder)?;
        below.retain(|path| {
            let candidates = Candidates::of(folder, path);
            unmatched.retain(|glob| !candidates.match_any(std::slice::from_ref(glob)));
            candidates.are_chosen(&include, &exclude)
        });
        // `Path`'s own order: component by component, byte by byte.
        below.sort();
        for path in below {
            let relative = normal(&folder.join(path));
            let path = normal(&tree.root).join(&relative);
            let real = disk::canonical(&path)?;
            if seen.contains(&real) {
                return Err(Error::config(format!("{} is reached twice", path.display()))
                    .hint("two of the schema folders, or a symbolic link, lead to it: keep one way"));
            }
            seen.push(real);
            let script = split(disk::read_script(&path)?)?;
            files.push(TreeFile { path: with_slashes(&relative), script, is_seed: false });
        }
    }
    if let Some(glob) = unmatched.first() {
        return Err(Error::config(format!("no .sql file matches `{}`", glob.glob()))
            .hint("correct the pattern, or remove it from `include`"));
    }
    if files.is_empty() {
        let folders: Vec<String> =
            tree.schema_dirs.iter().map(|folder| folder.display().to_string()).collect();
        return Err(Error::config(format!("there is no .sql file in {}", folders.join(", ")))
            .hint("put CREATE statements into .sql files there, or name another folder with --schema-dir"));
    }
    if let Some(seeds) = &tree.seeds {
        files.extend(read_seeds(tree, seeds)?);
    }
    Ok(files)
}

/// True where a file that is written there would be one of the tree's.
pub(super) fn takes_in(tree: &Tree, output: &Path) -> Result<bool> {
    let name = output.file_name().unwrap_or_default();
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(parent) = disk::canonical(parent.unwrap_or(Path::new("."))) else { return Ok(false) };
    let (include, exclude) = (globs(&tree.include)?, globs(&tree.exclude)?);
    let is_taken = |folder: &PathBuf| {
        let Ok(real) = disk::canonical(&normal(&tree.root).join(normal(folder))) else { return false };
        let Ok(below) = parent.strip_prefix(&real) else { return false };
        let candidates = Candidates::of(folder, &below.join(name));
        candidates.are_chosen(&include, &exclude)
    };
    Ok(output.extension().is_some_and(|extension| extension == "sql")
        && tree.schema_dirs.iter().any(is_taken))
}

/// The seeds: those for everybody, then those of the environment.
fn read_seeds(tree: &Tree, seeds: &Seeds) -> Result<Vec<TreeFile>> {
    let own = seeds.environment.as_ref().map(|name| seeds.folder.join(name));
    let mut files = Vec::new();
    for (folder, deep) in [(Some(&seeds.folder), false), (own.as_ref(), true)] {
        let Some(folder) = folder else { continue };
        if !disk::try_exists(&normal(&tree.root).join(normal(folder)))? {
            continue;
        }
        let mut below = list(tree, folder)?;
        // Further folders are those of other environments.
        below.retain(|path| deep || path.components().count() == 1);
        below.sort();
        for path in below {
            let relative = normal(&folder.join(path));
            let script = split(disk::read_script(&normal(&tree.root).join(&relative))?)?;
            files.push(TreeFile { path: with_slashes(&relative), script, is_seed: true });
        }
    }
    if files.is_empty() {
        let own = own.map_or(String::new(), |own| format!(" or {}", own.display()));
        return Err(Error::config(format!(
            "there are no seeds: no .sql file in {}{own}",
            seeds.folder.display()
        ))
        .hint("write INSERT or COPY statements into .sql files there, or build without --seed"));
    }
    Ok(files)
}

/// Says where numbers in names do not count as one may expect: `10_b` runs before `9_a`.
pub(super) fn notes_on_order(files: &[TreeFile]) -> Vec<String> {
    let surprising = |pair: &[TreeFile]| {
        let (before, after) = (Path::new(&pair[0].path), Path::new(&pair[1].path));
        let (one, other) = before.components().zip(after.components()).find(|(one, other)| one != other)?;
        let (one, other) = (one.as_os_str().to_str()?, other.as_os_str().to_str()?);
        (leading_number(one)? > leading_number(other)?).then(|| {
            format!("{one} runs before {other}: names are compared as text, so pad numbers with zeros")
        })
    };
    files.windows(2).filter_map(surprising).collect()
}

fn leading_number(name: &str) -> Option<u64> {
    name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())].parse().ok()
}

/// The files below one of the schema folders, relative to it; nothing but itself where it is a file.
fn list(tree: &Tree, folder: &Path) -> Result<Vec<PathBuf>> {
    let path = normal(&tree.root).join(normal(folder));
    if !disk::try_exists(&path)? {
        return Err(Error::config(format!("the schema folder {} does not exist", path.display()))
            .hint("create it with `confiture init`, or name another with --schema-dir"));
    }
    let root = if tree.root.as_os_str().is_empty() { Path::new(".") } else { &tree.root };
    let root = match disk::check_inside(root, &path) {
        Ok(()) => root,
        Err(_) if tree.anywhere => &path,
        Err(error) => return Err(error.hint("--schema-dir may name a folder outside of the project")),
    };
    if path.is_file() { Ok(vec![PathBuf::new()]) } else { disk::list_files(root, &path, "sql") }
}

/// What the globs are held against.
struct Candidates {
    paths: Vec<PathBuf>,
    name: PathBuf,
}

impl Candidates {
    fn of(folder: &Path, path: &Path) -> Self {
        let whole = normal(&folder.join(path));
        let name = PathBuf::from(whole.file_name().unwrap_or_default());
        let with_folders = |path: &Path| path.ancestors().map(Path::to_path_buf).collect::<Vec<_>>();
        Self { paths: [with_folders(&whole), with_folders(path)].concat(), name }
    }

    /// True for a file that the tree's patterns take in.
    fn are_chosen(&self, include: &[GlobMatcher], exclude: &[GlobMatcher]) -> bool {
        (include.is_empty() || self.match_any(include)) && !self.match_any(exclude)
    }

    fn match_any(&self, globs: &[GlobMatcher]) -> bool {
        globs.iter().any(|glob| {
            self.paths.iter().any(|path| !path.as_os_str().is_empty() && glob.is_match(path))
                || (!glob.glob().glob().contains('/') && glob.is_match(&self.name))
        })
    }
}

fn globs(patterns: &[String]) -> Result<Vec<GlobMatcher>> {
    let compile = |pattern: &String| {
        GlobBuilder::new(pattern.trim_start_matches("./").trim_end_matches('/'))
            .literal_separator(true)
            .build()
            .map(|glob| glob.compile_matcher())
            .map_err(|error| Error::config(format!("`{pattern}` is not a glob: {}", error.kind())))
    };
    patterns.iter().map(compile).collect()
}

/// Without `.` components, which only disturb in messages.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|component| !matches!(component, Component::CurDir)).collect()
}

fn with_slashes(path: &Path) -> String {
    let root = if path.has_root() { "/" } else { "" };
    let parts = path.components().filter(|part| !matches!(part, Component::RootDir));
    let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> (tempfile::TempDir, Tree) {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join("db/schema").join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "SELECT 1;").unwrap();
        }
        let tree = Tree::new(root.path());
        (root, tree)
    }

    fn paths(tree: &Tree) -> Vec<String> {
        let files = read_tree(tree).unwrap();
        files.iter().map(|file| file.path.trim_start_matches("db/schema/").to_owned()).collect()
    }

    #[test]
    fn paths_are_compared_by_component_and_byte() {
        let (_root, tree) = tree(&[
            "9_z.sql",
            "10_tables.sql",
            "10_tables/b/c.sql",
            "10_tables/a.sql",
            "00_common/é.sql",
            "Z.sql",
            "a.sql",
        ]);
        assert_eq!(
            paths(&tree),
            [
                "00_common/é.sql",
                "10_tables/a.sql",
                "10_tables/b/c.sql",
                "10_tables.sql",
                "9_z.sql",
                "Z.sql",
                "a.sql"
            ]
        );
    }

    #[test]
    fn numbers_that_sort_as_text_are_noted() {
        let (_root, tree) = tree(&["10_b/x.sql", "9_a/x.sql", "9_a/y.sql"]);
        let notes = notes_on_order(&read_tree(&tree).unwrap());
        assert_eq!(notes, ["10_b runs before 9_a: names are compared as text, so pad numbers with zeros"]);
    }

    #[test]
    fn globs_choose_files_and_folders() {
        let (_root, mut tree) =
            tree(&["a.sql", "a_dev.sql", "99_dev/x.sql", "99_dev/deep/y.sql", "b/c_dev.sql"]);
        for (include, exclude, expected) in [
            (&[] as &[&str], &["99_dev"] as &[&str], &["a.sql", "a_dev.sql", "b/c_dev.sql"] as &[&str]),
            (&[], &["*_dev.sql", "db/schema/99_dev/**"], &["a.sql"]),
            (&[], &["99_dev/*.sql"], &["99_dev/deep/y.sql", "a.sql", "a_dev.sql", "b/c_dev.sql"]),
            (&["99_dev/"], &["y.sql"], &["99_dev/x.sql"]),
            (&["**/*_dev.sql"], &[], &["a_dev.sql", "b/c_dev.sql"]),
        ] {
            tree.include = include.iter().map(ToString::to_string).collect();
            tree.exclude = exclude.iter().map(ToString::to_string).collect();
            assert_eq!(paths(&tree), expected, "{include:?} {exclude:?}");
        }
        tree.include = vec!["a.sql".into(), "nix/**".into()];
        assert_eq!(read_tree(&tree).unwrap_err().message(), "no .sql file matches `nix/**`");
    }

    #[test]
    fn folders_run_in_their_own_order_and_no_file_twice() {
        let (_root, mut tree) = tree(&["b/1.sql", "a/2.sql"]);
        tree.schema_dirs = vec!["./db/schema/b".into(), "db/schema/a".into()];
        assert_eq!(paths(&tree), ["b/1.sql", "a/2.sql"]);
        tree.schema_dirs.push("db/schema".into());
        assert!(read_tree(&tree).unwrap_err().message().ends_with("a/2.sql is reached twice"));
        tree.schema_dirs = vec!["../".into()];
        assert!(read_tree(&tree).unwrap_err().message().ends_with("lies outside of the project"));
        tree.schema_dirs = vec!["nowhere".into()];
        assert!(read_tree(&tree).unwrap_err().message().ends_with("nowhere does not exist"));
    }

    #[test]
    fn a_folder_that_the_user_named_is_a_root_of_its_own() {
        let (_root, mut tree) = tree(&["a.sql"]);
        let elsewhere = tempfile::tempdir().unwrap();
        let outside = elsewhere.path().join("ddl");
        fs_err::create_dir(&outside).unwrap();
        fs_err::write(outside.join("b.sql"), "SELECT 2;").unwrap();
        tree.schema_dirs = vec!["db/schema".into(), outside.clone()];
        assert!(read_tree(&tree).unwrap_err().message().ends_with("ddl lies outside of the project"));
        tree.anywhere = true;
        assert_eq!(paths(&tree), ["a.sql".to_owned(), with_slashes(&outside.join("b.sql"))]);
        tree.schema_dirs = vec![outside.join("b.sql")];
        assert_eq!(read_tree(&tree).unwrap().len(), 1);

        // A link still leads nowhere else.
        fs_err::write(elsewhere.path().join("secret.sql"), "SELECT 3;").unwrap();
        std::os::unix::fs::symlink("../secret.sql", outside.join("c.sql")).unwrap();
        tree.schema_dirs = vec![outside];
        assert!(read_tree(&tree).unwrap_err().message().ends_with("c.sql lies outside of the project"));
    }
}
