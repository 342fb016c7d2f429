//! To whom things belong: files do not say it, and whoever looks gets the same answer.

use confiture::config::Connection;
use confiture::postgres::Session;
use confiture::schema_diff::{self, DiffOptions, Difference, Source};
use confiture::sql::{Identifier, Script, Sql, split, sql};
use local_postgres::Server;
use local_postgres::testing::{self, Database, shared_server};

use crate::oracle::connection;

const FILES: &str = "CREATE SCHEMA app;
    CREATE TABLE app.users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
    CREATE SEQUENCE app.numbers;
    CREATE TYPE app.mood AS ENUM ('good');
    CREATE VIEW app.names AS SELECT name FROM app.users;
    CREATE FUNCTION app.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
    ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;";

/// Databases made of [`FILES`], and roles that look at them.
struct Ground {
    database: Database<'static>,
    owner: String,
    reader: String,
}

impl Ground {
    /// Made by a role of its own, or by the superuser, whose name is that of the scratch server's.
    async fn new(by_superuser: bool) -> Self {
        let database = Database::create().await.unwrap();
        let server = shared_server().await;
        let (owner, reader) = (format!("{}_owner", database.name()), format!("{}_reader", database.name()));
        let ground =
            Self { owner: if by_superuser { server.user().to_owned() } else { owner }, reader, database };
        if !by_superuser {
            ground.run(&format!("CREATE ROLE {} LOGIN", ground.owner)).await;
        }
        ground.run(&format!("CREATE ROLE {} LOGIN", ground.reader)).await;
        ground.run(&format!("GRANT CREATE ON DATABASE {} TO {}", ground.database.name(), ground.owner)).await;
        ground.run(&format!("SET ROLE {}; {FILES}", ground.owner)).await;
        ground
    }

    async fn run(&self, sql: &str) {
        let session =
            Session::connect(&connection(shared_server().await, self.database.name())).await.unwrap();
        session.batch(&Sql::from_user(sql)).await.unwrap();
    }

    async fn as_role(&self, role: &str) -> Source {
        let connection = connection(shared_server().await, self.database.name());
        Source::Live(Box::new(Connection { user: role.to_owned(), own_server: false, ..connection }))
    }

    /// Everybody who looks: the owner, one that may only read, a superuser.
    async fn lookers(&self) -> [Source; 3] {
        let superuser = shared_server().await.user();
        [self.as_role(&self.owner).await, self.as_role(&self.reader).await, self.as_role(superuser).await]
    }
}

fn files(text: &str) -> Source {
    Source::Scripts(vec![split(Script::new("schema.sql", text)).unwrap()])
}

async fn differ(old: &Source, new: &Source) -> Difference {
    let scratch = connection(shared_server().await, "postgres");
    match schema_diff::diff(&scratch, old, new, &DiffOptions::default()).await {
        Ok(difference) => difference,
        Err(error) => panic!("{error}\n{}", error.hints().join("\n")),
    }
}

