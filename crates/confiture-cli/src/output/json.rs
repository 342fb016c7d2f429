//! The one JSON object on stdout.

use std::sync::atomic::{AtomicBool, Ordering};

use confiture::{Error, Place};
use serde_json::{Value, json};

/// `{"ok": true, "command", "result"}` or `{"ok": false, "command", "error"}`; a check that found something has both.
pub(super) fn object(command: &str, result: Option<Value>, error: Option<&Error>) -> Value {
    let mut object = json!({ "ok": error.is_none(), "command": command });
    if let Some(result) = result {
        object["result"] = result;
    }
    if let Some(error) = error {
        object["error"] = error_object(error);
    }
    object
}

/// `code` is stable; `message` and `hints` are for people.
fn error_object(error: &Error) -> Value {
    json!({
        "code": error.kind().code(),
        "message": error.message(),
        "detail": error.server_detail(),
        "hints": error.hints(),
        "place": error.place().map(place),
        "sqlstate": error.sqlstate_code(),
    })
}

fn place(place: &Place) -> Value {
    json!({ "file": place.file, "line": place.line, "column": place.column })
}

/// Prints the object, and never a second one: a fault on another thread may come before the command's own answer.
pub(super) fn print(object: &Value) {
    static PRINTED: AtomicBool = AtomicBool::new(false);
    if !PRINTED.swap(true, Ordering::Relaxed) {
        super::print(&format!("{object:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_its_code_place_and_hints() {
        let place = Place { file: "db/schema/users.sql".into(), line: 3, column: 7 };
        let error =
            Error::config("there is no type citext").at(place).hint("create the extension").sqlstate("42704");
        insta::assert_snapshot!(object("build", None, Some(&error)), @r#"{"ok":false,"command":"build","error":{"code":"configuration","message":"there is no type citext","detail":null,"hints":["create the extension"],"place":{"file":"db/schema/users.sql","line":3,"column":7},"sqlstate":"42704"}}"#);
    }

    #[test]
    fn a_check_that_found_something_has_result_and_error() {
        let error = Error::new(confiture::ErrorKind::Found, "2 tables differ");
        let object = object("migrate schema-to-schema verify", Some(json!({ "tables": 2 })), Some(&error));
        assert_eq!(object["ok"], false);
        assert_eq!(object["result"]["tables"], 2);
        assert_eq!(object["error"]["code"], "check_failed");
    }
}
