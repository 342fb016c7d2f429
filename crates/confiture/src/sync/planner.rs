//! From options to a plan: both catalogs are read, every column gets its rule, every rule is checked. Nothing is written.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::catalog::{Catalog, ConstraintKind};
use crate::error::{Error, Result};
use crate::postgres::{Session, read_catalog};
use crate::sql::{Identifier, QualifiedName, Sql, hexadecimal, sql};
use crate::sync::check::{check, same_family};
use crate::sync::classify::{Classified, Origin, apply_rules, choose_tables, settle_rest};
use crate::sync::compile::{Ground, Program, compile, describe};
use crate::sync::fingerprint::{SHORTEST, TRIMMED, hash};
use crate::sync::keys::{Components, Reference, propagate, references};
use crate::sync::options::Options;
use crate::sync::plan::{Applied, ColumnPlan, CopyFormat, Plan, SMALLEST_PART, Storage, TablePlan};
use crate::sync::types::{Family, binary_agrees, family};
use crate::sync::{privileges, quarantine, space, subset};

/// A plan with the sessions and everything else that carries it out.
pub struct Sync {
    pub(crate) options: Options,
    pub(crate) plan: Plan,
    /// One for each of the plan's tables.
    pub(crate) programs: Vec<Program>,
    /// Per table: what the source sends for the scan, behind everything else.
    pub(crate) hashes: Vec<Vec<Sql>>,
    pub(crate) seed: u64,
    pub(crate) coarse: bool,
    pub(crate) source: Session,
    pub(crate) source_catalog: Catalog,
    pub(crate) target_catalog: Catalog,
    pub(crate) references: Vec<Reference>,
}

