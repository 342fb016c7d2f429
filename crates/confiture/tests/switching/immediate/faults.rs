//! What is wrong with triggers as they are written by hand: each fault of the original, and what it becomes here.

use crate::immediate::scene::Scene;

/// B-1: no write calls itself. B-2: a DELETE has no NEW.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_write_stands_on_the_other_side() {
    let scene = Scene::opened().await;
    scene.assert_equal().await;
    for write in [
        "INSERT INTO app.users (email, full_name, bio) VALUES ('new@x', 'Ada Lovelace', 'poet'), ('b@x', 'Bo B', NULL)",
        "UPDATE app.users SET full_name = 'Grace Brewster Hopper' WHERE email = 'new@x'",
        "UPDATE app.users SET bio = CASE WHEN bio IS NULL THEN 'now' END WHERE id % 7 = 0",
        "DELETE FROM app.users WHERE id % 50 = 0",
        "INSERT INTO fresh.users (email, first_name, last_name) VALUES ('c@x', 'Cy', 'Young')",
        "INSERT INTO fresh.bios SELECT id, 'of ' || email FROM fresh.users WHERE email = 'c@x'",
        "UPDATE fresh.users SET last_name = 'Older', rank = 9 WHERE email = 'c@x'",
        "UPDATE fresh.bios SET bio = upper(bio) WHERE user_id % 6 = 0",
        "DELETE FROM fresh.bios WHERE user_id % 9 = 0",
        "DELETE FROM fresh.users WHERE id % 49 = 0",
        "INSERT INTO fresh.orders (number, customer, cents) VALUES (7, 1, 5)",
        "INSERT INTO app.orders (number, \"user\", cents) VALUES (8, 2, 6)",
        "INSERT INTO app.users (id, email, full_name) VALUES (1, 'u1@x', 'Other Name') ON CONFLICT (id) DO UPDATE SET full_name = excluded.full_name",
        // From PostgreSQL 15 on.
        "DO $do$ BEGIN IF current_setting('server_version_num')::int >= 150000 THEN EXECUTE
             'MERGE INTO fresh.orders AS t USING (VALUES (7), (99)) AS v (n) ON t.number = v.n
                  WHEN MATCHED THEN UPDATE SET cents = 1 WHEN NOT MATCHED THEN INSERT (number, customer) VALUES (v.n, 3)';
         END IF; END $do$",
        "COPY app.orders (number, \"user\") FROM PROGRAM 'printf \"500\\t5\\n501\\t6\\n\"'",
        r#"UPDATE app."we""ird 'x'" SET "The ""Key""" = "The ""Key""" + 995 WHERE "The ""Key""" < 100"#,
        r#"UPDATE fresh."Odd ""Table""" SET "new" = 'x', "old" = NULL WHERE "K'ey" % 3 = 0"#,
        r#"DELETE FROM app.weird_2 WHERE "The ""Key""" % 100 = 0"#,
    ] {
        scene.run(write).await;
        scene.assert_equal().await;
    }
    assert_eq!(
        scene.run("SELECT full_name || bio FROM app.users WHERE email = 'c@x'").await,
        "Cy Olderof c@x"
    );
    assert_eq!(
        scene.run("SELECT first_name || last_name FROM fresh.users WHERE email = 'new@x'").await,
        "GraceBrewster Hopper"
    );
}

/// B-4: a session's own setting turns nothing off, and what a trigger of the application writes in turn is carried too.
#[tokio::test(flavor = "multi_thread")]
async fn no_session_turns_it_off() {
    let scene = Scene::with(
        "CREATE FUNCTION fresh.count_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE fresh.users SET rank = rank + 1 WHERE id = NEW.customer; RETURN NULL; END $$;
         CREATE TRIGGER count_up AFTER INSERT ON fresh.orders FOR EACH ROW EXECUTE FUNCTION fresh.count_up();
         CREATE FUNCTION app.again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE app.users SET rank = 42 WHERE id = NEW.id; RETURN NULL; END $$;
         CREATE TRIGGER again AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.again();",
        crate::immediate::scene::MAPPING,
    )
    .await;
    scene.open().await.unwrap();
    let id = scene.run("SELECT id FROM confiture.follow").await;
    for mark in [format!("{id}/0"), format!("{id}/1"), id.clone(), "true".into()] {
        scene
            .run(&format!(
                "SET confiture.applier = '{mark}'; SET app.syncing = 'true'; SET session_replication_role = replica;
                 UPDATE app.users SET full_name = full_name || ' {mark}' WHERE id = 3;
                 UPDATE fresh.users SET email = 'm' || length('{mark}') || email WHERE id = 4"
            ))
            .await;
        scene.assert_equal().await;
    }
    // From the old side into the new one, whose trigger writes to another table, which comes back.
    let before: i32 = scene.run("SELECT rank FROM app.users WHERE id = 2").await.parse().unwrap();
    scene.run("INSERT INTO app.orders (number, \"user\") VALUES (77, 2)").await;
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT rank FROM app.users WHERE id = 2").await, (before + 1).to_string());
    scene.run("BEGIN; INSERT INTO app.users (email, full_name) VALUES ('t@x', 'T T'); UPDATE fresh.users SET first_name = 'U' WHERE email = 't@x'; COMMIT").await;
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT rank || full_name FROM app.users WHERE email = 't@x'").await, "42U T");
}

