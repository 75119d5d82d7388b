//! Virtual time: whole nanoseconds since the world began.

/// A point in virtual time, or a span of it, in nanoseconds. A run may last 584 years.
pub type Nanos = u64;

/// One microsecond in [`Nanos`].
pub const MICROS: Nanos = 1_000;
/// One millisecond in [`Nanos`].
pub const MILLIS: Nanos = 1_000_000;
/// One second in [`Nanos`].
pub const SECONDS: Nanos = 1_000_000_000;
