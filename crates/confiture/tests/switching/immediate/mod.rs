//! Both schemas of one database written at once.

mod faults;
mod life;
mod scene;
