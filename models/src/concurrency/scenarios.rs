//! The programs as scenarios.

use check::{Expected, Judgement, Run, Scenario, Setup};
use serde::{Deserialize, Serialize};
use sim::tasks::{DATA_RACE, TASK_LEAK, Tasks, UNLOCK_WITHOUT_LOCK};
use sim::{Config, FaultPlan, Limits, SECONDS};

use super::judge::{self, Judge};
use super::programs::Running;
use super::programs::calling_off::{self, Deadline, Parent, Shutdown};
use super::programs::channels::{self, Pool};
use super::programs::locks::{self, Waiting};
use super::{NoMessage, Rt};

/// What can be set in every concurrency scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencySettings {
    /// How long a run may take, in seconds of its own time.
    pub limit: u64,
}

/// A concurrent program inside one node.
#[derive(Clone, Debug)]
pub struct ConcurrencyScenario {
    name: &'static str,
    about: &'static str,
    expected: Expected,
    program: fn(Rt) -> Running,
    judge: Judge,
    situations: &'static [&'static str],
}

impl Scenario for ConcurrencyScenario {
    type Process = Tasks<NoMessage>;
    type Settings = ConcurrencySettings;

    fn name(&self) -> String {
        format!("concurrency/{}", self.name)
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }

    fn expected(&self) -> Expected {
        self.expected
    }

    fn situations(&self) -> Vec<&'static str> {
        self.situations.to_vec()
    }

    fn defaults(&self) -> ConcurrencySettings {
        ConcurrencySettings { limit: 3_600 }
    }

    fn setup(&self, settings: &ConcurrencySettings) -> Result<Setup<Tasks<NoMessage>>, String> {
        let program = self.program;
        let time = settings.limit.saturating_mul(SECONDS);
        let config = Config {
            limits: Limits { time, ..Limits::default() },
            faults: FaultPlan::default(),
            ..Config::new(1)
        };
        Ok(Setup::new(vec!["program".to_owned()], config, move |_| Tasks::new(program)))
    }

    fn judge(&self, _: &ConcurrencySettings, run: &Run<'_, Tasks<NoMessage>>, judgement: &mut Judgement) {
        (self.judge)(&judge::facts(run.history), judgement);
    }
}

const fn right(
    name: &'static str,
    about: &'static str,
    program: fn(Rt) -> Running,
    judge: Judge,
    situations: &'static [&'static str],
) -> ConcurrencyScenario {
    ConcurrencyScenario { name, about, expected: Expected::Holds, program, judge, situations }
}

const fn wrong(
    name: &'static str,
    about: &'static str,
    program: fn(Rt) -> Running,
    judge: Judge,
    expected: Expected,
) -> ConcurrencyScenario {
    ConcurrencyScenario { name, about, expected, program, judge, situations: &[] }
}

const DEADLOCK: Expected = Expected::Violates("deadlock");

/// Every program, each right form before its mistakes.
pub fn scenarios() -> Vec<ConcurrencyScenario> {
    let mut all = of_locks();
    all.extend(of_channels());
    all.extend(of_calling_off());
    all
}

