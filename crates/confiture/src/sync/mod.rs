//! Production copied to staging with personal data masked.

pub mod mask;
