//! The decisions of a run, and how each could have been otherwise, in words.
//!
//! A flip is one decision about one event, the opposite of what the run shows: a delivered message is lost, comes late, or
//! comes twice; a lost one is delivered; a node crashes after some effects of a handler; a sync fails; a fault does not
//! strike. Its name says what, who, and the how-many-th of its like in this run: `lose reply #2 server -> client-1`.
//!
//! Deliberately absent: orders of events at one instant, which [`mod@crate::explore`] goes through.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sim::{Decision, EventId, MILLIS, Nanos, SyncError};
use traces::{Event, Kind, Trace};

/// One decision, changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flip {
    /// What is changed, in words; no two flips of one run have the same.
    pub name: String,
    /// When the event is that is decided about.
    pub time: Nanos,
    /// Its id.
    pub event: EventId,
    /// How it is decided instead.
    pub decision: Decision,
    /// Whether this takes away what went wrong, and does not add something.
    pub mends: bool,
}

impl Flip {
    /// What the run has that this takes away, in words: `lose reply #2 server -> client-1` for its delivery.
    pub fn undoes(&self) -> String {
        let undone = [
            ("deliver ", "lose "),
            ("only one ", "duplicate "),
            ("in time ", "delay "),
            ("no crash ", "crash "),
            ("no ", ""),
        ];
        let found = undone.iter().find_map(|(does, was)| Some((was, self.name.strip_prefix(does)?)));
        found.map_or_else(|| self.name.clone(), |(was, rest)| format!("{was}{rest}"))
    }
}

#[derive(Deserialize)]
struct Sent<'t> {
    to: &'t str,
    name: &'t str,
    fate: Vec<Nanos>,
}

/// All flips of a run, in the order of its events.
pub fn flips(trace: &Trace) -> Vec<Flip> {
    let delays = Delays::of(trace);
    let mut effects = BTreeMap::<EventId, u32>::new();
    for event in trace.events().filter(|event| is_effect(event)) {
        *effects.entry(event.by).or_default() += 1;
    }
    let mut namer = Namer::default();
    let mut struck = BTreeSet::new();
    let mut all = Vec::new();
    for event in trace.events() {
        let mut flip = |of: EventId, name: String, decision: Decision, mends: bool| {
            all.push(Flip { name, time: event.t, event: of, decision, mends });
        };
        match event.kind {
            Kind::Send => {
                let Ok(sent) = event.parse::<Sent<'_>>() else { continue };
                let what = namer.name(&format!("{} {} -> {}", sent.name, event.node_name, sent.to), " #");
                flips_of_send(&what, &sent.fate, &delays, &mut |name, decision, mends| {
                    flip(event.id, name, decision, mends);
                });
            }
            // One in the middle of a handler: its cause is that handler.
            Kind::Crash if event.by != EventId::ROOT => {
                let what = namer.name(&format!("crash {}", event.node_name), " #");
                flip(event.by, format!("no {what}"), Decision::Crash(None), true);
            }
            Kind::Crash => {
                let what = namer.name(&format!("crash {}", event.node_name), " #");
                flip(event.id, format!("no {what}"), Decision::Strike(false), true);
            }
            // A fault has a line on each node it touches, and is decided about once.
            Kind::Fault
                if event.field("name").is_none_or(|name| name != "heal") && struck.insert(event.by) =>
            {
                flip(event.by, format!("no {}", namer.fault(&event)), Decision::Strike(false), true);
            }
            // By the sync that was asked for.
            Kind::Disk if event.field("action").is_some_and(|action| action == "failed") => {
                let what =
                    namer.name(&format!("failed sync {} of {}", text(&event, "name"), event.node_name), " #");
                flip(event.by, format!("no {what}"), Decision::Sync(Ok(())), true);
            }
            _ => {}
        }
        if let Some(handler) = namer.handler(&event) {
            let count = effects.get(&event.id).copied().unwrap_or(0);
            // One more than there are lines: to cancel a timer is an effect without one.
            for after in 0..=count + 1 {
                let place = format!("crash {} after effect {after} of {handler}", event.node_name);
                flip(event.id, place, Decision::Crash(Some(after)), false);
            }
        }
        if event.kind == Kind::Disk && event.field("action").is_some_and(|action| action == "sync") {
            let what = namer.name(&format!("sync {} of {}", text(&event, "name"), event.node_name), " #");
            flip(event.id, format!("fail {what}"), Decision::Sync(Err(SyncError::Device)), false);
        }
    }
    all
}

