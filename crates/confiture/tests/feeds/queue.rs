//! The queue feed.

mod capture;
mod rotation;
mod set_up;
mod shapes;
mod source;
