//! The program `confiture`.

fn main() {}
