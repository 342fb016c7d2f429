//! Two databases of one test.

use std::sync::Arc;

use confiture::config::{Connection, Secret, SyncRules};
use confiture::event::Execution;
use confiture::sync::{MasterKey, Options, Report, Sync};
use local_postgres::testing::Database;

use crate::database::{connection, psql};

/// A production database and a staging one.
pub(crate) struct World {
    pub(crate) production: Database<'static>,
    pub(crate) staging: Database<'static>,
}

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

impl World {
    /// Runs `schema` in both, and `rows` in production.
    pub(crate) async fn new(schema: &str, rows: &str) -> Self {
        let world = Self {
            production: Database::create().await.unwrap(),
            staging: Database::create().await.unwrap(),
        };
        world.produce(schema).await;
        world.stage(schema).await;
        world.produce(rows).await;
        world
    }

    /// Runs a script in production.
    pub(crate) async fn produce(&self, script: &str) -> String {
        psql(&self.production, script).await
    }

    /// Runs a script in staging.
    pub(crate) async fn stage(&self, script: &str) -> String {
        psql(&self.staging, script).await
    }

    /// Options from production to staging with rules as text.
    pub(crate) fn options(&self, rules: &str) -> Options {
        options(connection(&self.production), connection(&self.staging), rules)
    }

    /// Plans and syncs.
    pub(crate) async fn sync(&self, rules: &str) -> confiture::Result<Report> {
        sync(self.options(rules)).await
    }

    /// Message, detail and hints of a refusal; staging must be as it was.
    pub(crate) async fn refusal(&self, options: Options) -> String {
        let before = self.contents().await;
        let error = sync(options).await.expect_err("this must be refused");
        assert_eq!(self.contents().await, before, "staging was touched");
        told(&error)
    }

    /// Everything that staging holds: its schema and its rows.
    pub(crate) async fn contents(&self) -> String {
        assert_eq!(self.stage("SELECT to_regnamespace('confiture_quarantine')").await, "\n");
        self.contents_outside().await
    }

    /// The same, without what waits in quarantine.
    pub(crate) async fn contents_outside(&self) -> String {
        let tables = self
            .stage(
                "SELECT format('SELECT %L, t::text FROM ONLY %s AS t ORDER BY 2;', oid::regclass, oid::regclass)
                 FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema', 'confiture_quarantine'))
                 ORDER BY oid::regclass::text",
            )
            .await;
        let sequences = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1;";
        let rows = self.stage(&format!("{tables}{sequences}")).await;
        format!("{}{rows}", self.staging.schema("confiture_quarantine"))
    }
}

/// Options from one database to another with rules as text.
pub(crate) fn options(source: Connection, target: Connection, rules: &str) -> Options {
    let rules = SyncRules::parse(rules, std::path::Path::new("db/sync_config.yaml")).unwrap();
    let mut options = Options::new(source, target, rules);
    options.key = Some(MasterKey::from_secret(&Secret::new(KEY)).unwrap());
    options
}

/// Message, detail and hints.
pub(crate) fn told(error: &confiture::Error) -> String {
    let mut told = format!("{:?} ", error.kind());
    if let Some(place) = error.place() {
        told.push_str(&format!("{}:{} ", place.line, place.column));
    }
    told.push_str(error.message());
    if let Some(detail) = error.server_detail() {
        told.push_str(&format!("\n{detail}"));
    }
    for hint in error.hints() {
        told.push_str(&format!("\n- {hint}"));
    }
    told
}

pub(crate) async fn sync(options: Options) -> confiture::Result<Report> {
    Arc::new(Sync::plan(options).await?).execute(&Execution::unattended()).await
}
