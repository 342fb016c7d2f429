//! Tables: how they are made, and what is said of them as a whole.

use crate::random::ddl::Kind;
use crate::random::ddl::column;
use crate::random::ddl::scene::{Scene, bare};

pub(crate) const KINDS: &[Kind] = &[
    create,
    create,
    create_like,
    create_child,
    create_partition,
    create_typed,
    create_as,
    make_partitioned,
    attach,
    detach,
    inherit,
    of_type,
    options,
    row_security,
    replica_identity,
    logged,
];

fn create(scene: &mut Scene<'_>) -> Option<String> {
    let name = scene.full_name();
    let mut lines = Vec::new();
    for _ in 0..=scene.below(4) {
        let column = scene.name();
        lines.push(column::definition(scene, &column, None));
    }
    let key =
        scene.one(&["", "", "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "id integer NOT NULL"]);
    if !key.is_empty() {
        lines.insert(0, key.to_owned());
    }
    let by = scene.one(&[
        "",
        "",
        "",
        " PARTITION BY RANGE (id)",
        " PARTITION BY HASH (id)",
        " PARTITION BY LIST (id)",
    ]);
    let with = scene.one(&["", "", "", "", " WITH (fillfactor = 70)", " WITH (autovacuum_enabled = false)"]);
    let unlogged = scene.one(&["", "", "", " UNLOGGED"]);
    Some(format!("CREATE{unlogged} TABLE {name} ({}){by}{with}", lines.join(", ")))
}

fn create_like(scene: &mut Scene<'_>) -> Option<String> {
    let (name, like) = (scene.full_name(), &scene.any(&["table", "view", "composite"])?.name);
    let including = scene.one(&[
        "INCLUDING ALL",
        "INCLUDING ALL EXCLUDING INDEXES",
        "INCLUDING DEFAULTS INCLUDING CONSTRAINTS",
        "INCLUDING GENERATED INCLUDING IDENTITY INCLUDING COMMENTS",
        "",
    ]);
    let more = scene.one(&["", ", more text DEFAULT 'x'"]);
    Some(format!("CREATE TABLE {name} (LIKE {like} {including}{more})"))
}

fn create_child(scene: &mut Scene<'_>) -> Option<String> {
    let (name, parent) = (scene.full_name(), &scene.table()?.name);
    let columns = scene.one(&["", "own text", "own integer DEFAULT 3 CHECK (own > 0)"]);
    let second = if scene.one_in(4) { format!(", {}", scene.table()?.name) } else { String::new() };
    Some(format!("CREATE TABLE {name} ({columns}) INHERITS ({parent}{second})"))
}

fn bound(scene: &mut Scene<'_>) -> &'static str {
    scene.one(&[
        "DEFAULT",
        "DEFAULT",
        "FOR VALUES FROM (1000) TO (2000)",
        "FOR VALUES FROM (MINVALUE) TO (-1000)",
        "FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')",
        "FOR VALUES IN ('x', 'y')",
        "FOR VALUES IN ('77', NULL)",
        "FOR VALUES WITH (MODULUS 8, REMAINDER 7)",
        "FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "FOR VALUES FROM ('y') TO ('z')",
    ])
}

fn create_partition(scene: &mut Scene<'_>) -> Option<String> {
    let (name, parent) = (scene.full_name(), &scene.partitioned()?.name);
    let bound = bound(scene);
    let by = match scene.column(parent) {
        Some(column) if scene.one_in(5) => {
            format!(" PARTITION BY {} ({})", scene.one(&["RANGE", "LIST", "HASH"]), column.name)
        }
        _ => String::new(),
    };
    Some(format!("CREATE TABLE {name} PARTITION OF {parent} {bound}{by}"))
}

fn create_typed(scene: &mut Scene<'_>) -> Option<String> {
    let (name, of) = (scene.full_name(), &scene.any(&["composite"])?.name);
    let more = match scene.column(of) {
        Some(column) if scene.one_in(2) => {
            let option = scene.one(&["PRIMARY KEY", "DEFAULT NULL", "NOT NULL"]);
            format!(" ({} WITH OPTIONS {option})", column.name)
        }
        _ => String::new(),
    };
    Some(format!("CREATE TABLE {name} OF {of}{more}"))
}

fn create_as(scene: &mut Scene<'_>) -> Option<String> {
    let (name, from) = (scene.full_name(), &scene.relation()?.name);
    Some(format!("CREATE TABLE {name} AS SELECT * FROM {from} WITH NO DATA"))
}

/// A plain table, made anew as one with partitions, as a team's files would have it.
fn make_partitioned(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let column = &scene.column(table)?.name;
    let by = scene.one(&["RANGE", "LIST", "HASH"]);
    let bound = if by == "HASH" { "FOR VALUES WITH (MODULUS 1, REMAINDER 0)" } else { "DEFAULT" };
    let like = scene.one(&["INCLUDING ALL", "INCLUDING DEFAULTS"]);
    Some(format!(
        "CREATE TABLE {table}_aside (LIKE {table} {like}) PARTITION BY {by} ({column}); DROP TABLE {table} CASCADE; \
         ALTER TABLE {table}_aside RENAME TO {}; CREATE TABLE {table}_all PARTITION OF {table} {bound}",
        bare(table)
    ))
}

fn attach(scene: &mut Scene<'_>) -> Option<String> {
    let (parent, table) = (&scene.partitioned()?.name, &scene.table()?.name);
    let bound = bound(scene);
    Some(match scene.below(2) {
        0 => format!("ALTER TABLE {parent} ATTACH PARTITION {table} {bound}"),
        _ => {
            let like = scene.one(&["INCLUDING ALL", ""]);
            let name = scene.full_name();
            format!(
                "CREATE TABLE {name} (LIKE {parent} {like}); ALTER TABLE {parent} ATTACH PARTITION {name} {bound}"
            )
        }
    })
}

fn detach(scene: &mut Scene<'_>) -> Option<String> {
    let partition = scene.any(&["partition"])?;
    let detach = format!("ALTER TABLE {} DETACH PARTITION {}", partition.of, partition.name);
    let bound = if scene.one_in(2) { partition.extra.as_str() } else { bound(scene) };
    let parent = scene.partitioned()?;
    Some(match scene.below(3) {
        0 => format!("{detach}; ALTER TABLE {} ATTACH PARTITION {} {bound}", parent.name, partition.name),
        _ => detach,
    })
}

fn inherit(scene: &mut Scene<'_>) -> Option<String> {
    let child = scene.table()?;
    if !child.of.is_empty() && !scene.one_in(3) {
        return Some(format!("ALTER TABLE {} NO INHERIT {}", child.name, child.of));
    }
    Some(format!("ALTER TABLE {} INHERIT {}", child.name, scene.table()?.name))
}

fn of_type(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    if scene.one_in(2) {
        return Some(format!("ALTER TABLE {table} NOT OF"));
    }
    let columns = scene.columns(table).join(", ");
    let name = scene.full_name();
    // A type of the table's own columns, and the table of it.
    Some(match scene.any(&["composite"]) {
        Some(of) if scene.one_in(2) => format!("ALTER TABLE {table} OF {}", of.name),
        _ => format!("CREATE VIEW {name} AS SELECT {columns} FROM {table}; ALTER TABLE {table} NOT OF"),
    })
}

fn options(scene: &mut Scene<'_>) -> Option<String> {
    let relation = scene.any(&["table", "table", "materialized view"])?;
    let action = scene.one(&[
        "SET (fillfactor = 55)",
        "SET (autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = false)",
        "SET (parallel_workers = 3)",
        "SET (user_catalog_table = true)",
        "RESET (fillfactor)",
        "RESET (autovacuum_enabled, parallel_workers)",
        "SET WITHOUT CLUSTER",
        "SET ACCESS METHOD heap",
        "SET WITHOUT OIDS",
    ]);
    Some(format!("ALTER {} {} {action}", relation.kind.to_uppercase(), relation.name))
}

fn row_security(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let action = scene.one(&["ENABLE", "ENABLE", "FORCE", "NO FORCE", "DISABLE"]);
    Some(format!("ALTER TABLE {table} {action} ROW LEVEL SECURITY"))
}

fn replica_identity(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let action = match scene.of("index", table) {
        Some(index) if scene.one_in(2) => format!("USING INDEX {}", bare(&index.name)),
        _ => scene.one(&["FULL", "NOTHING", "DEFAULT"]).to_owned(),
    };
    Some(format!("ALTER TABLE {table} REPLICA IDENTITY {action}"))
}

fn logged(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    Some(format!("ALTER TABLE {table} SET {}", scene.one(&["UNLOGGED", "LOGGED"])))
}
