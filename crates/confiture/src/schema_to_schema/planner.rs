//! From options to a plan: both catalogs read, the mapping resolved and checked, a route chosen for each table.

use sha2::{Digest, Sha256};

use crate::catalog::{Catalog, Relation, RelationKind};
use crate::config::mapping::{Strategy, TableName};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{Session, read_catalog};
use crate::schema_to_schema::check::{check, located};
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::{CopyFormat, Plan, Remark, Route, TablePlan, Topology};
use crate::schema_to_schema::probe::probe;
use crate::schema_to_schema::recall;
use crate::schema_to_schema::resolve::{Draft, resolve};
use crate::schema_to_schema::sessions::{explain_lock, set_lock_timeout, unless_interrupted};
use crate::schema_to_schema::snapshot::explain_row_security;
use crate::schema_to_schema::{filter, foreign, journal, ledger, statement, volatility};
use crate::sql::{Sql, hexadecimal, sql};

/// A plan, and the connections and catalogs that it was made with.
pub struct Migration {
    pub(crate) options: Options,
    pub(crate) source: Session,
    pub(crate) target: Session,
    pub(crate) source_catalog: Catalog,
    pub(crate) target_catalog: Catalog,
    pub(crate) plan: Plan,
}

impl Migration {
    /// Reads both catalogs and plans the migration. Writes nothing anywhere.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Config`], with the place in the mapping, where it does not hold against both catalogs;
    /// [`crate::ErrorKind::Connect`] where a server cannot be reached.
    pub async fn plan(options: Options, execution: &Execution) -> Result<Self> {
        const STOPPED: &str = "stopped while planning; nothing was changed";
        let connecting =
            async { tokio::try_join!(Session::connect(&options.source), Session::connect(&options.target)) };
        let (source, target) = unless_interrupted(execution, &[], STOPPED, connecting).await?;
        // On the heap: what holds a plan in the making is large, and callers hold several in one.
        let planning = Box::pin(Self::plan_between(options, source.clone(), target.clone(), execution));
        let planned = unless_interrupted(execution, &[&source, &target], STOPPED, planning).await;
        match planned {
            Err(error) if error.sqlstate_code() == Some("55P03") => {
                Err(explain_lock(error, &source, &target).await)
            }
            planned => planned.map_err(explain_row_security),
        }
    }

    async fn plan_between(
        mut options: Options,
        source: Session,
        target: Session,
        execution: &Execution,
    ) -> Result<Self> {
        tokio::try_join!(
            set_lock_timeout(&source, options.lock_timeout),
            set_lock_timeout(&target, options.lock_timeout)
        )?;
        let (source_catalog, mut target_catalog) =
            tokio::try_join!(read_catalog(&source), read_catalog(&target))?;
        if ledger::exists(&target).await? {
            match journal::entries(&target).await {
                // A role that may only compare.
                Err(error) if error.sqlstate_code() == Some("42501") => {}
                entries => journal::complete(&mut target_catalog, &entries?),
            }
        }
        let copied = recall::copied(&mut options, &target, execution).await?;
        let topology = match is_same_database(&source, &target).await? {
            true => Topology::OneDatabase,
            false => Topology::TwoDatabases,
        };
        let mut migration = Self {
            plan: Plan {
                source: options.source.to_string(),
                target: options.target.to_string(),
                topology,
                tables: Vec::new(),
                remarks: Vec::new(),
                workers: options.workers(),
                validations: options.mapping.validations.clone(),
                fingerprint: String::new(),
            },
            options,
            source,
            target,
            source_catalog,
            target_catalog,
        };
        let (mut tables, remarks) = migration.plan_tables(topology).await?;
        if !migration.options.as_copied {
            let (source, target) = (&migration.source_catalog, &migration.target_catalog);
            probe(&mut tables, &migration.source, source, target, migration.options.probe).await?;
        }
        refuse_mixed(&tables)?;
        recall::warn_of_others(&tables, &copied, execution);
        let mut hash = Sha256::new();
        for table in &tables {
            hash.update(table.fingerprint());
        }
        migration.plan.fingerprint = hexadecimal(&hash.finalize());
        migration.plan.tables = tables;
        migration.plan.remarks = remarks;
        Ok(migration)
    }

