//! Database objects as data.
