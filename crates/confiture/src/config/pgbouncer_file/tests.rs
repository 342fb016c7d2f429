use super::*;

fn pieces(text: &str, section: &mut String) -> Result<Vec<Piece>> {
    let mut pieces = Pieces::new(text, "p.ini".as_ref(), "app");
    let mut all = Vec::new();
    while let Some(piece) = pieces.next(section)? {
        all.push(piece);
    }
    Ok(all)
}

fn entries(text: &str) -> Result<Vec<EntryLine>> {
    let entry = |piece| if let Piece::Entry(entry) = piece { Some(entry) } else { None };
    Ok(pieces(text, &mut String::new())?.into_iter().filter_map(entry).collect())
}

fn entry(text: &str) -> EntryLine {
    entries(text).unwrap().pop().unwrap()
}

fn led(line: &str, to: &Destination) -> String {
    let text = format!("[databases]\n{line}\n");
    let led = entry(&text).lead(&text, to).unwrap();
    led.strip_prefix("[databases]\n").unwrap().strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn an_entry_is_found_as_pgbouncer_finds_it() {
    let text = "; app = host=no\n[pgbouncer]\napp = 7\nauth_query = SELECT a, b FROM c($1)\n  [databases]\n# app = host=no\napps = host=no\n\
                \"a\"\"pp\" = host=no\n\tapp  =\thost = old port= 6543 dbname='it''s it' pool_size=4 \r\n[users]\napp = pool_mode=session\n";
    let found = entries(text).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].place.to_string(), "p.ini:9:2");
    assert_eq!(found[0].destination().unwrap(), Destination::new("old", 6543, "it's it"));
    assert_eq!(entry("[databases] \"app\" = dbname=x dbname=y").destination().unwrap().dbname.unwrap(), "y");
    assert_eq!(entry("[databases]\napp =\n").destination().unwrap(), Destination::default());
}

#[test]
fn what_pgbouncer_would_not_load_is_refused_at_its_place() {
    for (text, place, message) in [
        ("[databases\n", "p.ini:1:1", "the name of a section ends with `]`"),
        ("[databases]\nap p = host=x\n", "p.ini:2:1", "there is neither a section"),
        ("[databases]\n\"app = host=x\n", "p.ini:2:1", "a name in double quotes ends"),
        ("[databases]\napp = host=x ; here\n", "p.ini:2:14", "an entry is made of `key=value`"),
        ("[databases]\napp = host=\n", "p.ini:2:7", "an entry is made of `key=value`"),
        ("[databases]\napp = host='x\n", "p.ini:2:12", "a value in single quotes ends on its line"),
        ("[databases]\napp = host='x'port=5\n", "p.ini:2:12", "a value in single quotes ends with its quote"),
    ] {
        let error = entries(text).unwrap_err();
        assert_eq!(error.place().unwrap().to_string(), place, "{text}");
        assert!(error.message().starts_with(message), "{error}");
    }
    let error = entry("[databases]\napp = port=many\n").destination().unwrap_err();
    assert_eq!(error.place().unwrap().to_string(), "p.ini:2:1");
}

#[test]
fn an_entry_is_led_elsewhere_and_all_else_stays() {
    let to = Destination::new("/run/new server", 5433, "shop");
    for (old, new) in [
        (
            "app = host='old' port=1 dbname=x pool_size=5",
            "app = host='/run/new server' port=5433 dbname=shop pool_size=5",
        ),
        (
            "app = user=u  dbname = 'x'   port='1' host='a' ",
            "app = user=u  dbname = 'shop'   port='5433' host='/run/new server' ",
        ),
        ("app =", "app = host='/run/new server' port=5433 dbname=shop"),
        ("app = password='a b'\r", "app = password='a b' host='/run/new server' port=5433 dbname=shop\r"),
    ] {
        assert_eq!(led(old, &to), new);
        // Twice is once.
        assert_eq!(led(new, &to), new);
        // And back.
        let text = format!("[databases]\n{old}\n");
        assert_eq!(led(new, &entry(&text).destination().unwrap()).trim_end(), old.trim_end());
    }
    assert_eq!(led("app = host=a", &Destination::new("b c", 1, "d")), "app = host='b c' port=1 dbname=d");
    assert_eq!(led("app = host=a pool_size=3", &Destination::default()), "app =  pool_size=3");
}

#[test]
fn what_a_file_cannot_hold_is_refused() {
    let text = "[databases]\napp = host=a\n";
    for host in ["", "a\nb = c"] {
        assert!(entry(text).lead(text, &Destination::new(host, 1, "x")).is_err());
    }
}

#[test]
fn an_include_goes_on_in_the_section() {
    assert!(entries("[databases]\n%includes = 1").is_err());
    let mut section = String::new();
    let found = pieces("[databases]\n%include /etc/x y.ini \n", &mut section).unwrap();
    let place = Place { file: "p.ini".into(), line: 2, column: 1 };
    assert_eq!(found, [Piece::Include { path: "/etc/x y.ini".into(), place }]);
    assert_eq!(section, "databases");
    assert_eq!(pieces("app = host=x\n", &mut section).unwrap().len(), 1);
}
