//! What the page's buttons say.

use confiture::schema_to_schema::Order;
use serde::Deserialize;

/// `{"order": "pause"}`, `{"order": "resume"}`, `{"order": "throttle", "rows_per_second": 5000, "bytes_per_second": null}`.
#[derive(Debug, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
enum Said {
    Pause {},
    Resume {},
    Throttle { rows_per_second: Option<u64>, bytes_per_second: Option<u64> },
}

/// Reads an order; `None` where it is none.
pub(super) fn parse(body: &[u8]) -> Option<Order> {
    let positive = |figure: Option<u64>| figure.filter(|figure| *figure > 0);
    Some(match serde_json::from_slice(body).ok()? {
        Said::Pause {} => Order::Pause,
        Said::Resume {} => Order::Resume,
        Said::Throttle { rows_per_second, bytes_per_second } => Order::Throttle {
            rows_per_second: positive(rows_per_second),
            bytes_per_second: positive(bytes_per_second),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_nothing_else_is() {
        assert_eq!(parse(br#"{"order":"pause"}"#), Some(Order::Pause));
        assert_eq!(parse(br#"{"order":"resume"}"#), Some(Order::Resume));
        let throttled = Order::Throttle { rows_per_second: Some(5000), bytes_per_second: None };
        assert_eq!(parse(br#"{"order":"throttle","rows_per_second":5000}"#), Some(throttled));
        let free = Order::Throttle { rows_per_second: None, bytes_per_second: None };
        assert_eq!(parse(br#"{"order":"throttle","rows_per_second":0,"bytes_per_second":null}"#), Some(free));
        for wrong in [
            "",
            "pause",
            r#"{"order":"drop"}"#,
            r#"{"order":"pause","now":1}"#,
            r#"{"order":"throttle","rows_per_second":-1}"#,
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
