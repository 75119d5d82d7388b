//! A diff in words.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

use super::{Basis, Decision, Diff, Divergence, HeaderDifference, Line, Operations, Sameness, Sides};

/// How many nodes are told of that are left in another state.
const LEFT: usize = 8;

impl Display for Diff {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "A  {}\nB  {}", self.names.a, self.names.b)?;
        match self.sameness {
            Sameness::Identical => return writeln!(f, "identical, {} events", self.outcomes.a.events),
            Sameness::SameEvents => writeln!(f, "the same {} events", self.outcomes.a.events)?,
            Sameness::Different => writeln!(f, "different")?,
        }
        self.headers(f)?;
        if let Some(divergence) = &self.divergence {
            render_divergence(f, divergence)?;
        }
        self.outcomes(f)?;
        if self.sameness == Sameness::Different {
            self.alignment(f)?;
            self.explanation(f)?;
        }
        Ok(())
    }
}

impl Diff {
    fn headers(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let headers = &self.headers;
        if headers.differences.is_empty() {
            return writeln!(f, "\nthe headers are the same");
        }
        writeln!(f, "\nthe headers differ:")?;
        for HeaderDifference { what, a, b } in &headers.differences {
            writeln!(f, "  {what}: {} -> {}", Maybe(a.as_ref()), Maybe(b.as_ref()))?;
        }
        if !headers.comparable {
            writeln!(
                f,
                "  scenario, nodes or ids differ: which event of one is which of the other is a guess"
            )?;
        }
        Ok(())
    }

    fn outcomes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Sides { a, b } = &self.outcomes;
        writeln!(f, "\noutcomes:")?;
        for (side, outcome) in [("A", a), ("B", b)] {
            let verdict = outcome.verdict.as_str();
            writeln!(
                f,
                "  {side}  {verdict}, {} events, {} ns, digest {}",
                outcome.events, outcome.time, outcome.digest
            )?;
            for violation in &outcome.violations {
                writeln!(f, "     violates {}: {}", violation.property, violation.detail)?;
            }
        }
        if a.operations != b.operations {
            writeln!(f, "  operations: {} -> {}", Did(&a.operations), Did(&b.operations))?;
        }
        let latencies = |operations: &Operations| operations.latency.map(|l| [l.min, l.median, l.max]);
        if let (Some(of_a), Some(of_b)) = (latencies(&a.operations), latencies(&b.operations)) {
            for (which, (was, is)) in ["shortest", "median", "longest"].iter().zip(of_a.iter().zip(of_b)) {
                if *was != is {
                    writeln!(f, "  {which} latency: {was} ns -> {is} ns")?;
                }
            }
        }
        let count =
            |kinds: &std::collections::BTreeMap<String, u64>, kind| kinds.get(kind).copied().unwrap_or(0);
        let only_b = b.kinds.keys().filter(|kind| !a.kinds.contains_key(*kind));
        for kind in a.kinds.keys().chain(only_b) {
            let (of_a, of_b) = (count(&a.kinds, kind), count(&b.kinds, kind));
            if of_a != of_b {
                writeln!(f, "  {kind}: {of_a} -> {of_b}")?;
            }
        }
        for (side, outcome) in [("A", a), ("B", b)] {
            for state in outcome.left.iter().take(LEFT) {
                writeln!(f, "  {side}  leaves {state}")?;
            }
            if let Some(more) = outcome.left.len().checked_sub(LEFT).filter(|more| *more > 0) {
                writeln!(f, "  {side}  and {more} more nodes in another state")?;
            }
        }
        Ok(())
    }

    fn alignment(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let found = &self.alignment;
        writeln!(
            f,
            "\nevents by id: {} the same, {} only shifted in time, {} changed, {} only in A, {} only in B",
            found.same, found.shifted, found.changed, found.only_a, found.only_b
        )?;
        if found.by_path + found.by_order > 0 {
            writeln!(
                f,
                "  of those in both, {} have other ids and were aligned by the paths of their causes, {} by order \
                 alone; {} of them tell the same",
                found.by_path, found.by_order, found.renamed
            )?;
        }
        for pattern in &found.patterns {
            writeln!(f, "  {}.{} {}, {} times", pattern.kind, pattern.field, pattern.change, pattern.count)?;
        }
        Ok(())
    }

    fn explanation(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let explanation = &self.explanation;
        match explanation.basis {
            Basis::OtherInputs => {
                return writeln!(f, "\nseed or configuration differ: any event may");
            }
            Basis::SameInputs => writeln!(
                f,
                "\nNOT explained: seed, configuration and overrides are the same. Unless the program was changed, \
                 it is not deterministic"
            )?,
            Basis::Overrides if explanation.unexplained == 0 => {
                let (all, roots) = (explanation.differences, explanation.roots);
                writeln!(
                    f,
                    "\nexplained: all {all} differences follow from the decisions that differ, {roots}:"
                )?;
            }
            Basis::Overrides => writeln!(
                f,
                "\nNOT explained: {} of {} differences follow from no decision. Nodes share hidden state, or the \
                 program is not deterministic",
                explanation.unexplained, explanation.differences
            )?,
        }
        for decision in &explanation.decisions {
            writeln!(f, "  {decision}")?;
        }
        if explanation.roots > explanation.decisions.len() as u64 {
            writeln!(f, "  and {} more", explanation.roots - explanation.decisions.len() as u64)?;
        }
        for (side, line) in sides(&explanation.first_unexplained) {
            if let Some(line) = line {
                writeln!(f, "  first without a cause in {side}: {line}")?;
            }
        }
        Ok(())
    }
}