    /// The plan.
    #[must_use]
    pub fn as_plan(&self) -> &Plan {
        &self.plan
    }

    /// What it was planned by.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// True where the target's tables hold what others have put there too.
    pub(crate) fn is_partial(&self) -> bool {
        self.plan.tables.iter().any(|table| table.portion.is_some())
    }

    async fn plan_tables(&self, topology: Topology) -> Result<(Vec<TablePlan>, Vec<Remark>)> {
        let options = &self.options;
        let same = topology == Topology::OneDatabase;
        let (mut drafts, mut remarks) =
            resolve(&options.mapping, &options.tables, &self.source_catalog, &self.target_catalog, same)?;
        filter::add_filters(
            &mut drafts,
            options.filter.as_deref(),
            &self.source,
            &self.source_catalog,
            &mut remarks,
        )
        .await?;
        let mut tables = Vec::with_capacity(drafts.len());
        for draft in drafts {
            tables.push(Box::pin(self.plan_table(draft, topology)).await?);
        }
        for name in options.fdw_tables.iter().chain(&options.copy_tables) {
            if !tables.iter().any(|table| name.names(&table.target)) {
                let candidates: Vec<String> = tables.iter().map(|table| table.target.short()).collect();
                return Err(Error::config(format!("no table of this migration is called {name}"))
                    .did_you_mean(&name.to_string(), candidates.iter().map(String::as_str)));
            }
        }
        Ok((tables, remarks))
    }

    async fn plan_table(&self, draft: Draft<'_>, topology: Topology) -> Result<TablePlan> {
        let mut draft = draft;
        draft.remarks.extend(volatility::check(&draft, &self.source).await?);
        let rows = match draft.driving {
            Some(driving) => self.count(driving).await?,
            None => 0,
        };
        let bytes = draft.driving.map_or(0, |driving| driving.bytes);
        let (columns, text_because, key) = if draft.query.statement.is_some() {
            (Vec::new(), None, Vec::new())
        } else {
            let checked = check(
                &draft,
                &self.options.mapping,
                &self.source,
                &self.source_catalog,
                &self.target_catalog,
            )
            .await?;
            let filled =
                |name: &crate::sql::Identifier| checked.columns.iter().any(|column| &column.target == name);
            let key = draft.target.key().filter(|key| key.iter().all(filled)).unwrap_or_default();
            (checked.columns, checked.text_because, key)
        };
        let (route, reason) = match self.route(&draft, topology, rows)? {
            (Route::Fdw, _) if self.reads_alone(&draft) => {
                (Route::Copy, "a foreign table would give the rows of its inheritance children too".into())
            }
            chosen => chosen,
        };
        let mut table = TablePlan {
            target: draft.target.name.clone(),
            source: draft.driving.map(|driving| driving.name.clone()),
            columns,
            skipped: draft.skipped,
            key,
            route,
            reason,
            format: if text_because.is_some() { CopyFormat::Text } else { CopyFormat::Binary },
            rows,
            bytes,
            estimated_seconds: None,
            query: draft.query,
            depends: draft.depends,
            reverse: draft.reverse,
            portion: self.options.portions.get(&draft.target.name).cloned(),
            place: draft.place,
            remarks: draft.remarks,
        };
        if let Some(lacking) = self.lacking_type(&table) {
            table.route = Route::Copy;
            table.reason =
                format!("a foreign table would need the type {lacking}, which the target does not have");
        }
        if table.query.statement.is_some() {
            statement::resolve(
                &mut table,
                &self.options.foreign_schema,
                topology,
                &self.source_catalog,
                draft.target,
                &self.target_catalog,
            )?;
        } else if table.key.is_empty() {
            table.remark("no key that identifies a row: verification compares rows as wholes");
        }
        if let (Some(reason), Route::Copy) = (text_because, table.route) {
            table.remark(format!("crosses as text, not binary: {reason}"));
        }
        Ok(table)
    }

