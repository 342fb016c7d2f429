//! Types: their closure, and what can be done with them, compared with what the server does.

use confiture::catalog::{Catalog, DataType, TypeKind};
use confiture::postgres::{Session, read_catalog};
use confiture::sql::{Sql, sql};

use crate::fixture::{RICH, database, rich, session, text};

fn data_type<'a>(catalog: &'a Catalog, text: &str) -> &'a DataType {
    catalog
        .types
        .values()
        .find(|data_type| data_type.text == text)
        .unwrap_or_else(|| panic!("no type {text}"))
}

#[tokio::test]
async fn every_type_that_is_mentioned_is_there() {
    let (_database, _session, catalog) = rich().await;
    let mut mentioned: Vec<_> = catalog
        .relations
        .values()
        .flat_map(|relation| relation.columns.iter().map(|column| column.data_type.oid))
        .collect();
    for data_type in catalog.types.values() {
        match &data_type.kind {
            TypeKind::Array { element } => mentioned.push(*element),
            TypeKind::Domain { base, .. } => mentioned.push(base.oid),
            TypeKind::Composite { fields } => mentioned.extend(fields.iter().map(|(_, field)| field.oid)),
            TypeKind::Range { subtype } => mentioned.push(*subtype),
            TypeKind::Multirange { range } => mentioned.push(*range),
            TypeKind::Base | TypeKind::Enum { .. } | TypeKind::Pseudo => {}
        }
    }
    for oid in mentioned {
        assert!(catalog.data_type(oid).is_some(), "type {oid}");
    }
}

#[tokio::test]
async fn types_tell_what_they_are_made_of() {
    let (_database, _session, catalog) = rich().await;
    let TypeKind::Enum { labels } = &data_type(&catalog, "app.status").kind else { panic!() };
    assert_eq!(labels, &["new", "between", "in \"progress\"", "it's done", "Ärger"]);
    let TypeKind::Domain { base, not_null, checks } = &data_type(&catalog, "app.statuses").kind else {
        panic!()
    };
    assert_eq!((base.text.as_str(), *not_null), ("app.status[]", false));
    assert_eq!(checks, &["CHECK ((cardinality(VALUE) > 0))", "CHECK (('new'::app.status <> ALL (VALUE)))"]);
    let TypeKind::Composite { fields } = &data_type(&catalog, "app.price").kind else { panic!() };
    let fields: Vec<_> = fields.iter().map(|(name, field)| (name.as_str(), field.text.as_str())).collect();
    assert_eq!(fields, [("net", "app.money"), ("gross", "app.money[]"), ("select", "app.statuses")]);
    let TypeKind::Composite { fields } = &data_type(&catalog, "app.money").kind else { panic!() };
    assert_eq!(fields[0].1.text, "numeric(12,2)");
    let citext = data_type(&catalog, "public.citext");
    assert_eq!(citext.extension.as_ref().map(ToString::to_string).as_deref(), Some("citext"));
    assert!(!citext.is_built_in() && data_type(&catalog, "integer").is_built_in());
    assert_eq!(data_type(&catalog, "app.status[]").extension, None);
}

/// A table with a column of every type that a column can have, those of [`RICH`] included.
const EVERY_TYPE: &str = r"
CREATE DOMAIN app.plain_domain AS int4;
CREATE DOMAIN app.domain_of_range_domain AS app.span;
CREATE TYPE app.with_range_domain AS (a int4, b app.span);
CREATE TYPE app.deep AS (a app.price[], b tstzmultirange, c app.email[]);
CREATE TYPE app.empty AS ();
CREATE TYPE app.system AS (a pg_catalog.pg_am, b aclitem);
CREATE TABLE app.every_type ();
DO $$
DECLARE t record;
BEGIN
    FOR t IN
        SELECT oid, format_type(oid, NULL) AS name FROM pg_type
        WHERE typtype <> 'p' AND typisdefined AND typname !~ 'every_type'
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE app.every_type ADD COLUMN %I %s', 'c' || t.oid, t.name);
        EXCEPTION WHEN invalid_table_definition THEN
        END;
    END LOOP;
END $$;
";

async fn every_type() -> (local_postgres::testing::Database<'static>, Session, Catalog) {
    let database = database(RICH).await;
    let session = session(&database).await;
    session.batch(&Sql::literal(EVERY_TYPE)).await.unwrap();
    let catalog = read_catalog(&session).await.unwrap();
    let columns: usize = text(
        &session,
        "SELECT count(*)::text FROM pg_attribute WHERE attrelid = 'app.every_type'::regclass AND attnum > 0",
    )
    .await
    .parse()
    .unwrap();
    assert!(columns > 400, "only {columns} columns");
    (database, session, catalog)
}

#[tokio::test]
async fn hashable_is_what_hash_record_extended_accepts() {
    let (_database, session, catalog) = every_type().await;
    let mut refused = 0;
    for data_type in catalog.types.values().filter(|data_type| data_type.kind != TypeKind::Pseudo) {
        // The function for the type is looked for before the value is looked at, so that null will do. A column of a
        // table rather than a cast of null: a domain may forbid nulls.
        let sql = sql!(
            "SELECT hash_record_extended(r, 0) FROM (SELECT (SELECT NULL::{} WHERE false) AS a) AS r",
            Sql::from_server(&data_type.text)
        );
        let outcome = session.query(&sql, &[]).await;
        if let Err(error) = &outcome {
            assert_eq!(error.sqlstate_code(), Some("42883"), "{}: {error}", data_type.text);
            refused += 1;
        }
        assert_eq!(data_type.hashable, outcome.is_ok(), "{}", data_type.text);
    }
    assert!(refused > 10, "only {refused} types are refused");
}

#[tokio::test]
async fn binary_is_what_the_server_sends_in_binary() {
    let (_database, session, catalog) = every_type().await;
    for data_type in catalog.types.values() {
        // Arrays look for their element's function only when there is a value; composites for those of their fields'
        // too, and null has no fields.
        let value = match data_type.kind {
            TypeKind::Pseudo | TypeKind::Domain { .. } | TypeKind::Composite { .. } => continue,
            TypeKind::Array { element }
                if matches!(
                    catalog.types[&element].kind,
                    TypeKind::Composite { .. } | TypeKind::Domain { .. }
                ) =>
            {
                continue;
            }
            TypeKind::Array { .. } => "'{NULL}'",
            _ => "NULL",
        };
        let value =
            if data_type.text == "int2vector" || data_type.text == "oidvector" { "''" } else { value };
        let sql = sql!(
            "COPY (SELECT {}::{}) TO STDOUT (FORMAT binary)",
            Sql::literal(value),
            Sql::from_server(&data_type.text)
        );
        assert_eq!(data_type.has_binary, copies(&session, &sql).await, "{}", data_type.text);
    }
    assert!(!data_type(&catalog, "aclitem").has_binary);
    assert!(!data_type(&catalog, "app.system").has_binary);
    assert!(data_type(&catalog, "app.price").has_binary);
}

async fn copies(session: &Session, sql: &Sql) -> bool {
    use futures_util::TryStreamExt;
    match session.copy_out(sql).await {
        Ok(stream) => stream.try_fold((), |(), _| async { Ok(()) }).await.is_ok(),
        Err(_) => false,
    }
}
