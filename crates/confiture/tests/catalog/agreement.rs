//! Facts, compared with what the server's own views say.

use confiture::catalog::{ConstraintKind, Generated, Identity, RelationKind, TriggerEnabled};
use confiture::postgres::read_catalog;
use confiture::sql::{Identifier, Sql};

use crate::fixture::{name, names, relation, rich, text};

#[tokio::test]
async fn the_database_is_described() {
    let (database, session, catalog) = rich().await;
    let version: i32 = text(&session, "SHOW server_version_num").await.parse().unwrap();
    assert_eq!(i64::from(catalog.server_version), i64::from(version));
    assert_eq!(catalog.database, database.name());
    assert_eq!(catalog.encoding, text(&session, "SHOW server_encoding").await);
    assert_eq!(names(&catalog.search_path), ["public"]);
    let mut schemas = names(&catalog.schemas);
    schemas.sort_unstable();
    assert_eq!(schemas, ["app", "public", "we\"ird", "Üser"]);
    let extensions: Vec<_> = catalog.extensions.keys().map(Identifier::as_str).collect();
    assert_eq!(extensions, ["btree_gist", "citext", "plpgsql"]);
}

#[tokio::test]
async fn relations_and_columns_agree_with_the_information_schema() {
    let (_database, session, catalog) = rich().await;
    let sql = "SELECT table_schema::text, table_name::text, column_name::text, ordinal_position::int4, column_default::text,
        is_nullable::text, is_identity::text, identity_generation::text, is_generated::text, generation_expression::text,
        collation_schema::text, collation_name::text, numeric_precision::int4, numeric_scale::int4, domain_name::text
        FROM information_schema.columns
        WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 4";
    // As the information schema renders for the session, which the reader has to leave as it was.
    session.batch(&Sql::literal("SET search_path = ''")).await.unwrap();
    let rows = session.query(&Sql::literal(sql), &[]).await.unwrap();
    let mut seen = 0;
    for row in &rows {
        let relation = relation(&catalog, row.get("table_schema"), row.get("table_name"));
        let column = relation.column(&Identifier::new(row.get::<_, &str>("column_name"))).unwrap();
        let place = format!("{}.{}", relation.name, column.name);
        assert_eq!(i32::from(column.number), row.get::<_, i32>("ordinal_position"), "{place}");
        let nullable = row.get::<_, &str>("is_nullable") == "YES";
        let domain_forbids = row.get::<_, Option<&str>>("domain_name") == Some("email");
        assert_eq!(!column.not_null && !domain_forbids, nullable, "{place}");
        let generated = row.get::<_, &str>("is_generated") == "ALWAYS";
        assert_eq!(column.generated, generated.then_some(Generated::Stored), "{place}");
        let expression = if generated { "generation_expression" } else { "column_default" };
        assert_eq!(column.default.as_deref(), row.get(expression), "{place}");
        let identity = match row.get::<_, Option<&str>>("identity_generation") {
            Some("ALWAYS") => Some(Identity::Always),
            Some(_) => Some(Identity::ByDefault),
            None => None,
        };
        assert_eq!(column.identity, identity, "{place}");
        if let Some(collation) = &column.collation {
            assert_eq!(Some(collation.name.as_str()), row.get("collation_name"), "{place}");
            assert_eq!(Some(collation.schema.as_str()), row.get("collation_schema"), "{place}");
        }
        if column.data_type.text.starts_with("numeric(") {
            let (precision, scale): (i32, i32) = (row.get("numeric_precision"), row.get("numeric_scale"));
            assert_eq!(column.data_type.text, format!("numeric({precision},{scale})"), "{place}");
        }
        seen += 1;
    }
    // Materialized views are not in the information schema.
    let columns: usize = catalog
        .relations
        .values()
        .filter(|relation| relation.kind != RelationKind::MaterializedView)
        .map(|relation| relation.columns.len())
        .sum();
    assert_eq!(columns, seen);
    let collated = catalog.relations.values().flat_map(|relation| &relation.columns);
    assert_eq!(collated.filter(|column| column.collation.is_some()).count(), 2);
}

#[tokio::test]
async fn names_of_any_kind_are_read_as_they_are() {
    let (_database, _session, catalog) = rich().await;
    let weird = relation(&catalog, "we\"ird", "t\"able");
    let columns: Vec<_> = weird.columns.iter().map(|column| column.name.as_str().to_owned()).collect();
    assert_eq!(columns, ["select", "a b", "Üser", &"a".repeat(63)]);
    assert_eq!(weird.columns[1].collation, Some(name("app", "german")));
    assert_eq!(relation(&catalog, "Üser", &"b".repeat(63)).constraints[0].kind, ConstraintKind::Unique);
    let user = relation(&catalog, "Üser", "user");
    let (table, columns) = user.constraints[0].references.clone().unwrap();
    assert_eq!((&table, names(&columns)), (&weird.name, vec!["select"]));
    assert_eq!(user.columns[1].data_type.text, "app.status");
    assert_eq!(catalog.find(None, &"order".into()).map(|found| &found.name), None);
    assert!(catalog.find(Some(&"app".into()), &"order".into()).is_some());
}