/// What else could have become of a message.
fn flips_of_send(what: &str, fate: &[Nanos], delays: &Delays, flip: &mut impl FnMut(String, Decision, bool)) {
    match fate {
        [] => flip(format!("deliver {what}"), Decision::Fate(vec![delays.usual]), true),
        [delay, others @ ..] => {
            if *delay > delays.past_timeout {
                flip(format!("in time {what}"), Decision::Fate(vec![delays.usual]), true);
            }
            flip(format!("lose {what}"), Decision::Fate(Vec::new()), false);
            let late = delay.saturating_add(delays.past_timeout);
            flip(format!("delay {what} past every timeout"), Decision::Fate(vec![late]), false);
            let end = delay.saturating_add(delays.past_end);
            flip(format!("delay {what} after the end"), Decision::Fate(vec![end]), false);
            if others.is_empty() {
                flip(format!("duplicate {what} at once"), Decision::Fate(vec![*delay, delay + 1]), false);
                let copy = vec![*delay, late];
                flip(format!("duplicate {what} past every timeout"), Decision::Fate(copy), false);
                flip(format!("duplicate {what} after the end"), Decision::Fate(vec![*delay, end]), false);
            } else {
                flip(format!("only one {what}"), Decision::Fate(vec![*delay]), true);
            }
        }
    }
}

/// How long messages take, and how long they would have to.
struct Delays {
    /// The median of the run, for one that was lost.
    usual: Nanos,
    /// Longer than the longest timer of the run.
    past_timeout: Nanos,
    /// Longer than the run.
    past_end: Nanos,
}

impl Delays {
    fn of(trace: &Trace) -> Self {
        let sends = trace.events().filter(|event| event.kind == Kind::Send);
        let mut all: Vec<Nanos> =
            sends.filter_map(|event| event.parse::<Sent<'_>>().ok()?.fate.first().copied()).collect();
        all.sort_unstable();
        let timers = trace.events().filter(|event| event.kind == Kind::Timer);
        let longest = timers.filter_map(|event| event.field("delay")?.as_u64()).max().unwrap_or(0);
        Self {
            usual: all.get(all.len() / 2).copied().unwrap_or(MILLIS),
            past_timeout: longest.saturating_add(MILLIS),
            past_end: trace.end().time.saturating_add(MILLIS),
        }
    }
}

/// Whether a handler asked for what this line tells.
pub(crate) fn is_effect(event: &Event<'_>) -> bool {
    match event.kind {
        Kind::Send | Kind::Timer | Kind::Invoke | Kind::Return | Kind::Note => true,
        Kind::Disk => !is_handler(event),
        _ => false,
    }
}

/// Whether this line begins a handler, in which its node could crash.
pub(crate) fn is_handler(event: &Event<'_>) -> bool {
    match event.kind {
        Kind::Recv | Kind::Fire | Kind::Boot => true,
        Kind::Disk => event.field("action").is_some_and(|action| action == "synced" || action == "failed"),
        _ => false,
    }
}

/// Counts what has the same name.
#[derive(Default)]
struct Namer(BTreeMap<String, u32>);

impl Namer {
    fn name(&mut self, like: &str, mark: &str) -> String {
        let count = self.0.entry(like.to_owned()).or_default();
        *count += 1;
        // The number stands after the first word: `reply #2 server -> client-1`.
        match like.split_once(' ') {
            Some((first, rest)) => format!("{first}{mark}{count} {rest}"),
            None => format!("{like}{mark}{count}"),
        }
    }

    fn fault(&mut self, event: &Event<'_>) -> String {
        self.name(&format!("{} on {}", text(event, "name"), event.node_name), " #")
    }

    /// What a node does here, if it runs a handler in which it could crash.
    fn handler(&mut self, event: &Event<'_>) -> Option<String> {
        let like = match event.kind {
            Kind::Recv => format!("{} from {}", text(event, "name"), text(event, "from")),
            Kind::Fire => format!("{} timer", text(event, "name")),
            Kind::Boot => "start".to_owned(),
            Kind::Disk if is_handler(event) => format!("{} {}", text(event, "name"), text(event, "action")),
            _ => return None,
        };
        let key = format!("{like} at {}", event.node_name);
        let count = self.0.entry(key).or_default();
        *count += 1;
        Some(match like.split_once(' ') {
            Some((first, rest)) => format!("{first} #{count} {rest}"),
            None => format!("{like} #{count}"),
        })
    }
}

fn text(event: &Event<'_>, key: &str) -> String {
    event.field(key).as_ref().and_then(serde_json::Value::as_str).unwrap_or("?").to_owned()
}