fn render_divergence(f: &mut Formatter<'_>, divergence: &Divergence) -> fmt::Result {
    writeln!(f, "\nfirst divergence, after {} common events:", divergence.common)?;
    if let Some(line) = &divergence.last_common {
        writeln!(f, "  =  {line}")?;
    }
    for (side, line) in sides(&divergence.next) {
        match line {
            Some(line) => writeln!(f, "  {side}  {line}")?,
            None => writeln!(f, "  {side}  no further event")?,
        }
    }
    match &divergence.decision {
        Some(decision) => writeln!(f, "  decided: {decision}"),
        None => writeln!(f, "  no decision that differs can be named"),
    }
}

fn sides<T>(sides: &Sides<T>) -> [(&'static str, &T); 2] {
    [("A", &sides.a), ("B", &sides.b)]
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(&self.event).map_err(|_| fmt::Error)?;
        write!(f, "line {}: {json}", self.number)
    }
}

impl Display for Decision {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fate { id, from, to, name, fates } => {
                write!(f, "message {name} {id} from {from} to {to}: {} -> {}", Fate(&fates.a), Fate(&fates.b))
            }
            Self::Event { lines } => match (&lines.a, &lines.b) {
                (Some(a), Some(b)) => write!(f, "{} -> {}", Short(a), Short(b)),
                (Some(a), None) => write!(f, "only in A: {}", Short(a)),
                (None, Some(b)) => write!(f, "only in B: {}", Short(b)),
                (None, None) => Ok(()),
            },
            Self::Order { lines: Sides { a, b } } => {
                write!(f, "which comes first at one instant: {} -> {}", Short(a), Short(b))
            }
            Self::Header => f.write_str("something in which the headers differ"),
        }
    }
}

/// What became of operations: `3 begun, 2 ok, 1 never returned`.
struct Did<'d>(&'d Operations);

impl Display for Did<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Operations { begun, ok, fail, unknown, open, .. } = *self.0;
        write!(f, "{begun} begun")?;
        for (count, what) in [(ok, "ok"), (fail, "failed"), (unknown, "unknown"), (open, "never returned")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// What became of a message.
struct Fate<'d>(&'d [u64]);

impl Display for Fate<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("lost"),
            [delay] => write!(f, "delivered after {delay} ns"),
            delays => write!(f, "delivered {} times, after {delays:?} ns", delays.len()),
        }
    }
}

/// A line in a few words: `crash of server at 1500 ns`.
struct Short<'l>(&'l Line);

impl Display for Short<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = |key| self.0.event.get(key).and_then(Value::as_str).unwrap_or("?");
        f.write_str(text("kind"))?;
        for key in ["name", "action", "value"] {
            if let Some(Value::String(value)) = self.0.event.get(key) {
                write!(f, " {value}")?;
            }
        }
        let time = self.0.event.get("t").and_then(Value::as_u64).unwrap_or(0);
        write!(f, " on {} at {time} ns", text("node"))
    }
}

/// A value, or that there is none.
struct Maybe<'v>(Option<&'v Value>);

impl Display for Maybe<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("(none)"),
        }
    }
}
