//! The lecture's crawlers as scenarios.

use std::path::Path;

use check::{Expected, Input, Judgement, Run, Scenario, Setup};
use serde::{Deserialize, Serialize};
use sim::tasks::{DATA_RACE, Tasks};
use sim::{Config, Limits, Process, SECONDS, Status};

use super::gate::Gate;
use super::judge::{
    AS_SOON, AT_LIMIT, BUCKET, BURSTS, Crawl, EVERY_PAGE, FEW_AT_ONCE, FEW_PER_HOST, HOST_AT_LIMIT, Limit,
    MISSING, NO_PAGE_TWICE, OVERLAPPED, RESTS,
};
use super::programs::Program;
use super::{CrawlNote, Crawler, NoMessage};
use crate::web::{Web, WebKind};

/// Where the web comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebSource {
    /// The lecture's five pages.
    Canned,
    /// Pages that link at random.
    Random,
    /// A few pages that many link to.
    ScaleFree,
    /// One page after another.
    Chain,
    /// A ring of pages that link to many of the next.
    Cycle,
}

/// The longest JSON file that is read as a web, in bytes.
const FILE_MAX: u64 = 1 << 28;

/// What can be set in every crawler scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrawlerSettings {
    /// The web, unless `site` names one.
    pub web: WebSource,
    /// How many pages a generated web has: 1 to 1,000,000.
    pub pages: u32,
    /// The seed of a generated web; which web it is does not depend on the run's seed.
    pub web_seed: u64,
    /// A directory of HTML pages, or a web in a JSON file; empty for none.
    pub site: String,
    /// The page of the directory that the crawl starts from; empty for `index.html`.
    pub start: String,
}

impl CrawlerSettings {
    /// Refuses what another setting makes meaningless: who sets it believes that it changes something.
    ///
    /// # Errors
    /// A sentence that says which setting is ignored, and why.
    pub(super) fn nothing_ignored(&self, defaults: &Self) -> Result<(), String> {
        let changed = [
            ("web", self.web != defaults.web),
            ("pages", self.pages != defaults.pages),
            ("web_seed", self.web_seed != defaults.web_seed),
        ];
        let mut changed = changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key);
        if !self.site.is_empty() {
            return changed.next().map_or(Ok(()), |key| {
                Err(format!("{key} is of a web that is made, and this one is read: site={}", self.site))
            });
        }
        match changed.find(|key| *key != "web") {
            Some(key) if self.web == WebSource::Canned => Err(format!(
                "{key} is of a generated web, and web=canned is always the lecture's five pages: choose web=random, \
                 scale-free, chain or cycle"
            )),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// A sentence that says why there is no such web.
    pub(super) fn web(&self) -> Result<Web, String> {
        let is_file = Path::new(&self.site).extension().is_some_and(|extension| extension == "json");
        if !self.start.is_empty() && (self.site.is_empty() || is_file) {
            return Err(format!(
                "start={}: only a site that is a directory has a page to start from",
                self.start
            ));
        }
        if !self.site.is_empty() {
            let start = Some(self.start.as_str()).filter(|start| !start.is_empty());
            return if is_file {
                let said = |error: &dyn std::fmt::Display| format!("site {}: {error}", self.site);
                let bytes =
                    traces::read_whole(Path::new(&self.site), FILE_MAX).map_err(|error| said(&error))?;
                let text = String::from_utf8(bytes).map_err(|error| said(&error.utf8_error()))?;
                Web::from_json(&text).map_err(|error| said(&error))
            } else {
                Web::from_directory(&self.site, start).map_err(|error| format!("site {}: {error}", self.site))
            };
        }
        if !(1..=1_000_000).contains(&self.pages) {
            return Err(format!("pages must be from 1 to 1000000, not {}", self.pages));
        }
        let kind = match self.web {
            WebSource::Canned => return Ok(Web::canned()),
            WebSource::Random => WebKind::Random,
            WebSource::ScaleFree => WebKind::ScaleFree,
            WebSource::Chain => WebKind::Chain,
            WebSource::Cycle => WebKind::Cycle,
        };
        Ok(Web::generate(kind, self.pages, self.web_seed))
    }
}

/// A web that was read, for what a run is recorded with.
pub(super) fn input(site: &str, web: &Web) -> Option<Input> {
    (!site.is_empty()).then(|| Input { name: format!("site {site}"), digest: web.digest() })
}

/// A crawler of the lecture.
#[derive(Clone, Debug)]
pub struct CrawlerScenario {
    name: &'static str,
    about: &'static str,
    expected: Expected,
    program: Program,
    web: WebSource,
    limits: &'static [Limit],
    situations: &'static [&'static str],
}