#[tokio::test]
async fn columns_tell_how_they_are_stored_and_filled() {
    let (_database, session, catalog) = rich().await;
    let everything = relation(&catalog, "app", "everything");
    let column = |column: &str| everything.column(&column.into()).unwrap();
    assert_eq!(column("document").storage, 'e');
    assert_eq!(column("amount").storage, 'm');
    assert_eq!(column("body").compression, Some('p'));
    assert_eq!(column("label").compression, None);
    assert_eq!(column("label").data_type.text, "character varying(20)[]");
    assert_eq!(column("waits").data_type.text, "interval day to second(2)");
    assert_eq!(column("lengths").data_type.text, "app.length_multirange[]");
    for name in ["id", "other", "counter"] {
        let expected =
            text(&session, &format!("SELECT pg_get_serial_sequence('app.everything', '{name}')")).await;
        assert_eq!(column(name).sequence.as_ref().unwrap().to_string(), expected);
    }
    assert_eq!(column("counter").default.as_deref(), Some("nextval('app.everything_counter_seq'::regclass)"));
    assert!(relation(&catalog, "app", "no_columns").columns.is_empty());
}

#[tokio::test]
async fn constraints_carry_their_facts() {
    let (_database, _session, catalog) = rich().await;
    let order = relation(&catalog, "app", "order");
    let constraint =
        |name: &str| order.constraints.iter().find(|constraint| constraint.name.as_str() == name).unwrap();
    assert!(!constraint("young").validated);
    assert!(constraint("young").enforced);
    assert_eq!(constraint("young").comment.as_deref(), Some("for new orders"));
    assert_eq!(constraint("late").index.as_ref().map(Identifier::as_str), Some("late"));
    assert!(constraint("late").deferrable);
    assert_eq!(constraint("no_overlap").kind, ConstraintKind::Exclusion);
    assert_eq!(names(&constraint("no_overlap").columns), ["customer", "valid_in"]);
    assert!(constraint("always_true").columns.is_empty());
    let foreign = constraint("order_tenant_customer_fkey");
    assert_eq!(foreign.index, None);
    let (table, columns) = foreign.references.clone().unwrap();
    assert_eq!((table, names(&columns)), (name("app", "customer"), vec!["tenant", "id"]));
    assert_eq!(names(&foreign.columns), ["tenant", "customer"]);

    let constraints = |table: &str| {
        let mut found: Vec<_> = relation(&catalog, "app", table)
            .constraints
            .iter()
            .map(|constraint| (constraint.name.as_str().to_owned(), constraint.inherited))
            .collect();
        found.sort();
        found
    };
    let named = |names: &[(&str, bool)]| names.iter().map(|(n, i)| ((*n).to_owned(), *i)).collect::<Vec<_>>();
    assert_eq!(constraints("duck"), named(&[("named", true)]));
    assert_eq!(
        constraints("event"),
        named(&[("event_id_fkey", false), ("event_pk", false), ("nice", false)])
    );
    assert_eq!(
        constraints("event_us"),
        named(&[("event_id_fkey", true), ("event_us_pkey", true), ("nice", true)])
    );
}

#[tokio::test]
async fn indexes_carry_their_facts() {
    let (_database, session, catalog) = rich().await;
    let order = relation(&catalog, "app", "order");
    let index = |name: &str| order.indexes.iter().find(|index| index.name.as_str() == name).unwrap();
    let note = index("order_note");
    assert!(note.partial && !note.unique && note.key_columns.is_none());
    assert_eq!(note.statistics, [(2, 500)]);
    assert_eq!(note.comment.as_deref(), Some("by note"));
    let covering = index("order_covering");
    assert_eq!(covering.key_columns.as_deref().map(names), Some(vec!["id"]));
    assert!(covering.clustered && covering.replica_identity && covering.unique);
    assert_eq!(order.replica_identity, 'i');
    assert!(!index("late").immediate);
    assert_eq!(index("no_overlap").constraint.as_ref().map(Identifier::as_str), Some("no_overlap"));
    assert_eq!(order.key().as_deref().map(names), Some(vec!["id"]));

    let event = relation(&catalog, "app", "event");
    let valid = |name: &str| event.indexes.iter().find(|index| index.name.as_str() == name).unwrap().valid;
    assert!(valid("event_at") && !valid("event_incomplete"));
    let leaf = relation(&catalog, "app", "event_eu_2024");
    let parents: Vec<_> = leaf.indexes.iter().filter_map(|index| index.parent.clone()).collect();
    assert_eq!(parents, [name("app", "event_eu_at_idx"), name("app", "event_eu_pkey")]);

    for relation in catalog.relations.values() {
        let sizes = "SELECT concat_ws(' ', pg_relation_size(o) / 8192, pg_table_size(o), pg_indexes_size(o))";
        let sizes = text(&session, &format!("{sizes} FROM (SELECT {}::oid) AS t (o)", relation.oid)).await;
        let read = format!("{} {} {}", relation.pages, relation.bytes, relation.index_bytes);
        assert_eq!(read, sizes, "{}", relation.name);
        let found: Vec<_> = relation.indexes.iter().map(|index| index.name.as_str().to_owned()).collect();
        let sql = "SELECT coalesce(string_agg(indexname, '|' ORDER BY indexname), '') FROM pg_indexes";
        let sql = format!(
            "{sql} WHERE (schemaname, tablename) = ($${}$$, $${}$$)",
            relation.name.schema.as_str(),
            relation.name.name.as_str()
        );
        assert_eq!(found.join("|"), text(&session, &sql).await);
    }
}

