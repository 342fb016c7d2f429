//! Triggers, rules, policies, event triggers: what happens by itself.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::Scene;

pub(crate) const KINDS: &[Kind] = &[
    create,
    create,
    constraint_trigger,
    enable,
    rename,
    drop,
    rule,
    rule,
    policy,
    policy,
    alter_policy,
    event_trigger,
];

fn function(scene: &mut Scene<'_>) -> Option<String> {
    for _ in 0..20 {
        if let Some(one) = scene.any(&["function"])
            && one.extra == "trigger"
        {
            return Some(one.name.clone());
        }
    }
    None
}

fn create(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.any(&["table", "table", "table", "view"])?.name;
    let (name, function) = (scene.name(), function(scene)?);
    let column = &scene.column(table)?.name;
    let event = match scene.below(5) {
        0 => format!("AFTER UPDATE OF {column}"),
        1 => "AFTER INSERT OR DELETE OR UPDATE".to_owned(),
        2 => "BEFORE TRUNCATE".to_owned(),
        3 => "INSTEAD OF INSERT".to_owned(),
        _ => "BEFORE INSERT OR UPDATE".to_owned(),
    };
    let each = scene.one(&["FOR EACH ROW", "FOR EACH ROW", "FOR EACH STATEMENT"]);
    let when = match scene.below(4) {
        0 => format!(" WHEN (new.{column} IS NOT NULL)"),
        1 => format!(" WHEN (old.* IS DISTINCT FROM new.* OR old.{column} IS NULL)"),
        _ => String::new(),
    };
    let arguments = scene.one(&["", "'one', 'it''s'"]);
    Some(match scene.below(5) {
        0 => format!(
            "CREATE TRIGGER {name} AFTER UPDATE ON {table} REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        ),
        1 => format!(
            "CREATE OR REPLACE TRIGGER {name} {event} ON {table} {each} EXECUTE FUNCTION {function}()"
        ),
        _ => format!(
            "CREATE TRIGGER {name} {event} ON {table} {each}{when} EXECUTE FUNCTION {function}({arguments})"
        ),
    })
}

fn constraint_trigger(scene: &mut Scene<'_>) -> Option<String> {
    let (table, name, function) = (&scene.table()?.name, scene.name(), function(scene)?);
    let timing = scene.one(&["", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"]);
    Some(format!(
        "CREATE CONSTRAINT TRIGGER {name} AFTER INSERT OR UPDATE ON {table} {timing} FOR EACH ROW EXECUTE FUNCTION {function}()"
    ))
}

fn enable(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["trigger", "rule"])?;
    let what = one.kind.to_uppercase();
    let how = scene.one(&["DISABLE", "ENABLE", "ENABLE REPLICA", "ENABLE ALWAYS"]);
    let only = scene.one(&["", "", "ONLY "]);
    Some(format!("ALTER TABLE {only}{} {how} {what} {}", one.of, one.name))
}

fn rename(scene: &mut Scene<'_>) -> Option<String> {
    let (one, name) = (scene.any(&["trigger", "rule", "policy"])?, scene.name());
    Some(format!("ALTER {} {} ON {} RENAME TO {name}", one.kind.to_uppercase(), one.name, one.of))
}

fn drop(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["trigger", "rule", "policy"])?;
    Some(format!("DROP {} {} ON {}", one.kind.to_uppercase(), one.name, one.of))
}

fn rule(scene: &mut Scene<'_>) -> Option<String> {
    let (name, on, other) = (scene.name(), &scene.relation()?.name, &scene.table()?.name);
    let (column, theirs) = (&scene.column(on)?.name, &scene.column(other)?.name);
    let event = scene.one(&["INSERT", "UPDATE", "DELETE"]);
    let row = if event == "DELETE" { "old" } else { "new" };
    let action = match scene.below(6) {
        0 => "INSTEAD NOTHING".to_owned(),
        1 => "ALSO NOTIFY changed".to_owned(),
        2 => format!("ALSO INSERT INTO {other} ({theirs}) VALUES ({row}.{column})"),
        3 => format!("INSTEAD UPDATE {other} SET {theirs} = {row}.{column} WHERE {theirs} IS NULL"),
        4 => format!("ALSO (DELETE FROM {other} WHERE {theirs} = {row}.{column}; NOTIFY changed)"),
        _ => format!("ALSO INSERT INTO {other} SELECT {row}.*"),
    };
    let when = if scene.one_in(4) { format!(" WHERE {row}.{column} IS NOT NULL") } else { String::new() };
    let replace = scene.one(&["", " OR REPLACE"]);
    Some(format!("CREATE{replace} RULE {name} AS ON {event} TO {on}{when} DO {action}"))
}

fn policy(scene: &mut Scene<'_>) -> Option<String> {
    let (name, table, role) = (scene.name(), &scene.table()?.name, scene.role());
    let (condition, other) = (scene.condition(table)?, &scene.relation()?.name);
    let kind = scene.one(&["", "", " AS RESTRICTIVE"]);
    let (command, has_using, has_check) = [
        ("ALL", true, true),
        ("SELECT", true, false),
        ("INSERT", false, true),
        ("UPDATE", true, true),
        ("DELETE", true, false),
    ][scene.below(5)];
    let using = match scene.below(3) {
        _ if !has_using => String::new(),
        0 => format!(" USING (EXISTS (SELECT FROM {other} AS o))"),
        _ => format!(" USING ({condition})"),
    };
    let check =
        if has_check && scene.one_in(2) { format!(" WITH CHECK ({condition})") } else { String::new() };
    Some(format!("CREATE POLICY {name} ON {table}{kind} FOR {command} TO {role}{using}{check}"))
}

fn alter_policy(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["policy"])?;
    let (condition, role) = (scene.condition(&one.of)?, scene.role());
    let action = match scene.below(3) {
        0 => format!("TO {role}"),
        1 => format!("USING ({condition})"),
        _ => format!("WITH CHECK ({condition})"),
    };
    Some(format!("ALTER POLICY {} ON {} {action}", one.name, one.of))
}

fn event_trigger(scene: &mut Scene<'_>) -> Option<String> {
    if let Some(one) = scene.any(&["event trigger"]) {
        let action = scene.one(&["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA", "RENAME TO n1"]);
        return Some(format!("ALTER EVENT TRIGGER {} {action}", one.name));
    }
    let (name, full) = (scene.name(), scene.full_name());
    let event = scene.one(&["ddl_command_end", "ddl_command_start", "sql_drop", "table_rewrite"]);
    Some(format!(
        "CREATE FUNCTION {full}() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION {full}()"
    ))
}