    /// The planner's estimate; where the table was never analysed, its first pages are counted.
    async fn count(&self, driving: &Relation) -> Result<u64> {
        const PAGES: u32 = 256;
        if let Some(rows) = driving.row_estimate {
            return Ok(rows);
        }
        if driving.kind != RelationKind::Table || driving.pages == 0 {
            return Ok(0);
        }
        let pages = driving.pages.min(PAGES);
        let end = if pages == driving.pages { u32::MAX } else { pages };
        let query = sql!(
            "SELECT pg_catalog.count(*) FROM ONLY {} WHERE ctid < '({},0)'::pg_catalog.tid",
            driving.name,
            end
        );
        match self.source.query_one(&query, &[]).await {
            Ok(row) => Ok(row.get::<_, i64>(0).cast_unsigned() * u64::from(driving.pages) / u64::from(pages)),
            // Whoever may not read it is told so before anything is written.
            Err(error) if error.sqlstate_code() == Some("42501") => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// A type without which the target cannot have the foreign tables of `table`: they have all columns of theirs.
    fn lacking_type(&self, table: &TablePlan) -> Option<String> {
        if table.route != Route::Fdw || table.query.statement.is_some() {
            return None;
        }
        let needed = foreign::needed_by(table, &self.source_catalog, &self.options.foreign_schema);
        let relations = needed.iter().filter_map(|name| self.source_catalog.relations.get(name));
        relations.flat_map(|relation| &relation.columns).find_map(|column| {
            let needed = self.source_catalog.data_type(column.data_type.oid)?;
            let has = |name| self.target_catalog.types.values().any(|held| &held.name == name);
            (!needed.is_built_in() && !has(&needed.name)).then(|| needed.text.clone())
        })
    }

    /// True for a table that is read without its inheritance children, which are mapped by their own names.
    fn reads_alone(&self, draft: &Draft<'_>) -> bool {
        let has_children = |driving: &Relation| self.source_catalog.children(&driving.name).next().is_some();
        match draft.query.storage.as_slice() {
            [storage] => storage.only && draft.driving.is_some_and(has_children),
            _ => false,
        }
    }

    /// How rows of one table travel, and why.
    fn route(&self, draft: &Draft<'_>, topology: Topology, rows: u64) -> Result<(Route, String)> {
        let options = &self.options;
        let named = |names: &[TableName]| names.iter().any(|name| name.names(&draft.target.name));
        if topology == Topology::OneDatabase {
            return Ok((
                Route::Local,
                "both schemas are in one database: INSERT … SELECT, nothing crosses the network".into(),
            ));
        }
        if draft.query.statement.is_some() {
            if named(&options.copy_tables) || draft.strategy == Some(Strategy::Copy) {
                let error = Error::config(format!(
                    "{} is filled by a statement of its own, which runs on the target",
                    draft.target.name.short()
                ));
                return Err(located(
                    error.hint("such a table goes through FDW; leave its strategy to `auto`"),
                    draft.place.as_ref(),
                ));
            }
            return Ok((Route::Fdw, "its own SQL statement reads foreign tables on the target".into()));
        }
        if named(&options.fdw_tables) {
            return Ok((Route::Fdw, "--fdw-tables names it".into()));
        }
        if named(&options.copy_tables) {
            return Ok((Route::Copy, "--copy-tables names it".into()));
        }
        let (strategy, whose) = match (draft.strategy, options.strategy, &options.mapping.strategy) {
            // One way for all tables is an order; to choose for each leaves room for what the mapping says of one.
            (_, Some(strategy @ (Strategy::Copy | Strategy::Fdw)), _) => (strategy, "--strategy says so"),
            (Some(strategy), _, _) => (strategy, "the mapping says so for this table"),
            (None, Some(strategy), _) => (strategy, "--strategy says so"),
            (None, None, Some(strategy)) => (strategy.value, "the mapping says so"),
            (None, None, None) => (Strategy::Auto, ""),
        };
        Ok(match strategy {
            Strategy::Copy => (Route::Copy, whose.to_owned()),
            Strategy::Fdw => (Route::Fdw, whose.to_owned()),
            Strategy::Auto => (Route::Copy, "COPY carries any SELECT, in parallel, from one snapshot".into()),
            Strategy::Hybrid => self.hybrid(rows),
        })
    }

    /// Above the threshold COPY; below it FDW only where it was said to be faster.
    fn hybrid(&self, rows: u64) -> (Route, String) {
        let threshold = self.options.threshold();
        let mapping = &self.options.mapping;
        if rows >= threshold {
            return (Route::Copy, format!("at least {threshold} rows"));
        }
        match (mapping.fdw_throughput, mapping.copy_throughput) {
            (Some(fdw), Some(copy)) if fdw > copy => {
                (Route::Fdw, format!("fewer than {threshold} rows, and FDW is configured as the faster one"))
            }
            _ => {
                (Route::Copy, format!("fewer than {threshold} rows, but COPY is the faster one for them too"))
            }
        }
    }
}

/// Either all tables are filled in part, or none: what is taken off the others would have to be put back beside these.
fn refuse_mixed(tables: &[TablePlan]) -> Result<()> {
    let is_part = |table: &&TablePlan| table.portion.is_some();
    match (tables.iter().find(is_part), tables.iter().find(|table| !is_part(table))) {
        (Some(part), Some(whole)) => Err(Error::config(format!(
            "{} is filled in part, and {} as a whole: that takes two migrations",
            part.target.short(),
            whole.target.short()
        ))),
        _ => Ok(()),
    }
}

impl TablePlan {
    /// SHA-256 over what decides the table's rows, in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.as_bytes());
            hash.update([0]);
        };
        add(&self.target.to_string());
        add(&self.source.as_ref().map(ToString::to_string).unwrap_or_default());
        for column in &self.columns {
            add(&column.target.to_string());
            add(column.sent.as_str());
        }
        add(self.query.joins.as_str());
        for filter in &self.query.filters {
            add(filter.as_str());
        }
        add(self.query.statement.as_ref().map(crate::sql::Sql::as_str).unwrap_or_default());
        if let Some(portion) = &self.portion {
            add("a portion");
            portion.filters.iter().for_each(|filter| add(filter.as_str()));
        }
        hexadecimal(&hash.finalize())
    }

    pub(crate) fn remark(&mut self, message: impl Into<String>) {
        self.remarks.push(Remark { message: message.into(), place: self.place.clone(), warning: false });
    }
}

/// Two connections reach one database where the one sees an advisory lock that the other holds. (Nothing that can be read
/// alone tells: servers that were copied share their system identifier, and two may have started in one microsecond.)
pub(crate) async fn is_same_database(source: &Session, target: &Session) -> Result<bool> {
    let draw = Sql::literal("SELECT (pg_catalog.random() * 9e18)::pg_catalog.int8");
    let key: i64 = source.query_one(&draw, &[]).await?.get(0);
    source.query(&Sql::literal("SELECT pg_catalog.pg_advisory_lock($1)"), &[&key]).await?;
    let sees = Sql::literal(include_str!("../postgres/queries/sees_lock.sql"));
    let seen = target.query_one(&sees, &[&key, &source.backend_pid()]).await;
    source.query(&Sql::literal("SELECT pg_catalog.pg_advisory_unlock($1)"), &[&key]).await?;
    Ok(seen?.get(0))
}
