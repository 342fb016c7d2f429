//! Help, version, completions, manual page.

use std::process::Stdio;

use crate::support::Project;

#[test]
fn the_help_names_every_command_and_every_exit_status() {
    insta::assert_snapshot!(Project::new().call(&["--help"]), @"
    status 0
    --- stdout
    Builds PostgreSQL databases from DDL files, and moves live ones to a new schema with proof

    Usage: confiture [OPTIONS] <COMMAND>

    Commands:
      init         Makes a project's folders and a first schema; keeps every file that is there
      build        Builds an empty database, or one SQL file, or both, from the DDL files
      diff         Shows the SQL that turns one schema into another, and back; with --generate, writes
                   it as a migration
      drift        Compares a live database with the DDL files, or with another schema; exit status 7
                   where they differ
      migrate      Moves a database forward
      lint         Says what in migrations and schema files would block an application, break it, lose
                   data, or be regretted
      sync         Copies tables to another database with personal data masked: all or nothing, and only
                   what is classified
      server       Runs the local PostgreSQL server of this project, which other commands call
                   `embedded`
      demo         Shows the main job on two servers of its own: a shop of two million rows moves to a
                   new schema while people go on buying, is cut over and rolled back, with proof
      completions  Prints a shell's completion script
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Everywhere:
          --format <FORMAT>
              How the result is printed on stdout

              Possible values:
              - text:     For people
              - json:     One JSON object
              - sarif:    For `lint`: SARIF, as code scanning reads it
              - github:   For `lint`: annotations of a pull request on GitHub
              - markdown: For `runbook`: a page for a wiki or a change request

              [default: text]

      -q, --quiet
              No progress and no remarks on stderr; warnings and errors stay

      -v, --verbose
              A line with the time for everything that happens; errors say what is underneath

          --no-color
              No colours and no symbols, as with the variable NO_COLOR

      -C, --project <DIR>
              The project's folder: relative paths start there

    Exit status:
        0  done
        1  unexpected failure
        2  usage: the command was called wrongly
        3  no connection to a database
        4  the server refused a statement
        5  a configuration, mapping or DDL file is wrong
        6  another run holds the lock
        7  a check found something: the command worked, the answer is no
        8  refused as unsafe
        9  a hook failed, took too long, or could not be started
      130  interrupted
    --- stderr
    ");
}

#[test]
fn the_help_of_schema_to_schema_is_complete() {
    insta::assert_snapshot!(Project::new().call(&["migrate", "schema-to-schema", "--help"]), @"
    status 0
    --- stdout
    Moves a database to a new schema: plan, confirmation, copy and verification in one go, or one step
    at a time.

    The source is only read. Without a mapping, tables and columns of the same name map to each other,
    and the plan says so.

    Usage: confiture migrate schema-to-schema [OPTIONS]
           confiture migrate schema-to-schema <COMMAND>

    Commands:
      setup          Records the source in the target, without its password, and makes foreign tables
                     for what goes through FDW
      analyze        Shows how each table would travel, why, and how long it would take. Changes nothing
      migrate        Copies the tables, then compares both sides
      migrate-table  Copies one table whose mapping stands on the command line, then compares both sides
      sync           Copies what is not there and follows the source, change by change, while the
                     application keeps writing
      bidirectional  Has both sides take writes, and carries changes both ways
      cutover        Leads the application to the new side, while its writes wait for some milliseconds
      rollback       Leads the application back to the old side; before a cutover, gives the migration
                     up
      status         Says how far a migration is: phase, rows, lag, what waits, what the source keeps
                     for it, who is at work
      monitor        Shows a migration in a browser, until Ctrl-C: phases, tables, rates, lag,
                     comparisons, who waits for whom
      report         Writes the whole migration into one HTML file: plan, timeline, figures, proofs
      pause          Pauses a run that is at work: it neither copies nor applies, and changes go on
                     being captured
      resume         Lets a paused run go on
      throttle       Tells a run how fast it may be; without a figure, as fast as it can
      verify         Compares both sides, every row and value: counts, contents, foreign keys, and the
                     mapping's validations
      checklist      Looks at everything that has to be so before the cutover: lag, comparison, capture,
                     keys, writers, grants, the way back
      runbook        Prints the production checklist of this migration: its commands, its figures,
                     ticked where the servers show it
      cleanup        Takes away what was made beside the rows: foreign tables, foreign server, records,
                     and what captures changes on the source
      help           Print this message or the help of the given subcommand(s)

    Options:
          --from <DATABASE>
              The old database: an environment's name, an environment file, a PostgreSQL URL or DSN, or
              `embedded`.

              Without it, what `setup` recorded in the target.

              [alias: --source]

          --to <DATABASE>
              The new database, named likewise

              [alias: --target]

          --mapping <FILE>
              The mapping; without it the only db/migrations/schema_to_schema/*/config.yaml, or else the
              same names

      -c, --config <FILE>
              The mapping, as --mapping

          --tables <TABLES>
              Only these target tables, as `users,app.posts`

          --where <SQL>
              Only the source's rows for which this SQL condition is true, in every table that has the
              columns it names

      -h, --help
              Print help (see a summary with '-h')

    Strategy:
          --strategy <STRATEGY>
              How tables travel

              Possible values:
              - auto:   The best way for each table, with its reason
              - hybrid: FDW below the threshold where it is faster, COPY from there on
              - copy:   COPY through this program
              - fdw:    INSERT … SELECT on the target over foreign tables

          --auto-strategy
              As --strategy auto: the best way for each table, with its reason. The default

          --fdw-tables <TABLES>
              These tables by FDW, as `users,posts`

          --copy-tables <TABLES>
              These tables by COPY, as `events,page_views`

          --threshold <ROWS>
              From so many rows on a table is large [default: 10_000_000]

          --parallel <WORKERS>
              Workers in all, across and within tables

          --foreign-schema <SCHEMA>
              The schema of the foreign tables on the target [default: old_schema]

          --fetch-size <ROWS>
              Rows that one fetch over FDW brings

          --streaming
              Rows stream from server to server and never touch a disk in between; this is always so

    Run:
          --dry-run
              Show the plan and change nothing

          --no-verify
              Do not compare both sides after the copy

          --truncate
              Empty the target tables first

          --restart
              Forget an earlier run that did not finish, and begin anew

      -y, --yes
              Answer the confirmation with yes

          --events <FILE>
              Append what happens to this file, a line of JSON for each event

          --show-values
              Let reports show rows' values; without it they show columns' names, and of keys only
              numbers

    Changes meanwhile:
          --capture <FEED>
              Capture what the application changes while the tables are copied, and apply it [default:
              none, or auto with --follow]

              Possible values:
              - auto:  The WAL where server and role allow it, else the queue
              - wal:   Logical decoding: a publication and a slot. Costs the application least
              - queue: Triggers that write the keys of changed rows to a queue. Works for any owner of
                the tables
              - none:  Copy once, from one snapshot; what changes meanwhile is not in it

          --follow
              Go on applying changes after the copy, until Ctrl-C

          --verify
              Compare both sides. With a flag that asks for a copy, after it (which is the default);
              else it is all that is done

    Everywhere:
          --format <FORMAT>
              How the result is printed on stdout

              Possible values:
              - text:     For people
              - json:     One JSON object
              - sarif:    For `lint`: SARIF, as code scanning reads it
              - github:   For `lint`: annotations of a pull request on GitHub
              - markdown: For `runbook`: a page for a wiki or a change request

              [default: text]

      -q, --quiet
              No progress and no remarks on stderr; warnings and errors stay

      -v, --verbose
              A line with the time for everything that happens; errors say what is underneath

          --no-color
              No colours and no symbols, as with the variable NO_COLOR

      -C, --project <DIR>
              The project's folder: relative paths start there
    --- stderr
    ");
}

#[test]
fn the_version_is_the_crates() {
    assert_eq!(
        Project::new().call(&["--version"]).stdout,
        format!("confiture {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = Project::new().call(&["completions", shell]);
        assert_eq!((said.status, said.stderr.as_str()), (0, ""));
        assert!(said.stdout.contains("schema-to-schema"), "{shell}");
    }
    let json = Project::new().call(&["completions", "bash", "--format", "json"]).json();
    assert_eq!((&json["ok"], &json["command"]), (&true.into(), &"completions".into()));
    assert!(json["result"]["script"].as_str().expect("a script").contains("_confiture()"));
}

#[test]
fn the_manual_page_is_there_for_the_program_and_for_each_command() {
    let project = Project::new();
    assert!(project.call(&["man"]).stdout.contains(".TH confiture"));
    assert!(project.call(&["man", "migrate", "schema-to-schema"]).stdout.contains("auto\\-strategy"));
    let wrong = project.call(&["man", "fly"]);
    assert_eq!((wrong.status, wrong.stderr.lines().next()), (2, Some("error: there is no command fly")));
}

/// A reader that has seen enough is no failure: no message, no other exit status.
#[test]
fn a_closed_pipe_is_quiet() {
    let project = Project::new();
    let mut child = project
        .command(&["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
