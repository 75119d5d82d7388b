//! The command line, as a library: give [`main()`] a catalogue, and its scenarios can be listed, run, swept over many
//! seeds, replayed and compared.
//!
//! Results go to standard output, prose and progress to standard error. The exit code is 0 if what was asked
//! about holds (or is the same), 1 if it does not, and 2 if the question makes no sense; see [`Exit`]. What is
//! written to standard output depends on the arguments alone: not on the number of threads, and not on the clock.
//!
//! One file a verb. Beside them: `options` turns words into values, `report` and `story` turn a run into words, `files`
//! reads and writes, `error` has every sentence with which a question is refused.
//!
//! Deliberately absent: anything that a library user could not do with [`crate::check`] and [`crate::traces`].

mod check_history;
mod compare;
mod diff;
mod error;
mod explain;
mod explore;
mod files;
mod likelihood;
mod list;
mod matrix;
mod options;
mod reason;
mod replay;
mod report;
mod run;
mod shrink;
mod steps;
mod story;
mod streams;
mod sweep;
mod why_not;
mod words;

use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use check::Catalogue;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use error::CliError;
pub(crate) use shrink::fault_lines;
pub use streams::{Exit, Streams};
pub(crate) use words::verb_command as run_command;

/// What all help ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  what was asked about holds, or is the same
  1  it is violated, or differs
  2  the question makes no sense: bad usage, or bad input

Results go to standard output, prose and progress to standard error. With --json, standard output is one JSON document.

Example:
  snowglobe sweep --all";

#[derive(Parser)]
#[command(name = "snowglobe", version, after_help = EXIT_CODES, max_term_width = 110)]
/// Runs distributed systems in a world that follows from a seed: find the seed that breaks one, replay it, compare it.
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the scenarios: what each shows, and what is expected of it
    List(list::List),
    /// Run a scenario from one seed, and judge it
    Run(run::Run),
    /// Run scenarios from many seeds, in parallel
    Sweep(sweep::Sweep),
    /// Run every interleaving of a small program
    Explore(explore::Explore),
    /// Measure every scheme of calls against every kind of fault
    Matrix(matrix::MatrixVerb),
    /// Run again what a reproduction or a trace says, and see whether it is the same
    Replay(replay::Replay),
    /// Compare two traces, or two seeds: where they part, and why
    Diff(diff::Diff),
    /// Say why a property was violated: the faults, the chain of causes, what happens without each; or tell the life of a call
    Explain(explain::Explain),
    /// When a violation became likely: throw all dice anew from a time on, many times
    Likelihood(likelihood::Likelihood),
    /// From a run that holds: the single decisions that would have violated something
    WhyNot(why_not::WhyNot),
    /// Find the few faults of a failing run that matter
    Shrink(shrink::Shrink),
    /// Judge a history from anywhere: whether it is linearizable
    CheckHistory(check_history::CheckHistory),
}

/// What a verb needs beside its own arguments.
struct Console<'s, 'o> {
    catalogue: &'s Catalogue,
    /// The name under which this program was called.
    program: String,
    streams: &'s mut Streams<'o>,
}

/// The whole program: reads the arguments of the process, does what they say, and gives the exit code.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     snowglobe::cli::main(snowglobe::check::Catalogue::new())
/// }
/// ```
#[expect(clippy::needless_pass_by_value, reason = "a `main` reads better without a borrow")]
pub fn main(catalogue: Catalogue) -> ExitCode {
    streams::survive_file_limit();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut err = io::stderr();
    let terminal = err.is_terminal();
    run(&catalogue, std::env::args_os(), &mut Streams::of_process(&mut out, &mut err, terminal)).into()
}

/// Does what `args` say, the first of which is the name of the program.
///
/// ```
/// use snowglobe::check::Catalogue;
/// use snowglobe::cli;
///
/// let (mut out, mut err) = (Vec::new(), Vec::new());
/// let args = ["snowglobe", "run", "rpc/x"];
/// let exit = cli::run(&Catalogue::new(), args, &mut cli::Streams::new(&mut out, &mut err));
/// assert_eq!(exit, cli::Exit::Unusable);
/// assert_eq!(String::from_utf8(err).unwrap(), "snowglobe: there is no scenario \"rpc/x\"; there are none\n");
/// ```
pub fn run<A>(catalogue: &Catalogue, args: impl IntoIterator<Item = A>, streams: &mut Streams<'_>) -> Exit
where
    A: Into<OsString>,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let program = program(&args);
    let result = command()
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(CliError::Arguments)
        .and_then(|cli| Console { catalogue, program: program.clone(), streams }.verb(&cli.verb));
    let flushed = streams.out.flush().map_err(CliError::from);
    match result.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(error) => refuse(&error, &program, streams),
    }
}

/// The command line. A number below zero is a value, so that whoever reads it says what it has to be.
fn command() -> clap::Command {
    let values = |arg: clap::Arg| {
        let takes_values = arg.get_action().takes_values();
        arg.allow_negative_numbers(takes_values)
    };
    Cli::command().mut_subcommands(|verb| verb.mut_args(values))
}

impl Console<'_, '_> {
    fn verb(&mut self, verb: &Verb) -> Result<Exit, CliError> {
        match verb {
            Verb::List(verb) => list::list(self, verb),
            Verb::Run(verb) => run::run(self, verb),
            Verb::Sweep(verb) => sweep::sweep(self, verb),
            Verb::Explore(verb) => explore::explore(self, verb),
            Verb::Matrix(verb) => matrix::matrix(self, verb),
            Verb::Replay(verb) => replay::replay(self, verb),
            Verb::Diff(verb) => diff::diff(self, verb),
            Verb::Explain(verb) => explain::explain(self, verb),
            Verb::Likelihood(verb) => likelihood::likelihood(self, verb),
            Verb::WhyNot(verb) => why_not::why_not(self, verb),
            Verb::Shrink(verb) => shrink::shrink(self, verb),
            Verb::CheckHistory(verb) => check_history::check_history(self, verb),
        }
    }

    /// A line of prose. Nobody is told if it cannot be written: there is nowhere left to say so.
    fn say(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.streams.err, "{line}");
    }
}

/// Says why there is no result.
fn refuse(error: &CliError, program: &str, streams: &mut Streams<'_>) -> Exit {
    match error {
        CliError::Arguments(error) if !error.use_stderr() => {
            let shown = write!(streams.out, "{error}").and_then(|()| streams.out.flush());
            shown.map_or_else(|error| refuse(&error.into(), program, streams), |()| Exit::Holds)
        }
        CliError::Arguments(error) => {
            let text = error.to_string();
            // Without a verb there is no error, but help.
            let _ = match text.strip_prefix("error: ") {
                Some(sentence) => write!(streams.err, "{program}: {sentence}"),
                None => write!(streams.err, "{text}"),
            };
            Exit::Unusable
        }
        error => {
            let _ = writeln!(streams.err, "{program}: {error}");
            Exit::Unusable
        }
    }
}

/// The name under which the program was called, as somebody would type it.
fn program(args: &[OsString]) -> String {
    let name = args.first().and_then(|path| Path::new(path).file_stem());
    name.map_or_else(|| "snowglobe".to_owned(), |name| name.to_string_lossy().into_owned())
}
