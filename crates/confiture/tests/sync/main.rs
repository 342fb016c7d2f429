//! Production copied to staging with personal data masked, on a real server.

mod original;
mod proof;
mod shapes;
mod subset;
mod world;
