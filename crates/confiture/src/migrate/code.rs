//! Migrations written in Rust.

use std::pin::Pin;

use crate::error::Result;
use crate::postgres::Session;

/// What a migration's method returns: `Box::pin(async move { … })`.
pub type Work<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// A migration that is code, for what SQL cannot say. It takes its place among the files by its version.
///
/// ```
/// use confiture::migrate::{Migration, Work};
/// use confiture::postgres::Session;
/// use confiture::sql::sql;
///
/// struct FillSlugs;
///
/// impl Migration for FillSlugs {
///     fn version(&self) -> &str {
///         "004"
///     }
///     fn name(&self) -> &str {
///         "fill_slugs"
///     }
///     fn up<'a>(&'a self, session: &'a Session) -> Work<'a> {
///         Box::pin(async move {
///             let posts = session.query(&sql!("SELECT id, title FROM posts WHERE slug IS NULL"), &[]).await?;
///             for post in posts {
///                 let (id, title): (i64, String) = (post.get(0), post.get(1));
///                 let slug = title.to_lowercase().replace(' ', "-");
///                 session.execute(&sql!("UPDATE posts SET slug = $1 WHERE id = $2"), &[&slug, &id]).await?;
///             }
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Migration: Send + Sync {
    /// Its version: digits.
    fn version(&self) -> &str;

    /// Its name: `fill_slugs`.
    fn name(&self) -> &str;

    /// Does it. The session is in a transaction, which also holds the history's row, unless [`in_transaction`] says otherwise.
    ///
    /// [`in_transaction`]: Migration::in_transaction
    fn up<'a>(&'a self, session: &'a Session) -> Work<'a>;

    /// Undoes it. `None`: it cannot be undone.
    fn down<'a>(&'a self, _session: &'a Session) -> Option<Work<'a>> {
        None
    }

    /// False where it makes its transactions itself. When it is interrupted, it runs again from its beginning, and must be able to.
    fn in_transaction(&self) -> bool {
        true
    }

    /// What stands for its code in the history: change it when what it does changes.
    fn mark(&self) -> &str {
        ""
    }
}