#[expect(clippy::too_many_lines, reason = "a table, an entry a scenario")]
fn of_locks() -> Vec<ConcurrencyScenario> {
    vec![
        right(
            "counter",
            "three tasks count under a lock",
            |rt| locks::counter(rt, true),
            judge::counts,
            &["a total was read"],
        ),
        wrong(
            "counter-shared",
            "three tasks count without a lock: a read and a write, and an increment is lost",
            |rt| locks::counter(rt, false),
            judge::counts,
            Expected::ViolatesBoth(DATA_RACE, judge::COUNTS),
        ),
        wrong(
            "counter-slept-for",
            "sleeping instead of waiting: nine milliseconds are nearly always enough",
            locks::counter_slept_for,
            judge::counts,
            Expected::ViolatesBoth(DATA_RACE, judge::COUNTS),
        ),
        right(
            "crawl-by-two",
            "C5 with two tasks: a lock around the map",
            |rt| locks::crawl_by_two(rt, true),
            judge::each_page_once,
            &["a page was fetched"],
        ),
        wrong(
            "crawl-by-two-shared",
            "C3 with two tasks: a map without a lock",
            |rt| locks::crawl_by_two(rt, false),
            judge::each_page_once,
            Expected::ViolatesBoth(DATA_RACE, judge::EACH_ONCE),
        ),
        right(
            "transfer",
            "two locks, always taken in one order",
            |rt| locks::transfer(rt, true),
            judge::counts,
            &["a total was read"],
        ),
        wrong(
            "transfer-in-two-orders",
            "two locks, taken in the order of the transfer",
            |rt| locks::transfer(rt, false),
            judge::counts,
            DEADLOCK,
        ),
        wrong(
            "lock-kept",
            "C4: a lock that is not released on one way out",
            locks::lock_kept,
            judge::nothing,
            DEADLOCK,
        ),
        wrong(
            "unlocked-twice",
            "a lock that is released by one who does not hold it",
            locks::unlocked_twice,
            judge::nothing,
            Expected::Violates(UNLOCK_WITHOUT_LOCK),
        ),
        right(
            "once",
            "three tasks need what is made once",
            |rt| locks::once(rt, true),
            judge::made_once,
            &["somebody found it made"],
        ),
        wrong(
            "once-by-looking",
            "whether it is made is looked at, and then it is made",
            |rt| locks::once(rt, false),
            judge::made_once,
            Expected::ViolatesBoth(DATA_RACE, judge::ONCE),
        ),
        right(
            "readers-and-writer",
            "many read at once, or one writes",
            |rt| locks::readers_and_writer(rt, true),
            judge::not_torn,
            &["two read at once"],
        ),
        wrong(
            "writer-among-readers",
            "a write under a lock that is for readers",
            |rt| locks::readers_and_writer(rt, false),
            judge::not_torn,
            Expected::ViolatesBoth(DATA_RACE, judge::NOT_TORN),
        ),
        right(
            "condition",
            "a queue with room for one: all who wait are told, and each looks again",
            |rt| locks::bounded_queue(rt, Waiting::Right),
            judge::takes_what_is_there,
            &["a consumer waited"],
        ),
        wrong(
            "condition-without-loop",
            "one who was told does not look again, and somebody else was faster",
            |rt| locks::bounded_queue(rt, Waiting::WithoutLoop),
            judge::takes_what_is_there,
            Expected::Violates(judge::TAKES_WHAT_IS_THERE),
        ),
        wrong(
            "condition-wakes-the-wrong-one",
            "one is told, who waits for the opposite",
            |rt| locks::bounded_queue(rt, Waiting::WakingTheWrongOne),
            judge::takes_what_is_there,
            DEADLOCK,
        ),
        right(
            "single-flight",
            "three want one page: one fetches, the others wait for what it finds",
            |rt| locks::single_flight(rt, true),
            judge::made_once,
            &["somebody found it made"],
        ),
        wrong(
            "single-flight-by-looking",
            "whether somebody fetches is looked at, and then said",
            |rt| locks::single_flight(rt, false),
            judge::made_once,
            Expected::ViolatesBoth(DATA_RACE, judge::ONCE),
        ),
    ]
}

