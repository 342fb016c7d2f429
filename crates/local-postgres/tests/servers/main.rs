//! Real servers, watched from outside: by `psql`, by `ps`, and by what is left on the disk.

mod kept;
mod pgbouncer;
mod support;
mod throwaway;
mod witness;