#[tokio::test]
async fn partitions_and_children_hang_together() {
    let (_database, session, catalog) = rich().await;
    let event = relation(&catalog, "app", "event");
    assert_eq!(event.kind, RelationKind::PartitionedTable);
    assert_eq!(event.partition_key.as_deref(), Some("LIST (region)"));
    let leaves: Vec<_> = catalog.storage_of(event).into_iter().map(|leaf| leaf.name.name.as_str()).collect();
    assert_eq!(leaves, ["event_eu_2024", "event_eu_other", "event_us"]);
    let eu = relation(&catalog, "app", "event_eu");
    assert_eq!(eu.partition_bound.as_deref(), Some("FOR VALUES IN ('eu', 'd''or')"));
    assert_eq!(eu.parents, [name("app", "event")]);
    assert_eq!(relation(&catalog, "app", "event_eu_other").partition_bound.as_deref(), Some("DEFAULT"));
    let duck = relation(&catalog, "app", "duck");
    assert!(!duck.is_partition);
    assert_eq!(duck.parents, [name("app", "swimmer"), name("app", "animal")]);

    assert_eq!(event.row_estimate, Some(0), "the leaves are empty");
    let fill = "INSERT INTO app.hashed SELECT n, 'x' FROM generate_series(1, 1000) AS n";
    session.batch(&Sql::literal(fill)).await.unwrap();
    let estimate = async || relation(&read_catalog(&session).await.unwrap(), "app", "hashed").row_estimate;
    assert_eq!(estimate().await, None, "a leaf has rows and was never analysed");
    session.batch(&Sql::literal("ANALYZE app.hashed_0")).await.unwrap();
    assert_eq!(estimate().await, None, "so has the other");
    session.batch(&Sql::literal("ANALYZE app.hashed_1")).await.unwrap();
    assert_eq!(estimate().await, Some(1000));
}

#[tokio::test]
async fn triggers_are_those_of_users() {
    let (_database, _session, catalog) = rich().await;
    let triggers = |table: &str| {
        let triggers = &relation(&catalog, "app", table).triggers;
        triggers.iter().map(|t| (t.name.as_str().to_owned(), t.enabled, t.inherited)).collect::<Vec<_>>()
    };
    assert_eq!(
        triggers("everything"),
        [
            ("always".into(), TriggerEnabled::Always, false),
            ("off".into(), TriggerEnabled::Disabled, false),
            ("touch".into(), TriggerEnabled::Origin, false)
        ]
    );
    assert_eq!(triggers("event"), [("spread".into(), TriggerEnabled::Origin, false)]);
    assert_eq!(triggers("event_eu_2024"), [("spread".into(), TriggerEnabled::Origin, true)]);
    assert_eq!(triggers("order"), []);
    assert_eq!(triggers("animal"), [("late_touch".into(), TriggerEnabled::Origin, false)]);
    assert!(
        relation(&catalog, "app", "animal").constraints.iter().any(|c| c.kind == ConstraintKind::Trigger)
    );
}

#[tokio::test]
async fn sequences_agree_with_pg_sequences() {
    let (_database, session, catalog) = rich().await;
    let rows = session
        .query(&Sql::literal("SELECT *, data_type::text AS type FROM pg_sequences ORDER BY 1, 2"), &[])
        .await;
    let rows = rows.unwrap();
    assert_eq!(rows.len(), catalog.sequences.len());
    for row in &rows {
        let sequence = &catalog.sequences[&name(row.get("schemaname"), row.get("sequencename"))];
        let numbers = ["start_value", "min_value", "max_value", "increment_by", "cache_size"];
        assert_eq!(
            [sequence.start, sequence.min, sequence.max, sequence.increment, sequence.cache],
            numbers.map(|column| row.get::<_, i64>(column)),
            "{}",
            sequence.name
        );
        assert_eq!(sequence.cycle, row.get::<_, bool>("cycle"));
        assert_eq!(sequence.last_value, row.get("last_value"));
        assert_eq!(sequence.data_type, row.get::<_, &str>("type"));
    }
    assert_eq!(catalog.sequences[&name("app", "used")].last_value, Some(1));
    assert_eq!(catalog.sequences[&name("app", "plain")].last_value, None);
    let counter = &catalog.sequences[&name("app", "everything_counter_seq")];
    assert_eq!((counter.last_value, counter.identity), (Some(41), false));
    assert_eq!(counter.owned_by, Some((name("app", "everything"), "counter".into())));
    assert!(catalog.sequences[&name("app", "everything_id_seq")].identity);
}
