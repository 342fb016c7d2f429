//! What a cutover is made of, and what judges it, against real servers and a real PgBouncer.

mod console;
mod ground;
mod hooks;
