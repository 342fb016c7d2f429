//! A migration that follows: how far behind it is, how fast it catches up, and what it costs the source.

mod cost;
mod lag;
mod quiet;
mod rate;
pub(crate) mod scene;

pub(super) use cost::measure as measure_cost;
pub(super) use lag::measure as measure_lag;
pub(super) use quiet::measure as measure_quiet;
pub(super) use rate::measure as measure_rate;
