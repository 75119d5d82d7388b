//! Who waits for whom, when nothing goes on any more.
//!
//! Found are a whole program that waits for itself, and in a program that also waits for the world outside, the tasks
//! that nothing outside can help: those in a circle of locks and joins, those that wait for a lock whose holder has ended,
//! and those that wait for one of these. Looked for only where a run ends, so that it costs nothing until then.
//!
//! Deliberately absent: who might still send on a channel. A channel does not know which tasks have a hold of it.

use std::panic::Location;

use crate::id::Label;

use super::core::{Core, Holder, TaskRef, Waiting};

/// A place in the program, as a person would look for it.
pub(super) fn at(place: &Location<'_>) -> String {
    format!("{}:{}", place.file(), place.line())
}

/// Every living task and what it waits for, oldest first.
pub(super) fn everyone(core: &Core) -> String {
    Table::of(core).tell(|_| true)
}

/// The tasks that can never go on, whatever comes from outside; none if there are none.
pub(super) fn helpless(core: &Core) -> Option<String> {
    // Somebody waits for the outside; if there is only one task, it is that one.
    if core.living() <= 1 {
        return None;
    }
    let table = Table::of(core);
    let helpless = table.helpless();
    (!helpless.is_empty()).then(|| table.tell(|task| helpless.contains(&task)))
}

/// Who holds something, in words that follow its name.
pub(super) fn holders(core: &Core, holders: &[Holder]) -> String {
    let told = |holder: &Holder| {
        let since = holder.place.map_or_else(String::new, |place| format!(" since {}", at(place)));
        let ended = holder.task.is_some_and(|task| !core.is_alive(task));
        format!("{}{since}{}", holder.label, if ended { ", which has ended" } else { "" })
    };
    match holders {
        [] => String::new(),
        holders => format!(" held by {}", holders.iter().map(told).collect::<Vec<_>>().join(" and ")),
    }
}

struct Table<'c> {
    core: &'c Core,
    living: Vec<(TaskRef, Label)>,
    waits: Vec<Waiting>,
}

impl<'c> Table<'c> {
    fn of(core: &'c Core) -> Self {
        Self { core, living: core.by_age(), waits: core.waits() }
    }

    fn waits_of(&self, task: TaskRef) -> impl Iterator<Item = &Waiting> {
        self.waits.iter().filter(move |waiting| waiting.task == Some(task))
    }

    /// The one task that could end this task's wait, if nothing and nobody else could.
    fn only_hope(&self, task: TaskRef) -> Option<TaskRef> {
        let mut waits = self.waits_of(task);
        match (waits.next()?.on.as_slice(), waits.next()) {
            ([Some(hope)], None) => Some(*hope),
            _ => None,
        }
    }

    /// The tasks that wait for each other in a circle, in its order, beginning with the oldest.
    fn circle(&self) -> Vec<TaskRef> {
        for (start, _) in &self.living {
            let mut circle = vec![*start];
            while let Some(next) = self.only_hope(circle[circle.len() - 1]) {
                if next == *start {
                    return circle;
                }
                if circle.contains(&next) {
                    break;
                }
                circle.push(next);
            }
        }
        Vec::new()
    }

    fn helpless(&self) -> Vec<TaskRef> {
        let mut helpless: Vec<TaskRef> = Vec::new();
        // Every circle has a way into it from its tasks: walking as many steps as there are tasks ends in one.
        let ends_badly = |start: TaskRef| {
            let mut task = start;
            for _ in 0..self.living.len() {
                match self.only_hope(task) {
                    Some(next) if self.core.is_alive(next) => task = next,
                    Some(_) => return true,
                    None => return false,
                }
            }
            true
        };
        helpless.extend(self.living.iter().map(|(task, _)| *task).filter(|task| ends_badly(*task)));
        helpless
    }

    fn tell(&self, included: impl Fn(TaskRef) -> bool) -> String {
        let mut lines: Vec<String> =
            self.living.iter().filter(|(task, _)| included(*task)).map(|entry| self.line(*entry)).collect();
        let circle = self.circle();
        if circle.len() > 1 {
            let name = |task: &TaskRef| {
                let (_, label) = self.living.iter().find(|(other, _)| other == task).expect("it lives");
                label.to_string()
            };
            let names: Vec<String> = circle.iter().chain(circle.first()).map(name).collect();
            lines.push(format!("a circle: {}", names.join(" -> ")));
        }
        lines.join("; ")
    }

    fn line(&self, (task, label): (TaskRef, Label)) -> String {
        let told = |waiting: &Waiting| {
            let itself = if waiting.on == [Some(task)] { ", which is itself" } else { "" };
            let place = waiting.place.map_or_else(String::new, |place| format!("at {} ", at(place)));
            format!("{place}for {}{itself}", waiting.what)
        };
        let waits: Vec<String> = self.waits_of(task).map(told).collect();
        match &waits[..] {
            [] => format!("{label} waits for something unknown to its node"),
            waits => format!("{label} waits {}", waits.join(" or ")),
        }
    }
}