/// B-5: rows that are made on both sides never get one number.
#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_given_twice() {
    let scene = Scene::opened().await;
    for number in 0..20 {
        scene
            .run(&format!(
            "INSERT INTO app.users (email, full_name) VALUES ('o{number}@x', 'Old {number}');
             INSERT INTO fresh.users (email, first_name, last_name) VALUES ('n{number}@x', 'New', '{number}')"
        ))
            .await;
    }
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT count(*) FROM fresh.users WHERE email ~ '^[on][0-9]+@x$'").await, "40");
    // A key that somebody chooses and that is there is refused, and overwrites nobody.
    assert_eq!(
        scene
            .refused("INSERT INTO fresh.users (id, email, first_name, last_name) VALUES (5, 'v@x', 'V', 'V')")
            .await,
        "23505"
    );
    scene.stop().await;
    let increments =
        "SELECT string_agg(increment_by::text, ',') FROM pg_sequences WHERE schemaname IN ('app', 'fresh')";
    assert_eq!(scene.run(increments).await, "1,1,1,1");
    let most = scene.run("SELECT max(id) FROM app.users").await;
    scene.run("INSERT INTO app.users (email, full_name) VALUES ('after@x', 'After All')").await;
    let next = scene.run("SELECT id FROM app.users WHERE email = 'after@x'").await;
    assert!(next.parse::<i64>().unwrap() > most.parse::<i64>().unwrap(), "{next} {most}");
}

