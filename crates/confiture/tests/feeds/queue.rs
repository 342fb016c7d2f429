//! The queue feed.

mod capture;
mod source;