impl Sync {
    /// Plans a sync.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsafe`](crate::ErrorKind::Unsafe) where a column is not classified, where both databases are one, or where
    /// the target may not be written to; [`ErrorKind::Config`](crate::ErrorKind::Config) where a rule does not fit.
    pub async fn plan(options: Options) -> Result<Self> {
        check_target(&options)?;
        check_resume(&options)?;
        let (source, target) =
            tokio::try_join!(Session::connect(&options.source), Session::connect(&options.target))?;
        // What the rules have the source compute must not write there either.
        source.batch(&Sql::literal("SET default_transaction_read_only = on")).await?;
        refuse_one_database(&source, &target).await?;
        let (source_catalog, target_catalog) =
            tokio::try_join!(read_catalog(&source), read_catalog(&target))?;
        let mut notes = Vec::new();
        let references = references(&source_catalog, &options.rules)?;
        let components = Components::of(&references);
        let mut tables = choose_tables(&options, &source_catalog, &target_catalog, &mut notes)?;
        apply_rules(&mut tables, &options, &source_catalog, &mut notes)?;
        propagate(&mut tables, &components, &target_catalog, &mut notes)?;
        settle_rest(&mut tables, &options, &source_catalog, &mut notes)?;
        // What is masked by default may be a key too.
        propagate(&mut tables, &components, &target_catalog, &mut notes)?;
        check_components(&references, &tables, &source_catalog)?;
        let ground = Ground {
            source: &source_catalog,
            rules: &options.rules,
            key: options.key.as_ref(),
            components: &components,
        };
        let seed = random_seed()?;
        check_hash(&source, seed, &mut notes).await?;
        let mut ready = Vec::new();
        for table in &tables {
            let mut program = compile(table, &ground)?;
            let hashes = source_hashes(table, &mut program, &source_catalog, seed);
            let mut plan = plan_table(table, &program, &hashes, &source_catalog, &target_catalog);
            plan.identity = identity(table, &ground);
            ready.push((plan, program, hashes));
        }
        for table in &tables {
            check(table, &source_catalog, &target_catalog, &mut notes)?;
        }
        ready.sort_by_key(|(plan, ..)| std::cmp::Reverse(plan.bytes));
        let names: Vec<&QualifiedName> = ready.iter().map(|(plan, ..)| &plan.table).collect();
        subset::check(&options.rules.subset, &source_catalog, &references, &names)?;
        for (plan, ..) in &mut ready {
            plan.subset = !options.rules.subset.is_empty();
        }
        let referring =
            referring(&ready.iter().map(|(plan, ..)| &plan.table).collect::<Vec<_>>(), &target_catalog);
        let (mut plans, mut programs, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for (plan, program, sent) in ready {
            plans.push(plan);
            programs.push(program);
            hashes.push(sent);
        }
        if !options.resume && target_catalog.schemas.contains(&Identifier::new(quarantine::SCHEMA)) {
            notes.push(
                "the target holds the quarantine of a run that was stopped: `confiture sync --repair` throws it away"
                    .to_owned(),
            );
        }
        notes.sort();
        notes.dedup();
        let bytes_needed = space::needed(&plans, options.quarantine || options.resume, &source_catalog);
        let bytes_there = space::there(&plans, &target_catalog);
        let bytes_free = space::free(&target).await?;
        space::check(bytes_needed, bytes_free)?;
        let plan = Plan {
            source: options.source.to_string(),
            target: options.target.to_string(),
            digest: digest(&plans),
            tables: plans,
            notes,
            key_id: options.key.as_ref().map(crate::sync::mask::MasterKey::id),
            ephemeral_key: options.ephemeral,
            referring,
            workers: options.workers.clamp(1, 64),
            quarantine: options.quarantine || options.resume,
            bytes_needed,
            bytes_there,
            bytes_free,
        };
        let names: Vec<QualifiedName> = plan.tables.iter().map(|table| table.table.clone()).collect();
        let catalogs = (&source_catalog, &target_catalog);
        privileges::check(&names, plan.quarantine, catalogs, &source, &target).await?;
        check_select(&plan, &source).await?;
        Ok(Self {
            options,
            plan,
            programs,
            hashes,
            seed,
            coarse: false,
            source,
            source_catalog,
            target_catalog,
            references,
        })
    }

    /// Has every mask do nothing, the source's and the stream's. Only tests can: what follows must be found out.
    #[cfg(feature = "failpoints")]
    #[must_use]
    pub fn with_broken_masks(mut self) -> Self {
        // What the source would mask, it sends as it is.
        for (table, program) in self.plan.tables.iter_mut().zip(&self.programs) {
            for (at, _) in program.columns.iter().enumerate().filter(|(_, column)| !column.sent_raw) {
                table.sent[at] = sql!("{}", table.columns[at].name);
            }
        }
        for column in self.programs.iter_mut().flat_map(|program| &mut program.columns) {
            column.mask = column.mask.take().map(crate::sync::mask::Mask::broken);
        }
        self
    }

    /// Has the search suspect far more than is there: what it makes of that must be found out.
    #[cfg(feature = "failpoints")]
    #[must_use]
    pub fn with_coarse_search(mut self) -> Self {
        self.coarse = true;
        self
    }

    /// Reads tables in parts of so many pages: tests have small tables.
    #[cfg(feature = "failpoints")]
    #[must_use]
    pub fn with_parts_of(mut self, pages: u32) -> Self {
        self.plan.tables.iter_mut().for_each(|table| table.smallest_part = pages);
        self
    }

    /// The plan as data.
    #[must_use]
    pub fn as_plan(&self) -> &Plan {
        &self.plan
    }
}

/// Only a database that somebody calls staging is overwritten.
fn check_target(options: &Options) -> Result<()> {
    let connection = &options.target;
    if options.target_is_production {
        return Err(Error::refused(format!(
            "{connection} is a production database: a sync would replace its rows"
        ))
        .hint("its environment says `production: true`; sync into another one"));
    }
    let is_near = |host: &str| {
        host.starts_with('/')
            || host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    for endpoint in &connection.endpoints {
        let allowed = &options.rules.allowed_targets;
        if !is_near(&endpoint.host) && !allowed.contains(&endpoint.host) {
            return Err(Error::refused(format!(
                "{} is not among the servers that a sync may write to",
                endpoint.host
            ))
            .hint(format!("add it to the rules: `allowed_targets: [{}]`", endpoint.host)));
        }
    }
    Ok(())
}

/// What is continued must go on as it began.
fn check_resume(options: &Options) -> Result<()> {
    if options.resume && !options.rules.subset.is_empty() {
        return Err(Error::usage(
            "--resume: the rows of a subset are chosen in one snapshot, and that is gone",
        )
        .hint("leave --resume out: the run begins anew"));
    }
    if options.resume && options.ephemeral {
        return Err(Error::usage("--resume: an ephemeral key is gone with its run")
            .hint("leave --resume out: the run begins anew"));
    }
    Ok(())
}

/// Two connections reach one database where the one sees an advisory lock that the other holds.
async fn refuse_one_database(source: &Session, target: &Session) -> Result<()> {
    let draw = Sql::literal("SELECT (pg_catalog.random() * 9e18)::pg_catalog.int8");
    let key: i64 = source.query_one(&draw, &[]).await?.get(0);
    source.query(&Sql::literal("SELECT pg_catalog.pg_advisory_lock($1)"), &[&key]).await?;
    let sees = Sql::literal(include_str!("../postgres/queries/sees_lock.sql"));
    let seen = target.query_one(&sees, &[&key, &source.backend_pid()]).await;
    source.query(&Sql::literal("SELECT pg_catalog.pg_advisory_unlock($1)"), &[&key]).await?;
    let same: bool = seen?.get(0);
    let identity = Sql::literal(
        "SELECT system_identifier, pg_catalog.current_database()::text, pg_catalog.pg_is_in_recovery() FROM pg_catalog.pg_control_system()",
    );
    // A standby is its primary as far as overwriting goes. Servers that were copied share the identifier too, and are none.
    let replicas = match (source.query_one(&identity, &[]).await, target.query_one(&identity, &[]).await) {
        (Ok(from), Ok(to)) => {
            let read = |row: &crate::postgres::Row| (row.get::<_, i64>(0), row.get::<_, String>(1));
            read(&from) == read(&to) && (from.get::<_, bool>(2) || to.get::<_, bool>(2))
        }
        _ => false,
    };
    if same || replicas {
        return Err(Error::refused(format!("{} is both the source and the target", source.connection()))
            .hint("a sync empties the target's tables first; name another database with --to"));
    }
    Ok(())
}

/// A key's columns must be of one type on both ends, or their masks would differ.
fn check_components(references: &[Reference], tables: &[Classified<'_>], source: &Catalog) -> Result<()> {
    for reference in references {
        for (from, to) in reference.from.1.iter().zip(&reference.to.1) {
            let find = |name: &QualifiedName, column: &Identifier| {
                let table = tables.iter().find(|table| table.source.name == *name)?;
                let chosen = table.columns.iter().find(|chosen| chosen.name == *column)?;
                Some((chosen, table.source.column(column)?))
            };
            let (Some((chosen, a)), Some((_, b))) =
                (find(&reference.from.0, from), find(&reference.to.0, to))
            else {
                continue;
            };
            let masked = matches!(
                chosen.rule.value.method,
                crate::config::sync_rules::Method::Fpe | crate::config::sync_rules::Method::Hash(_)
            );
            if masked && !same_family(&a.data_type, &b.data_type, source) {
                return Err(chosen.rule.locate(Error::config(format!(
                    "{}.{from} is {} and {}.{to} is {}: masked, they would not match",
                    reference.from.0.short(),
                    a.data_type.text,
                    reference.to.0.short(),
                    b.data_type.text
                ))));
            }
        }
    }
    Ok(())
}

/// Our hash must be the source's, or the search would look for nothing.
async fn check_hash(source: &Session, seed: u64, notes: &mut Vec<String>) -> Result<()> {
    let probe = "what the search looks for";
    let query = Sql::literal("SELECT pg_catalog.hashtextextended($1 COLLATE \"C\", $2)");
    let theirs: i64 = source.query_one(&query, &[&probe, &seed.cast_signed()]).await?.get(0);
    if theirs.cast_unsigned() != hash(probe.as_bytes(), seed) {
        notes.push("the source's server computes hashes otherwise: originals that it does not send cannot be searched for".to_owned());
    }
    Ok(())
}

fn random_seed() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::unexpected(format!("the system gives no random numbers: {error}")))?;
    Ok((u64::from_be_bytes(bytes) >> 1).max(1))
}

/// Hashes of the originals of columns that are not sent themselves: without them, the scan could not look for these.
fn source_hashes(table: &Classified<'_>, program: &mut Program, source: &Catalog, seed: u64) -> Vec<Sql> {
    let mut hashes = Vec::new();
    for (chosen, compiled) in table.columns.iter().zip(&mut program.columns) {
        let Some(column) = table.source.column(&chosen.name) else { continue };
        let (Family::Text(_), _) = family(&column.data_type, source) else { continue };
        if compiled.sent_raw {
            continue;
        }
        compiled.hashed = Some(hashes.len());
        let text = sql!("pg_catalog.btrim(CAST({} AS pg_catalog.text), E{})", chosen.name, trimmed_literal());
        hashes.push(sql!(
            "CASE WHEN pg_catalog.octet_length({}) >= {} THEN (pg_catalog.hashtextextended({} COLLATE \"C\", {}) & -8192) | ((pg_catalog.ascii({}) & 63) << 7) | least(pg_catalog.octet_length({}), 127) END",
            text,
            SHORTEST,
            text,
            seed.cast_signed(),
            text,
            text
        ));
    }
    hashes
}

/// What stands around a value and is no part of it, as an escape string.
fn trimmed_literal() -> Sql {
    let escaped = "' \\t\\n!\"#$%&''()*+,-./:;<=>?@[]^_`{|}~'";
    debug_assert_eq!(
        escaped.replace("''", "'").replace("\\t", "\t").replace("\\n", "\n"),
        format!("'{TRIMMED}'")
    );
    Sql::literal(escaped)
}

fn plan_table(
    table: &Classified<'_>,
    program: &Program,
    hashes: &[Sql],
    source: &Catalog,
    target: &Catalog,
) -> TablePlan {
    let columns = table.columns.iter().zip(&program.columns).map(|(chosen, compiled)| {
        let rule = &chosen.rule.value;
        let applied = match (&compiled.mask, compiled.sent_raw) {
            (None, true) => Applied::Nowhere,
            (None, false) => Applied::OnSource,
            (Some(_), true) => Applied::InStream,
            (Some(_), false) => Applied::OnFragment,
        };
        let data_type = table.target.column(&chosen.name).map(|column| column.data_type.text.clone());
        ColumnPlan {
            name: chosen.name.clone(),
            data_type: data_type.unwrap_or_default(),
            rule: describe(rule),
            applied,
            chosen_by: match chosen.origin {
                Origin::Rules => "rules",
                Origin::CommandLine => "command line",
                Origin::Others => "default",
                Origin::Key | Origin::Nobody => "foreign key",
            },
        }
    });
    let columns: Vec<ColumnPlan> = columns.collect();
    let mut sent: Vec<Sql> = program.columns.iter().map(|column| column.sent.clone()).collect();
    sent.extend(program.extra.iter().map(|(sql, _)| sql.clone()));
    sent.extend(hashes.iter().cloned());
    let needs_text = table.columns.iter().zip(&program.columns).any(|(chosen, compiled)| {
        let masked = compiled.mask.as_ref().is_some_and(|mask| mask.as_shuffle().is_none())
            && (compiled.wire == crate::sync::mask::Wire::Other || compiled.array);
        let agrees = table
            .target
            .column(&chosen.name)
            .is_some_and(|column| binary_agrees(column.data_type.oid, target, source));
        masked || !agrees
    });
    let storage: Vec<Storage> = if table.source.kind == crate::catalog::RelationKind::PartitionedTable {
        source.storage_of(table.source)
    } else {
        vec![table.source]
    }
    .into_iter()
    .map(|relation| Storage { relation: relation.name.clone(), pages: relation.pages })
    .collect();
    let bytes = source.storage_of(table.source).iter().map(|relation| relation.bytes).sum();
    TablePlan {
        table: table.target.name.clone(),
        columns,
        select: sql!("SELECT {} FROM {}", Sql::join(", ", &sent), table.source.name),
        format: if needs_text { CopyFormat::Text } else { CopyFormat::Binary },
        rows: table.source.row_estimate.unwrap_or_default(),
        bytes,
        subset: false,
        windows: program
            .columns
            .iter()
            .any(|column| column.mask.as_ref().is_some_and(|mask| mask.as_shuffle().is_some())),
        smallest_part: SMALLEST_PART,
        storage,
        sent,
        identity: String::new(),
    }
}

/// Tables that are not synced and refer to synced ones.
fn referring(tables: &[&QualifiedName], target: &Catalog) -> Vec<QualifiedName> {
    let mut referring: Vec<QualifiedName> = Vec::new();
    for relation in target.relations.values().filter(|relation| !relation.is_partition) {
        let refers = relation.constraints.iter().any(|constraint| {
            constraint.kind == ConstraintKind::ForeignKey
                && constraint.references.as_ref().is_some_and(|(to, _)| tables.contains(&to))
        });
        if refers && !tables.contains(&&relation.name) {
            referring.push(relation.name.clone());
        }
    }
    referring
}

/// Has the source parse what it will be asked, so that the user's SQL is judged before anything is written.
async fn check_select(plan: &Plan, source: &Session) -> Result<()> {
    for table in &plan.tables {
        source.prepare(&table.select).await.map_err(|error| {
            error
                .context(format!("the source refuses what it would be asked for {}", table.table.short()))
                .hint("look at `sql` and `when` of its rules: they run on the source, over its columns")
        })?;
    }
    Ok(())
}

/// Digest of what makes a table's rows of its source's rows, beside the key.
fn identity(table: &Classified<'_>, ground: &Ground<'_>) -> String {
    let rule = |rule: &crate::config::sync_rules::Rule| {
        let method = match &rule.method {
            crate::config::sync_rules::Method::Sql(text) => text.value.clone(),
            method => format!("{method:?}"),
        };
        let when = rule.when.as_ref().map(|when| &when.value);
        format!("{method}\0{when:?}\0{}\0{:?}\0{}", rule.fill_nulls, rule.domain, rule.normalize)
    };
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text);
        hash.update([0]);
    };
    add(&table.target.name.to_string());
    for chosen in &table.columns {
        add(chosen.name.as_str());
        for relation in [table.source, table.target] {
            add(relation.column(&chosen.name).map_or("", |column| &column.data_type.text));
        }
        add(&rule(&chosen.rule.value));
        add(&format!("{:?}", ground.components.component(&table.source.name, &chosen.name)));
    }
    for (kind, meaning) in &ground.rules.kinds {
        add(kind.word());
        add(&rule(meaning));
    }
    for (name, columns) in
        ground.rules.row_keys.iter().filter(|(name, _)| name.value.names(&table.source.name))
    {
        add(&name.value.to_string());
        columns.iter().for_each(|column| add(column.value.as_str()));
    }
    hexadecimal(&hash.finalize())
}

fn digest(tables: &[TablePlan]) -> String {
    let mut hash = Sha256::new();
    for table in tables {
        hash.update(table.table.to_string());
        for column in &table.columns {
            hash.update([0]);
            hash.update(column.name.as_str());
            hash.update([0]);
            hash.update(&column.rule);
            hash.update([0]);
            hash.update(&column.data_type);
        }
        hash.update([1]);
    }
    hexadecimal(&hash.finalize())
}
