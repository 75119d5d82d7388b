//! The command line of Snowglobe's own scenarios.

use std::process::ExitCode;

fn main() -> ExitCode {
    snowglobe::cli::main(snowglobe::models::catalogue())
}