/// The statements up.
fn up(difference: &Difference) -> Vec<String> {
    let statements = difference.up.steps.iter().flat_map(|step| &step.statements);
    statements.map(|sql| sql.as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_looks_sees_no_owner_that_files_do_not_say() {
    for by_superuser in [false, true] {
        let ground = Ground::new(by_superuser).await;
        for live in ground.lookers().await {
            assert_eq!(up(&differ(&live, &files(FILES)).await), [""; 0]);
            assert_eq!(up(&differ(&files(FILES), &live).await), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_belongs_to_others_stays_theirs() {
    let ground = Ground::new(false).await;
    let changed =
        FILES.replace("SELECT name FROM", "SELECT 1 AS one, name FROM") + "CREATE TABLE app.more ();";
    for other in [ground.reader.as_str(), shared_server().await.user()] {
        ground
            .run(&format!("ALTER VIEW app.names OWNER TO {other}; ALTER TYPE app.mood OWNER TO {other}"))
            .await;
        for live in ground.lookers().await {
            assert_eq!(up(&differ(&live, &files(FILES)).await), [""; 0]);
        }
    }
    ground.run(&format!("ALTER VIEW app.names OWNER TO {}", ground.reader)).await;
    for live in ground.lookers().await {
        // A view that is made anew belongs to whom it belonged; a new table to whoever makes it.
        let statements = up(&differ(&live, &files(&changed)).await);
        let owned: Vec<_> = statements.iter().filter(|sql| sql.contains(" OWNER TO ")).collect();
        assert_eq!(owned, [&format!("ALTER VIEW app.names OWNER TO {}", ground.reader)], "{statements:#?}");
    }
}

/// As in databases that were made before PostgreSQL 15.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whom_the_schema_public_belongs_to_is_not_said_by_files() {
    let ground = Ground::new(false).await;
    for owner in [&ground.owner, &ground.reader] {
        ground.run(&format!("ALTER SCHEMA public OWNER TO {owner}")).await;
        for live in ground.lookers().await {
            assert_eq!(up(&differ(&live, &files(FILES)).await), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_files_grant_to_the_owner_is_no_difference() {
    let ground = Ground::new(false).await;
    let granted = format!("{FILES} GRANT SELECT, INSERT ON app.users TO {};", ground.owner);
    let given = format!("{FILES} ALTER TABLE app.users OWNER TO {};", ground.owner);
    let other = format!("{FILES} ALTER TABLE app.users OWNER TO {};", ground.reader);
    for live in ground.lookers().await {
        assert_eq!(up(&differ(&live, &files(&granted)).await), [""; 0]);
        assert_eq!(up(&differ(&live, &files(&given)).await), [""; 0]);
        let statements = up(&differ(&live, &files(&other)).await);
        assert_eq!(statements, [format!("ALTER TABLE app.users OWNER TO {}", ground.reader)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_databases_are_compared_with_their_owners() {
    let (one, other) = (Ground::new(false).await, Ground::new(true).await);
    for live in one.lookers().await {
        for again in one.lookers().await {
            assert_eq!(up(&differ(&live, &again).await), [""; 0]);
        }
        let statements = up(&differ(&live, &other.as_role(&other.reader).await).await);
        assert!(
            statements.contains(&format!("ALTER TABLE app.users OWNER TO {}", other.owner)),
            "{statements:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_that_say_an_owner_no_more_name_nobody() {
    let ground = Ground::new(false).await;
    let said = format!("{FILES} ALTER TABLE app.users OWNER TO {};", ground.owner);
    let difference = differ(&files(&said), &files(FILES)).await;
    assert_eq!(up(&difference), ["ALTER TABLE app.users OWNER TO CURRENT_USER"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscriptions_are_told_and_leave_nothing() {
    let ground = Ground::new(false).await;
    let name = ground.database.name();
    let create = format!(
        "CREATE SUBSCRIPTION {name} CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)"
    );
    ground.run(&create).await;
    let live = ground.as_role(&ground.reader).await;
    let found = differ(&live, &files(FILES)).await;
    assert_eq!(found.uncovered, ["1 subscription of the old schema is not compared"]);
    let found =
        differ(&live, &files(&format!("{FILES} {create}; COMMENT ON SUBSCRIPTION {name} IS 'x';"))).await;
    assert_eq!((found.uncovered.len(), found.up.steps.len()), (2, 0), "{found:?}");
    ground.run(&format!("DROP SUBSCRIPTION {name}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn roles_that_files_make_go_with_the_scratch_databases() {
    let server = shared_server().await;
    let theirs = Connection { own_server: false, ..connection(server, "postgres") };
    let role = format!("{}_made", Database::create().await.unwrap().name());
    let old = files(&format!("CREATE ROLE {role}; CREATE TABLE t (i int); GRANT SELECT ON t TO {role};"));
    let new = files(&format!("CREATE ROLE {role}; CREATE TABLE t (i int);"));
    let session = Session::connect(&theirs).await.unwrap();
    let there = Sql::literal("SELECT count(*) FROM pg_roles WHERE rolname = $1::text");
    for own_server in [false, false, true, true] {
        let theirs = Connection { own_server, ..theirs.clone() };
        let found = schema_diff::diff(&theirs, &old, &new, &DiffOptions::default()).await.unwrap();
        assert_eq!(up(&found), [format!("REVOKE SELECT ON TABLE public.t FROM {role}")]);
        assert_eq!(session.query_one(&there, &[&role]).await.unwrap().get::<_, i64>(0), 0);
    }
    let missing = files("CREATE TABLE t (i int); GRANT SELECT ON t TO nobody_has_made_me;");
    let error = schema_diff::diff(&theirs, &missing, &new, &DiffOptions::default()).await.unwrap_err();
    assert!(error.hints().iter().any(|hint| hint.contains("roles belong to the whole server")), "{error:?}");
}

/// A policy may be all that names a role.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn roles_of_policies_are_made_with_the_scratch_databases() {
    let theirs = Server::throwaway(testing::options()).await.unwrap();
    let live = connection(&theirs, "postgres");
    let session = Session::connect(&live).await.unwrap();
    let policies = "CREATE ROLE \"of a policy\"; CREATE TABLE t (a int); CREATE POLICY p ON t TO \"of a policy\", PUBLIC;
        CREATE POLICY q ON t TO \"of a policy\";";
    session.batch(&Sql::literal(policies)).await.unwrap();
    let scratch = connection(shared_server().await, "postgres");
    let (live, files) = (Source::Live(Box::new(live)), files("CREATE TABLE t (a int);"));
    let found = schema_diff::diff(&scratch, &live, &files, &DiffOptions::default()).await.unwrap();
    assert_eq!(up(&found), ["DROP POLICY q ON public.t", "DROP POLICY p ON public.t"]);
    theirs.stop().await.unwrap();
}

/// On a server of somebody else's, a question leaves roles and databases as they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn roles_and_databases_of_others_stay_as_they_are() {
    let server = shared_server().await;
    let theirs = Connection { own_server: false, ..connection(server, "postgres") };
    let database = Database::create_on(server).await.unwrap();
    let named = |end: &str| Identifier::new(format!("{} Ü{end}", database.name()));
    let [a, b, ours] = ["a", "b", "ours"].map(named);
    let database = Identifier::new(database.name());
    let session = Session::connect(&theirs).await.unwrap();
    session.batch(&sql!("CREATE ROLE {}; CREATE ROLE {}", a, b)).await.unwrap();
    let all = "SELECT ROW((SELECT pg_catalog.array_agg(r ORDER BY rolname) FROM pg_catalog.pg_authid r WHERE rolname LIKE $1::text || ' Ü%'),
        (SELECT pg_catalog.array_agg(m::text ORDER BY m::text) FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles ON oid = member WHERE rolname LIKE $1::text || ' Ü%'),
        (SELECT pg_catalog.array_agg(s::text ORDER BY s::text) FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = setrole WHERE rolname LIKE $1::text || ' Ü%'),
        (SELECT ROW(datacl, datdba, pg_catalog.shobj_description(oid, 'pg_database'), setconfig) FROM pg_catalog.pg_database LEFT JOIN pg_catalog.pg_db_role_setting ON setdatabase = oid WHERE datname = $1::text))::text";
    let read = async || {
        let row = session.query_one(&Sql::literal(all), &[&database.as_str()]).await.unwrap();
        row.get::<_, String>(0)
    };
    let before = read().await;
    let new = format!(
        "CREATE ROLE {ours}; ALTER ROLE {ours} SET search_path = 'pg_catalog';
        CREATE TABLE t (i int); ALTER TABLE t OWNER TO {a}; GRANT SELECT ON t TO {b};
        GRANT {a} TO {b} WITH ADMIN OPTION; GRANT {a} TO {ours}; ALTER ROLE {a} SUPERUSER; ALTER USER {b} SET work_mem = '1MB'; DROP ROLE IF EXISTS {b};
        COMMENT ON ROLE {a} IS 'x'; ALTER DATABASE {database} SET work_mem = '1MB'; ALTER DATABASE {database} OWNER TO {a};
        GRANT CREATE ON DATABASE {database} TO {a}; COMMENT ON DATABASE {database} IS 'x'; ALTER DATABASE is_not_here SET work_mem = '1MB'"
    );
    let found = schema_diff::diff(&theirs, &files(""), &files(&new), &DiffOptions::default()).await.unwrap();
    assert_eq!(up(&found).last().unwrap(), &format!("GRANT SELECT ON TABLE public.t TO {b}"));
    assert_eq!(found.uncovered, ["5 statements on a database of the new schema are not compared"]);
    assert_eq!(read().await, before);
    session.batch(&sql!("DROP ROLE {}; DROP ROLE {}", a, b)).await.unwrap();
}

/// Both sides are built at the same time, and each looks whether the role is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_of_both_sides_make_a_role_where_it_is_not_there() {
    let server = shared_server().await;
    let role = format!("{}_once", Database::create().await.unwrap().name());
    let make = format!(
        "DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                PERFORM pg_sleep(0.05);
                CREATE ROLE {role};
            END IF;
        END $$;
        ALTER ROLE {role} SET search_path = 'pg_catalog'; CREATE TABLE t (i int);"
    );
    let (old, new) = (files(&make), files(&format!("{make} GRANT SELECT ON t TO {role};")));
    for own_server in [false, true] {
        let connection = Connection { own_server, ..connection(server, "postgres") };
        let found = schema_diff::diff(&connection, &old, &new, &DiffOptions::default()).await.unwrap();
        assert_eq!(up(&found), [format!("GRANT SELECT ON TABLE public.t TO {role}")]);
    }
}

/// More than are made one by one.
#[tokio::test(flavor = "multi_thread")]
async fn many_roles_that_files_name_and_nobody_makes() {
    let database = Database::create().await.unwrap();
    let roles: Vec<String> = (0..120).map(|number| format!("{}_{number}", database.name())).collect();
    let grants: Vec<String> = roles.iter().map(|role| format!("GRANT SELECT ON t TO {role};")).collect();
    let set = format!(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET role TO {0}_set AS 'SELECT 1';
        CREATE FUNCTION g() RETURNS int LANGUAGE sql SET session_authorization TO {0}_session AS 'SELECT 1';",
        database.name()
    );
    let files = files(&format!("CREATE TABLE t (a int); {set} {}", grants.join("\n")));
    let connection = Connection { own_server: true, ..connection(shared_server().await, "postgres") };
    let (nothing, options) = (Source::Scripts(Vec::new()), DiffOptions::default());
    let found = schema_diff::diff(&connection, &nothing, &files, &options).await;
    let session = Session::connect(&connection).await.unwrap();
    let more = ["set", "session"].map(|end| format!("{}_{end}", database.name()));
    let all = [&roles[..], &more].concat().join(", ");
    session.batch(&Sql::from_user(format!("DROP ROLE IF EXISTS {all}"))).await.unwrap();
    let granted = found.unwrap().up.statements().filter(|sql| sql.as_str().starts_with("GRANT ")).count();
    assert_eq!(granted, roles.len());
}
