//! Whose step an event is: the wakes of tasks, which a trace calls by numbers, in words.

use std::collections::BTreeMap;

use sim::{Decision, EventId};
use traces::{Event, Kind, Trace};

use super::words::millis;

/// The steps of all tasks of a run.
pub(super) struct Steps(BTreeMap<EventId, Step>);

struct Step {
    task: String,
    /// The how-many-th step of the task, from 1.
    nth: u32,
}

impl Steps {
    /// A task's wakes have the number of the line that begins it; the main task's have that of its node's start.
    pub(super) fn of(trace: &Trace) -> Self {
        let mut tasks: BTreeMap<(usize, EventId), (String, u32)> = BTreeMap::new();
        let mut steps = BTreeMap::new();
        for event in trace.events() {
            let field = |key: &str| event.field(key).and_then(|value| value.as_str().map(str::to_owned));
            match event.kind {
                Kind::Boot => {
                    tasks.insert((event.node, event.id), ("main".to_owned(), 0));
                }
                Kind::Task if field("action").is_some_and(|action| action == "spawn") => {
                    tasks.insert((event.node, event.id), (field("name").unwrap_or_default(), 0));
                }
                Kind::Fire => {
                    let key = field("name").and_then(|name| name.strip_prefix("wake/")?.parse().ok());
                    let task = key.and_then(|key| tasks.get_mut(&(event.node, EventId(key))));
                    if let Some((task, nth)) = task {
                        *nth += 1;
                        steps.insert(event.id, Step { task: task.clone(), nth: *nth });
                    }
                }
                _ => {}
            }
        }
        Self(steps)
    }

    /// What the event is called, if it is a step.
    pub(super) fn name(&self, event: EventId) -> Option<String> {
        self.0.get(&event).map(|Step { task, nth }| format!("step {nth} of task {task}"))
    }

    /// Who let a task take this step, if that was another task.
    pub(super) fn woken_by(&self, event: &Event<'_>) -> Option<&str> {
        let waker = self.0.get(&event.by)?;
        self.0.get(&event.id).is_some_and(|own| own.task != waker.task).then_some(&*waker.task)
    }

    /// What was decided about when an event happens.
    pub(super) fn pick(&self, trace: &Trace, id: EventId, decision: &Decision) -> Option<String> {
        let event = trace.find(id).find(|event| event.kind != Kind::Timer);
        let what = self.name(id).or_else(|| event.map(|event| super::story::words(&event).1));
        let what = what.unwrap_or_else(|| format!("event {id}"));
        match decision {
            // Whatever has no number is ordered by the dice, behind all that has one.
            Decision::Order(number) => {
                Some(format!("{what} goes before all that the dice order, as number {number}"))
            }
            Decision::Late(span) => Some(format!("{what} comes {} late", millis(*span))),
            _ => None,
        }
    }
}
