//! The command line of Snowglobe's own scenarios.

use std::process::ExitCode;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    snowglobe::cli::main(snowglobe::models::catalogue())
}
