//! Disk access, all of it.