/// B-6: keys that change, TRUNCATE, values that do not come back letter by letter, columns that one side alone has.
#[tokio::test(flavor = "multi_thread")]
async fn keys_truncate_and_what_is_not_mapped() {
    let scene = Scene::opened().await;
    scene.run("UPDATE fresh.users SET avatar = 'cat' WHERE id = 300; UPDATE fresh.bios SET likes = 5 WHERE user_id = 300").await;
    scene.run("UPDATE app.users SET id = 3000 WHERE id = 300").await;
    scene.assert_equal().await;
    let there = "SELECT avatar || likes FROM fresh.users JOIN fresh.bios ON user_id = id WHERE id =";
    assert_eq!(scene.run(&format!("{there} 3000")).await, "cat5");
    scene.run("UPDATE fresh.users SET id = 300 WHERE id = 3000").await;
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT secret FROM app.users WHERE id = 300").await, "secret 300");
    scene.run("UPDATE app.users SET id = id + 100000").await;
    scene.assert_equal().await;
    assert_eq!(scene.run(&format!("{there} 100300")).await, "cat5");
    // Two exchange a unique value, by way of a third.
    scene.run("BEGIN; UPDATE app.users SET email = 'third' WHERE id = 100001; UPDATE app.users SET email = 'u1@x' WHERE id = 100002;
        UPDATE app.users SET email = 'u2@x' WHERE id = 100001; COMMIT").await;
    scene.assert_equal().await;
    // What the way back would write otherwise is left alone while nobody touches it.
    scene.run("UPDATE app.users SET full_name = 'Eve   van  Der' WHERE id = 100003").await;
    scene.run("UPDATE fresh.users SET first_name = 'x ' || first_name WHERE id = 100004").await;
    scene.run("UPDATE fresh.bios SET bio = 'other' WHERE user_id = 100003; UPDATE fresh.users SET rank = 8 WHERE id = 100003;
        UPDATE app.users SET rank = 8 WHERE id = 100004").await;
    assert_eq!(
        scene.run("SELECT full_name || rank || bio FROM app.users WHERE id = 100003").await,
        "Eve   van  Der8other"
    );
    assert_eq!(scene.run("SELECT first_name || rank FROM fresh.users WHERE id = 100004").await, "x First48");
    scene.run("DELETE FROM app.users WHERE id = 100004").await;
    scene.assert_equal().await;
    scene.run(r#"TRUNCATE app.weird_1"#).await;
    scene.assert_equal().await;
    assert_eq!(scene.run(r#"SELECT min("K'ey") FROM fresh."Odd ""Table""""#).await, "1000");
    scene.run("TRUNCATE fresh.bios").await;
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT count(bio) FROM app.users").await, "0");
    scene.run("TRUNCATE fresh.orders").await;
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT count(*) FROM app.orders").await, "0");
    scene
        .run("INSERT INTO fresh.orders (number, customer) SELECT i, 100001 FROM generate_series(1, 5) i")
        .await;
    scene.run("TRUNCATE app.users CASCADE").await;
    scene.assert_equal().await;
    assert_eq!(
        scene
            .run("SELECT (SELECT count(*) FROM fresh.users) || ' ' || (SELECT count(*) FROM fresh.orders)")
            .await,
        "0 0"
    );
    assert_eq!(scene.run("SELECT note FROM app.bystander").await, "");
}

/// Two rows that exchange a unique value in one statement: where PostgreSQL may wait with its check, on both sides.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_exchanged_in_one_statement() {
    let scene = Scene::with(
        "ALTER TABLE app.users DROP CONSTRAINT users_email_key, ADD UNIQUE (email) DEFERRABLE;
         ALTER TABLE fresh.users DROP CONSTRAINT users_email_key, ADD UNIQUE (email) DEFERRABLE;",
        crate::immediate::scene::MAPPING,
    )
    .await;
    scene.open().await.unwrap();
    let exchange =
        "UPDATE app.users SET email = CASE id WHEN 1 THEN 'u2@x' ELSE 'u1@x' END WHERE id IN (1, 2)";
    assert_eq!(scene.refused(exchange).await, "23505");
    scene.assert_equal().await;
    scene.run(&format!("BEGIN; SET CONSTRAINTS ALL DEFERRED; {exchange}; COMMIT")).await;
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT email FROM fresh.users WHERE id = 1").await, "u2@x");
}

/// A row that the mapping would leave out has no place on the other side.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_mapping_leaves_out_is_refused() {
    let scene = Scene::with(
        "ALTER TABLE app.users ADD gone boolean NOT NULL DEFAULT false; ALTER TABLE fresh.users ADD gone boolean NOT NULL DEFAULT false;
         UPDATE app.users SET gone = true WHERE id = 10; DELETE FROM app.orders WHERE \"user\" IN (10, 12);",
        &crate::immediate::scene::MAPPING
            .replace("from: app.users u\n    columns:", "from: app.users u\n    where: not u.gone\n    columns:")
            .replace("where: u.bio is not null", "where: not u.gone and u.bio is not null"),
    )
    .await;
    scene.open().await.unwrap();
    // Somebody's row that was left out is not overwritten, nor deleted.
    assert_eq!(
        scene
            .refused(
                "INSERT INTO fresh.users (id, email, first_name, last_name) VALUES (10, 'v@x', 'V', 'V')"
            )
            .await,
        "23505"
    );
    assert_eq!(scene.refused("UPDATE fresh.users SET gone = true WHERE id = 11").await, "23514");
    // Where it leaves, the new side's foreign key would take rows along that the old side keeps.
    let orders = scene.run("SELECT count(*) FROM app.orders").await;
    assert_eq!(scene.refused("UPDATE app.users SET gone = true WHERE id = 13").await, "23503");
    assert_eq!(scene.run("SELECT count(*) FROM app.orders").await, orders);
    scene
        .run(
            "UPDATE app.users SET gone = true WHERE id = 12; UPDATE app.users SET gone = false WHERE id = 10",
        )
        .await;
    let there = "SELECT count(*) FROM fresh.users WHERE id IN (10, 12)";
    assert_eq!(scene.run(there).await, "1");
    scene.run("UPDATE app.users SET rank = 5 WHERE id = 12; TRUNCATE fresh.users CASCADE").await;
    assert_eq!(scene.run("SELECT string_agg(id::text, ',') FROM app.users").await, "12");
}

/// The application's roles need no right on the other schema, and nothing of theirs is called with ours.
#[tokio::test(flavor = "multi_thread")]
async fn roles_without_rights_and_with_a_path_of_their_own() {
    let scene = Scene::opened().await;
    let role = format!("clerk_{}", scene.world.old.name());
    scene
        .run(&format!(
            "CREATE ROLE {role}; GRANT USAGE ON SCHEMA app TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA app TO {role};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA app TO {role}; CREATE SCHEMA evil AUTHORIZATION {role};
             CREATE TABLE public.stolen (by text); GRANT INSERT ON public.stolen TO PUBLIC; GRANT CREATE ON SCHEMA public TO {role};
             SET ROLE {role};
             CREATE FUNCTION evil.split_part(text, text, int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO public.stolen VALUES (current_user); RETURN 'evil'; END $$;
             CREATE FUNCTION public.split_part(text, text, bigint) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
             CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO public.stolen VALUES (current_user); RETURN ''; END $$;
             CREATE FUNCTION evil.same(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO public.stolen VALUES (current_user); RETURN true; END $$;
             CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = bigint, RIGHTARG = bigint);
             CREATE TEMPORARY TABLE users (id bigint);"
        ))
        .await;
    scene
        .run(&format!(
            "SET ROLE {role}; SET search_path = evil, pg_catalog, app; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German';
             UPDATE app.users SET full_name = 'Ho Nest' WHERE id OPERATOR(pg_catalog.=) 5;
             INSERT INTO app.users (email, full_name, bio) VALUES ('role@x', 'Ro Le', 'b'); DELETE FROM app.users WHERE email OPERATOR(pg_catalog.=) 'u6@x'"
        ))
        .await;
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT count(*) FROM public.stolen").await, "0");
    let session = format!("SET ROLE {role}; SELECT 1 FROM fresh.users");
    assert_eq!(scene.refused(&session).await, "42501");
    assert_eq!(scene.refused(&format!("SET ROLE {role}; SELECT confiture.immediate_1()")).await, "42501");
    scene.run(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
}