/// The judge needs the web that the setup made, and the judge is asked with the world alone: so each node knows it.
#[derive(Debug)]
pub struct CrawlerNode {
    tasks: Tasks<NoMessage>,
    web: Web,
    reachable: usize,
}

impl Process for CrawlerNode {
    type Message = NoMessage;

    fn on_start(&mut self, ctx: &mut sim::Context<NoMessage>) {
        self.tasks.on_start(ctx);
    }

    fn on_message(&mut self, ctx: &mut sim::Context<NoMessage>, from: sim::NodeId, message: NoMessage) {
        self.tasks.on_message(ctx, from, message);
    }

    fn on_timer(&mut self, ctx: &mut sim::Context<NoMessage>, timer: sim::Label) {
        self.tasks.on_timer(ctx, timer);
    }

    fn stuck(&self) -> Option<String> {
        self.tasks.stuck()
    }

    fn take_touched(&self, into: &mut Vec<sim::Touch>) {
        self.tasks.take_touched(into);
    }
}

impl Scenario for CrawlerScenario {
    type Process = CrawlerNode;
    type Settings = CrawlerSettings;

    fn name(&self) -> String {
        format!("crawler/{}", self.name)
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

    fn defaults(&self) -> CrawlerSettings {
        CrawlerSettings { web: self.web, pages: 30, web_seed: 1, site: String::new(), start: String::new() }
    }

    fn setup(&self, settings: &CrawlerSettings) -> Result<Setup<CrawlerNode>, String> {
        settings.nothing_ignored(&self.defaults())?;
        let web = settings.web()?;
        let reachable = web.reachable().len();
        let input = input(&settings.site, &web);
        let program = self.program;
        let mut config = Config::new(1);
        config.limits = Limits { time: 1_000_000 * SECONDS, ..Limits::default() };
        Ok(Setup::new(vec!["crawler".to_owned()], config, move |_| {
            let crawled = web.clone();
            let tasks = Tasks::new(move |rt| {
                let web = crawled.clone();
                async move {
                    let root = web.root();
                    let crawl = rt.invoke(CrawlNote::Crawl { url: web.url(root).to_owned() });
                    Crawler { rt: rt.clone(), web }.run(program, root).await;
                    rt.complete(crawl, Status::Ok, CrawlNote::Done);
                }
            });
            CrawlerNode { tasks, web: web.clone(), reachable }
        })
        .with_input(input))
    }

    fn judge(&self, _: &CrawlerSettings, run: &Run<'_, CrawlerNode>, judgement: &mut Judgement) {
        let node = run.world.process(sim::NodeId(0)).expect("nothing crashes a crawler of the lecture");
        Crawl::of(run.history).judge(&node.web, node.reachable, self.limits, judgement);
    }
}

const BASE: CrawlerScenario = CrawlerScenario {
    name: "",
    about: "",
    expected: Expected::Holds,
    program: Program::Serial,
    web: WebSource::Canned,
    limits: &[],
    situations: &[],
};

/// A gate on a web of thirty pages on four hosts, a few of which everybody links to.
const GATED: CrawlerScenario = CrawlerScenario { web: WebSource::ScaleFree, ..BASE };

/// Every crawler, in the order of the lecture.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn scenarios() -> Vec<CrawlerScenario> {
    vec![
        CrawlerScenario {
            name: "c1-serial",
            about: "C1: depth first, one page at a time: right, and slow",
            limits: &[Limit::OneAtATime],
            situations: &[MISSING],
            ..BASE
        },
        CrawlerScenario {
            name: "c2-spawn-without-waiting",
            about: "C2: a spawn in front of the recursive call: returns before the pages are fetched",
            expected: Expected::Violates(EVERY_PAGE),
            program: Program::SpawnWithoutWaiting,
            ..BASE
        },
        CrawlerScenario {
            name: "c3-shared-map",
            about: "C3: a task per page, a shared map, no lock: two tasks both see that a page is new",
            expected: Expected::ViolatesBoth(DATA_RACE, NO_PAGE_TWICE),
            program: Program::SharedMap,
            ..BASE
        },
        CrawlerScenario {
            name: "c4-never-unlocked",
            about: "C4: a lock that nobody releases: every other task waits for it for ever",
            expected: Expected::Violates("deadlock"),
            program: Program::NeverUnlocked,
            ..BASE
        },
        CrawlerScenario {
            name: "c5-locked",
            about: "C5: a lock around the map, and a wait group",
            program: Program::Locked(Gate::Open),
            situations: &[OVERLAPPED, MISSING],
            ..BASE
        },
        CrawlerScenario {
            name: "c5-wait-forgotten",
            about: "C5: the wait group forgotten: returns too early",
            expected: Expected::Violates(EVERY_PAGE),
            program: Program::LockedWithoutWaiting,
            ..BASE
        },
        CrawlerScenario {
            name: "c5-scale-free",
            about: "C5: the lock and the wait group on a web of thirty pages, a few of which everybody links to",
            program: Program::Locked(Gate::Open),
            web: WebSource::ScaleFree,
            situations: &[OVERLAPPED, MISSING],
            ..BASE
        },
        CrawlerScenario {
            name: "c6-task-per-link",
            about: "C6: a task for each link, and nothing that bounds them: everything is fetched at once",
            expected: Expected::Violates(FEW_AT_ONCE),
            program: Program::Locked(Gate::Open),
            limits: &[Limit::AtOnce],
            ..GATED
        },
        CrawlerScenario {
            name: "c6-bounded",
            about: "C6: a task for each link, and a semaphore around the fetch",
            program: Program::Locked(Gate::Bounded),
            limits: &[Limit::AtOnce],
            situations: &[AT_LIMIT, MISSING],
            ..GATED
        },
        CrawlerScenario {
            name: "c7-channels",
            about: "C7: a coordinator, workers, a channel, and a count of the lists still to come",
            program: Program::Channels,
            situations: &[OVERLAPPED, MISSING],
            ..BASE
        },
        CrawlerScenario {
            name: "c7-silent-on-error",
            about: "C7: a worker whose page is missing sends nothing, and the coordinator waits for ever",
            expected: Expected::Violates("deadlock"),
            program: Program::SilentOnError,
            ..BASE
        },
        CrawlerScenario {
            name: "c7-first-send-blocks",
            about: "C7: the first send, on an unbuffered channel, by the task that would have to receive it",
            expected: Expected::Violates("deadlock"),
            program: Program::FirstSendBlocks,
            ..BASE
        },
        CrawlerScenario {
            name: "c7-miscounting",
            about: "C7: a coordinator that counts lists with new pages instead of new pages: returns too early",
            expected: Expected::Violates(EVERY_PAGE),
            program: Program::Miscounting,
            ..BASE
        },
        CrawlerScenario {
            name: "c7-dense-cycle",
            about: "C7: the coordinator on a dense ring of thirty pages",
            program: Program::Channels,
            web: WebSource::Cycle,
            situations: &[OVERLAPPED],
            ..BASE
        },
        CrawlerScenario {
            name: "c10-per-host",
            about: "C10: for each host a delay and a semaphore: a fetch takes its time under the lock, then waits for it",
            program: Program::Locked(Gate::PerHost),
            limits: &[Limit::Host],
            situations: &[HOST_AT_LIMIT, AS_SOON],
            ..GATED
        },
        CrawlerScenario {
            name: "c10-permit-dropped",
            about: "C10: a place at the host is taken and given back before the fetch: a third one begins meanwhile",
            expected: Expected::Violates(FEW_PER_HOST),
            program: Program::Locked(Gate::PermitDropped),
            limits: &[Limit::Host],
            ..GATED
        },
        CrawlerScenario {
            name: "c10-check-then-act",
            about: "C10: looks whether the host has rested, and says later that it fetches: two tasks both find it rested",
            expected: Expected::Violates(RESTS),
            program: Program::Locked(Gate::CheckThenAct),
            limits: &[Limit::Rest],
            ..GATED
        },
        CrawlerScenario {
            name: "c10-delay-per-task",
            about: "C10: every task is patient, but with itself: the host has no rest from all of them",
            expected: Expected::Violates(RESTS),
            program: Program::Locked(Gate::PerTask),
            limits: &[Limit::Rest],
            ..GATED
        },
        CrawlerScenario {
            name: "c10-token-bucket",
            about: "C10: for each host a bucket of tokens that fills with time",
            program: Program::Locked(Gate::TokenBucket),
            limits: &[Limit::Bucket],
            situations: &[BURSTS],
            ..GATED
        },
        CrawlerScenario {
            name: "c10-leaky-bucket",
            about: "C10: counts the tokens under the lock and takes one under the lock, but not under the same",
            expected: Expected::Violates(BUCKET),
            program: Program::Locked(Gate::LeakyBucket),
            limits: &[Limit::Bucket],
            ..GATED
        },
    ]
}
