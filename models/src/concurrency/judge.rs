//! What the programs are judged by, beside what the engine finds: what they told, in the order in which they told it.

use std::collections::{BTreeMap, BTreeSet};

use check::{History, Judgement};
use sim::EventId;

use super::Told;

/// Every increment counts.
pub(super) const COUNTS: &str = "every increment counts";
/// Each page is fetched, and none twice.
pub(super) const EACH_ONCE: &str = "each page is fetched once";
/// What was produced is consumed, each once.
pub(super) const ALL_CONSUMED: &str = "everything is consumed once";
/// Nothing is taken from an empty queue.
pub(super) const TAKES_WHAT_IS_THERE: &str = "what is taken was there";
/// No more than two work at once.
pub(super) const LIMIT: &str = "at most two at once";
/// What is made once is made once.
pub(super) const ONCE: &str = "it is made once";
/// Whoever reads sees what was written.
pub(super) const NOT_TORN: &str = "no reader sees half a change";
/// All that was begun is finished when the program ends.
pub(super) const FINISHED: &str = "what was begun is finished at the end";
/// Nothing that belongs to cancelled work goes on.
pub(super) const CALLED_OFF: &str = "nothing goes on after the cancellation";

/// One fact that a program told.
type Fact = (EventId, &'static str, u64);

/// A judge of what was told.
pub(super) type Judge = fn(&[Fact], &mut Judgement);

pub(super) fn facts(history: &History<Told>) -> Vec<Fact> {
    history.notes.iter().map(|(stamp, told)| (stamp.id, told.what, told.value)).collect()
}

fn of<'f>(facts: &'f [Fact], what: &'static str) -> impl Iterator<Item = &'f Fact> {
    facts.iter().filter(move |fact| fact.1 == what)
}

/// The engine alone judges.
pub(super) fn nothing(_: &[Fact], _: &mut Judgement) {}

/// The engine alone judges those of whom the first is taken.
pub(super) fn first_of_several(facts: &[Fact], judgement: &mut Judgement) {
    let overtakers = of(facts, "answer").filter(|fact| fact.2 > 1);
    judgement.met("one who was asked later answered first", overtakers.count() as u64);
}

/// The engine alone judges who has an answer or gives up.
pub(super) fn answer_or_time(facts: &[Fact], judgement: &mut Judgement) {
    judgement.met("the answer came in time", of(facts, "answered").count() as u64);
    judgement.met("time was up", of(facts, "gave up").count() as u64);
}

/// `total` is what `expected` said.
pub(super) fn counts(facts: &[Fact], judgement: &mut Judgement) {
    judgement.met("a total was read", of(facts, "total").count() as u64);
    let expected = of(facts, "expected").map(|fact| fact.2).sum::<u64>();
    for (id, _, total) in of(facts, "total").filter(|fact| fact.2 != expected) {
        judgement.violated(COUNTS, format!("{total} of {expected} increments were counted"), vec![*id]);
    }
}

/// As many pages are `fetched` as there are, and none twice.
pub(super) fn each_page_once(facts: &[Fact], judgement: &mut Judgement) {
    let pages: u64 = of(facts, "pages").map(|fact| fact.2).sum();
    let distinct: BTreeSet<u64> = of(facts, "fetched").map(|fact| fact.2).collect();
    let fetches = of(facts, "fetched").count();
    judgement.met("a page was fetched", fetches as u64);
    if distinct.len() as u64 != pages || fetches != distinct.len() {
        let detail = format!("{fetches} fetches of {} pages, and there are {pages}", distinct.len());
        judgement.violated(EACH_ONCE, detail, of(facts, "fetched").map(|fact| fact.0).collect());
    }
}

/// Each `produced` has one `consumed`.
pub(super) fn all_consumed(facts: &[Fact], judgement: &mut Judgement) {
    judgement.met("an item was consumed", of(facts, "consumed").count() as u64);
    let mut consumed = BTreeMap::<u64, u32>::new();
    for (_, _, item) in of(facts, "consumed") {
        *consumed.entry(*item).or_default() += 1;
    }
    for (id, _, item) in of(facts, "produced") {
        let times = consumed.get(item).copied().unwrap_or(0);
        if times != 1 {
            judgement.violated(ALL_CONSUMED, format!("item {item} was consumed {times} times"), vec![*id]);
            return;
        }
    }
}

/// No consumer finds nothing where it expects something.
pub(super) fn takes_what_is_there(facts: &[Fact], judgement: &mut Judgement) {
    judgement.met("a consumer waited", of(facts, "waited").count() as u64);
    if let Some((id, _, who)) = of(facts, "found nothing").next() {
        judgement.violated(
            TAKES_WHAT_IS_THERE,
            format!("consumer {who} took from an empty queue"),
            vec![*id],
        );
    }
}

/// `begun` and `finished` never have more than two between them.
pub(super) fn at_most_two(facts: &[Fact], judgement: &mut Judgement) {
    let mut working = 0_u32;
    for (id, what, who) in facts {
        match *what {
            "begun" => working += 1,
            "finished" => working -= 1,
            _ => {}
        }
        if working == 2 {
            judgement.met("two worked at once", 1);
        }
        if working > 2 {
            judgement.violated(LIMIT, format!("task {who} was the third to work at once"), vec![*id]);
            return;
        }
    }
}

/// `made` is told once.
pub(super) fn made_once(facts: &[Fact], judgement: &mut Judgement) {
    judgement.met("somebody found it made", of(facts, "found").count() as u64);
    let made: Vec<EventId> = of(facts, "made").map(|fact| fact.0).collect();
    if made.len() > 1 {
        judgement.violated(ONCE, format!("it was made {} times", made.len()), made);
    }
}

/// What a reader saw consists of two equal halves.
pub(super) fn not_torn(facts: &[Fact], judgement: &mut Judgement) {
    let mut reading = 0_i32;
    for (id, what, value) in facts {
        match *what {
            "reads" => reading += 1,
            "has read" => reading -= 1,
            "torn" => {
                judgement.violated(NOT_TORN, format!("reader {value} saw half a change"), vec![*id]);
                return;
            }
            _ => {}
        }
        if reading == 2 {
            judgement.met("two read at once", 1);
        }
    }
}

/// Each `begun` has its `finished` before `over`.
pub(super) fn finished(facts: &[Fact], judgement: &mut Judgement) {
    let over = facts.iter().position(|fact| fact.1 == "over").unwrap_or(facts.len());
    // A set: a program whose end is put off tells of a hundred thousand tasks.
    let finished: BTreeSet<u64> = of(&facts[..over], "finished").map(|fact| fact.2).collect();
    if let Some((id, _, who)) = of(&facts[..over], "begun").find(|fact| !finished.contains(&fact.2)) {
        judgement.violated(FINISHED, format!("task {who} was still at work"), vec![*id]);
        return;
    }
    judgement.met("somebody worked", of(&facts[..over], "finished").count() as u64);
}

/// After `cancelled`, nobody says `works`.
pub(super) fn called_off(facts: &[Fact], judgement: &mut Judgement) {
    let Some(at) = facts.iter().position(|fact| fact.1 == "cancelled") else { return };
    judgement.met("work was called off", 1);
    if let Some((id, _, who)) = of(&facts[at..], "works").next() {
        judgement.violated(CALLED_OFF, format!("task {who} went on"), vec![facts[at].0, *id]);
    }
}
