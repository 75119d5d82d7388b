//! What a run is judged by, and how many runs are judged.
//!
//! A [`Scenario`] is a protocol in a world, with the question that it answers. A [`Catalogue`] holds scenarios of
//! all kinds side by side; each can be [prepared](Entry::prepare) with settings, [run](Runner::run) from a seed, and
//! [swept](sweep()) over many seeds in parallel. [`History`] is what clients saw; [`linearizability`] says whether one
//! copy of the data could have shown it to them.
//!
//! Deliberately absent: any protocol, and the command line. Threads are here, in [`mod@sweep`], and only there: a run
//! never sees one.

mod catalogue;
pub mod delivery;
pub mod explore;
pub mod flips;
mod history;
pub mod ledger;
pub mod likelihood;
pub mod linearizability;
pub mod matrix;
pub mod names;
mod panics;
pub mod picks;
mod reproduction;
mod run;
mod scenario;
mod schedule;
mod settings;
pub mod shrink;
pub mod sweep;
pub mod why_not;

pub use catalogue::{Catalogue, Entry, Prepared, UnknownScenario};
pub use explore::{Explore, ExploreReport, Placed, Placement, Places, Violated, explore};
pub use history::{Ended, History, Operation};
pub use ledger::{CallName, Ledger};
pub use reproduction::{
    DecisionText, Expectation, OtherwiseText, OverrideLine, OverrideText, Reproduction, ReproductionError,
    from_header, in_words, parse_overrides, resolve_overrides, tell, to_header,
};
pub use run::{Costs, Drive, Driven, Driver, Outcome, Runner};
pub use scenario::{Expected, Figure, Input, Judgement, Run, Scenario, Setup};
pub use settings::{SettingsError, parse_pairs};
pub use sweep::{Agreement, Found, Met, Sweep, SweepReport, sweep};