fn of_channels() -> Vec<ConcurrencyScenario> {
    vec![
        right(
            "producer-consumer",
            "one produces and closes, one consumes until then",
            |rt| channels::producer_consumer(rt, true),
            judge::all_consumed,
            &["an item was consumed"],
        ),
        wrong(
            "producer-consumer-never-closed",
            "the consumer knows the channel as a sender too, and it is never closed",
            |rt| channels::producer_consumer(rt, false),
            judge::all_consumed,
            DEADLOCK,
        ),
        right(
            "publish-subscribe",
            "a channel each subscriber, closed when there is no more",
            |rt| channels::publish_subscribe(rt, true),
            judge::all_consumed,
            &["an item was consumed"],
        ),
        wrong(
            "publish-subscribe-leak",
            "a subscriber that waits on, for what nobody publishes any more",
            |rt| channels::publish_subscribe(rt, false),
            judge::all_consumed,
            Expected::Violates(TASK_LEAK),
        ),
        right(
            "limit",
            "a channel with room for two as a limit",
            |rt| channels::limit(rt, true),
            judge::at_most_two,
            &["two worked at once"],
        ),
        wrong(
            "limit-by-looking",
            "whether there is room is looked at, and then it is taken",
            |rt| channels::limit(rt, false),
            judge::at_most_two,
            Expected::ViolatesBoth(DATA_RACE, judge::LIMIT),
        ),
        right(
            "first-answer",
            "the first answer wins, and there is room for all",
            |rt| channels::first_answer(rt, true),
            judge::first_of_several,
            &["one who was asked later answered first"],
        ),
        wrong(
            "first-answer-leak",
            "the first answer wins, and nobody takes the others",
            |rt| channels::first_answer(rt, false),
            judge::nothing,
            Expected::Violates(TASK_LEAK),
        ),
        right(
            "worker-pool",
            "a job is counted before it is handed out",
            |rt| channels::worker_pool(rt, Pool::Right),
            judge::finished,
            &["somebody worked"],
        ),
        wrong(
            "worker-pool-counts-late",
            "a job is counted by the worker that has it, which may be after the wait",
            |rt| channels::worker_pool(rt, Pool::CountedByTheWorker),
            judge::finished,
            Expected::Violates(judge::FINISHED),
        ),
        wrong(
            "worker-pool-silent-on-error",
            "a worker that fails does not say that its job is done",
            |rt| channels::worker_pool(rt, Pool::SilentOnError),
            judge::finished,
            DEADLOCK,
        ),
        right(
            "timeout",
            "an answer, or time",
            |rt| channels::timeout(rt, true),
            judge::answer_or_time,
            &["the answer came in time", "time was up"],
        ),
        wrong(
            "timeout-leak",
            "an answer that comes too late waits for ever: there is no room for it, and nobody takes it",
            |rt| channels::timeout(rt, false),
            judge::nothing,
            Expected::Violates(TASK_LEAK),
        ),
    ]
}

fn of_calling_off() -> Vec<ConcurrencyScenario> {
    vec![
        right(
            "shutdown",
            "workers are called off, and waited for",
            |rt| calling_off::shutdown(rt, Shutdown::Waits),
            judge::finished,
            &["somebody worked"],
        ),
        wrong(
            "shutdown-sleeps",
            "workers are called off, and slept for",
            |rt| calling_off::shutdown(rt, Shutdown::Sleeps),
            judge::finished,
            Expected::Violates(judge::FINISHED),
        ),
        right(
            "cancelled-parent",
            "a query ends with the request that it belongs to",
            |rt| calling_off::parent_and_child(rt, Parent::Request),
            judge::called_off,
            &["work was called off"],
        ),
        wrong(
            "cancelled-parent-child-goes-on",
            "a query that was not made from the request goes on without it",
            |rt| calling_off::parent_and_child(rt, Parent::Nothing),
            judge::called_off,
            Expected::Violates(judge::CALLED_OFF),
        ),
        right(
            "deadlines",
            "of two deadlines, one's own and the parent's, the earlier counts",
            |rt| calling_off::deadlines(rt, Deadline::Earlier),
            judge::called_off,
            &["work was called off"],
        ),
        wrong(
            "deadlines-of-ones-own",
            "a query that was not made from the request goes on until its own deadline",
            |rt| calling_off::deadlines(rt, Deadline::Own),
            judge::called_off,
            Expected::Violates(judge::CALLED_OFF),
        ),
    ]
}
