//! The distributed crawler as scenarios: the right one, and each wrong choice.

use std::sync::OnceLock;

use check::{Expected, Judgement, Run, Scenario, Setup};
use serde::{Deserialize, Serialize};
use sim::tasks::Tasks;
use sim::{Config, Delay, Fault, Limits, MILLIS, Nanos, NodeId, SECONDS};

use super::coordinator::{Coordinator, FIRST};
use super::judge::{
    ABANDONED, AGAIN, AT_LIMIT, BOUNDED, BURST, CAME_BACK, Crawl, DOWN, DUPLICATE, ENDS, EVERY_PAGE, EXPIRED,
    FAILED_TOGETHER, FEW_PER_HOST, HERD, ONCE, RECOVERED, REDIRECTED, RENEWED, RESTS, SPELLED, SPLIT,
};
use super::scheme::{
    Acceptance, Keeping, Leaving, Partitioning, Pauses, Redirects, Refill, Renewal, Results, Scheme,
    Spelling, Termination, WhenDown,
};
use super::worker::{Weather, Worker};
use super::{CrawlMessage, Url};
use crate::crawler::scenarios::{CrawlerSettings, WebSource, input};
use crate::networks::{CALM, NetworkName};
use crate::settings::within;
use crate::web::Web;

/// What can be set in every scenario of the distributed crawler.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistributedSettings {
    /// How many coordinators: 1 to 16.
    pub coordinators: u32,
    /// How many workers: 1 to 1,000.
    pub workers: u32,
    /// The network and the faults.
    pub network: NetworkName,
    /// How many tokens a host has, 1 to 1,000: so many fetches of it go on at once, and so many begin within a delay.
    pub tokens: u32,
    /// How long a host rests before a token comes back, in milliseconds; with 0, any number of fetches go on at once.
    pub delay_ms: u64,
    /// Whether pages are slow or down for a while, and links are written in every way there is.
    pub rough: bool,
    /// The web, unless `site` names one.
    pub web: WebSource,
    /// How many pages a generated web has: 1 to 1,000,000.
    pub pages: u32,
    /// The seed of a generated web.
    pub web_seed: u64,
    /// A directory of HTML pages, or a web in a JSON file; empty for none.
    pub site: String,
    /// The page of the directory that the crawl starts from; empty for `index.html`.
    pub start: String,
    /// The web, once it was asked for: a directory is read once.
    #[serde(skip)]
    loaded: OnceLock<Web>,
}

/// A distributed crawler.
#[derive(Clone, Debug)]
pub struct DistributedScenario {
    name: &'static str,
    about: &'static str,
    expected: Expected,
    scheme: Scheme,
    workers: u32,
    network: NetworkName,
    trouble: Trouble,
    web: WebSource,
    situations: &'static [&'static str],
}

/// What goes wrong besides what the network brings with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    Nothing,
    /// Workers leave without a word, and others come in their place.
    WorkersComeAndGo,
    /// The first coordinator is down when all workers begin.
    FirstIsDown,
}

impl Trouble {
    fn happen(self, config: &mut Config, coordinators: u32) {
        match self {
            Self::Nothing => {}
            Self::WorkersComeAndGo => {
                config.faults.rates.crash_every = 400 * MILLIS;
                config.faults.rates.crash_nodes = Some((coordinators..config.nodes).map(NodeId).collect());
                config.faults.until = config.faults.until.min(CALM);
            }
            Self::FirstIsDown => {
                let down = Some(700 * MILLIS);
                config.faults.list.push(Fault::Crash { node: FIRST, at: 1, down });
            }
        }
    }
}

impl DistributedSettings {
    /// What says where the web comes from.
    fn source(&self) -> CrawlerSettings {
        CrawlerSettings {
            web: self.web,
            pages: self.pages,
            web_seed: self.web_seed,
            site: self.site.clone(),
            start: self.start.clone(),
        }
    }

    /// # Errors
    /// A sentence that says why there is no such web.
    fn web(&self) -> Result<Web, String> {
        if let Some(web) = self.loaded.get() {
            return Ok(web.clone());
        }
        let web = self.source().web()?;
        Ok(self.loaded.get_or_init(|| web).clone())
    }
}

impl Scenario for DistributedScenario {
    type Process = Tasks<CrawlMessage>;
    type Settings = DistributedSettings;

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

    fn defaults(&self) -> DistributedSettings {
        DistributedSettings {
            coordinators: self.scheme.coordinators,
            workers: self.workers,
            network: self.network,
            tokens: self.scheme.tokens,
            delay_ms: self.scheme.delay / MILLIS,
            rough: true,
            web: self.web,
            pages: 12,
            web_seed: 1,
            site: String::new(),
            start: String::new(),
            loaded: OnceLock::new(),
        }
    }

    fn setup(&self, settings: &DistributedSettings) -> Result<Setup<Tasks<CrawlMessage>>, String> {
        let &DistributedSettings { coordinators, workers, network, tokens, delay_ms, rough, .. } = settings;
        within("coordinators", coordinators.into(), 1, 16)?;
        within("workers", workers.into(), 1, 1_000)?;
        within("tokens", tokens.into(), 1, 1_000)?;
        within("delay_ms", delay_ms, 0, 60_000)?;
        if delay_ms == 0 && tokens != self.scheme.tokens {
            return Err(format!(
                "tokens={tokens} and delay_ms=0: without a delay no fetch waits for a token"
            ));
        }
        settings.source().nothing_ignored(&self.defaults().source())?;
        let web = settings.web()?;
        let input = input(&settings.site, &web);
        let scheme = Scheme { coordinators, tokens, delay: delay_ms * MILLIS, ..self.scheme };
        let mut config = Config::new(coordinators + workers);
        config.network = network.network();
        config.faults = network.faults();
        self.trouble.happen(&mut config, coordinators);
        // A disk that is asked for little and takes its time: what is not durable yet is worth something.
        config.sync_delay = Delay::Uniform { min: 5 * MILLIS, max: 40 * MILLIS };
        let time = if web.len() > 100 { 1_000_000 * SECONDS } else { 30 * SECONDS };
        // A crawl of a large web takes longer than the troubles of a small one: they last as long as some of it.
        let troubles = web.len() as u64 * MILLIS;
        if config.faults.until < Nanos::MAX {
            config.faults.until = config.faults.until.max(troubles);
        }
        config.limits = Limits { time, steps: 100_000_000, ..Limits::default() };
        let names = (1..=coordinators).map(|n| format!("coordinator-{n}"));
        let names = names.chain((1..=workers).map(|n| format!("worker-{n}"))).collect();
        let root: Url = web.url(web.root()).into();
        let weather = Weather { web, rough };
        Ok(Setup::new(names, config, move |node| {
            let (root, weather) = (root.clone(), weather.clone());
            Tasks::new(move |rt| async move {
                if node.0 < coordinators {
                    Coordinator::run(rt, scheme, root).await;
                } else {
                    Worker::run(rt, scheme, weather).await;
                }
            })
        })
        .with_input(input))
    }

    fn judge(
        &self,
        settings: &DistributedSettings,
        run: &Run<'_, Tasks<CrawlMessage>>,
        judgement: &mut Judgement,
    ) {
        let web = settings.web().expect("the world was made with it");
        let &DistributedSettings { coordinators, tokens, delay_ms, rough, .. } = settings;
        Crawl { run, web: &web, coordinators, tokens, delay: delay_ms * MILLIS, rough }.judge(judgement);
    }

    /// One worker and many, in a world in which nothing goes wrong and in one in which everything does.
    fn compared(&self, settings: &DistributedSettings) -> Vec<Vec<DistributedSettings>> {
        let worlds = [(NetworkName::Reliable, false), (NetworkName::Hostile, true)];
        let group = |(network, rough)| {
            let with = |workers| DistributedSettings { workers, network, rough, ..settings.clone() };
            [1, 8, 64].map(with).to_vec()
        };
        worlds.map(group).to_vec()
    }
}

const BASE: DistributedScenario = DistributedScenario {
    name: "",
    about: "",
    expected: Expected::Holds,
    scheme: Scheme::RIGHT,
    workers: 3,
    network: NetworkName::Hostile,
    trouble: Trouble::Nothing,
    web: WebSource::Canned,
    situations: &[],
};

/// Twelve pages on four hosts, so that several coordinators have work.
const SEVERAL: DistributedScenario = DistributedScenario {
    scheme: Scheme { coordinators: 3, ..Scheme::RIGHT },
    web: WebSource::Random,
    ..BASE
};

/// Workers of which one or another is always missing, on a network that does nothing of its own.
const COME_AND_GO: DistributedScenario =
    DistributedScenario { network: NetworkName::Reliable, trouble: Trouble::WorkersComeAndGo, ..BASE };

/// Sixteen workers that begin together while their only coordinator is down.
const OUTAGE: DistributedScenario = DistributedScenario {
    scheme: Scheme { coordinators: 1, ..Scheme::RIGHT },
    workers: 16,
    network: NetworkName::Reliable,
    trouble: Trouble::FirstIsDown,
    ..BASE
};

const TWO_TOKENS: Scheme = Scheme { tokens: 2, ..SEVERAL.scheme };

/// Every distributed crawler.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn scenarios() -> Vec<DistributedScenario> {
    vec![
        DistributedScenario {
            name: "c9-distributed",
            about: "C9: leases with heartbeats, results deduplicated, a frontier on disk, an end that is found in two rounds",
            situations: &[
                EXPIRED, RENEWED, RECOVERED, CAME_BACK, DUPLICATE, DOWN, REDIRECTED, SPELLED, ABANDONED,
                AGAIN,
            ],
            ..BASE
        },
        DistributedScenario {
            name: "c9-several-coordinators",
            about: "C9: the same on four hosts that consistent hashing splits over three coordinators",
            situations: &[
                EXPIRED, RENEWED, RECOVERED, CAME_BACK, DUPLICATE, DOWN, REDIRECTED, SPELLED, SPLIT,
                ABANDONED, AGAIN,
            ],
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-token-bucket",
            about: "C9: a host has two tokens: two fetches of it at once, and two within the time in which one comes back",
            scheme: TWO_TOKENS,
            situations: &[BURST, AT_LIMIT, EXPIRED, RECOVERED, SPLIT],
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-token-back-too-soon",
            about: "C9: a token comes back some time after it was given, although the fetch may not have begun",
            expected: Expected::ViolatesBoth(RESTS, FEW_PER_HOST),
            scheme: Scheme { refill: Refill::AfterGrant, ..SEVERAL.scheme },
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-workers-come-and-go",
            about: "C9: workers leave without a word, in the middle of a page, and others come in their place",
            situations: &[EXPIRED, CAME_BACK, AGAIN],
            ..COME_AND_GO
        },
        DistributedScenario {
            name: "c9-lease-for-ever",
            about: "C9: a lease has no end: what a worker had that left is never given to another",
            expected: Expected::Violates(ENDS),
            scheme: Scheme { leaving: Leaving::LeaseForEver, ..COME_AND_GO.scheme },
            ..COME_AND_GO
        },
        DistributedScenario {
            name: "c9-busy-for-ever",
            about: "C9: a worker that left with a lease is taken for busy, and is given nothing when it comes back",
            expected: Expected::Violates(ENDS),
            scheme: Scheme { leaving: Leaving::BusyForEver, ..COME_AND_GO.scheme },
            ..COME_AND_GO
        },
        DistributedScenario {
            name: "c9-outage",
            about: "C9: sixteen workers begin while the coordinator is down, and each asks again after a pause of its own",
            situations: &[FAILED_TOGETHER],
            ..OUTAGE
        },
        DistributedScenario {
            name: "c9-no-jitter",
            about: "C9: all pauses are alike: workers that asked in vain together ask again together",
            expected: Expected::Violates(HERD),
            scheme: Scheme { pauses: Pauses::Alike, ..OUTAGE.scheme },
            ..OUTAGE
        },
        DistributedScenario {
            name: "c9-frontier-in-memory",
            about: "C9: the pages are on disk and the frontier is not: after a crash there is nothing left to do",
            expected: Expected::Violates(EVERY_PAGE),
            scheme: Scheme { keeping: Keeping::PagesOnly, ..SEVERAL.scheme },
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-confirmed-too-soon",
            about: "C9: a coordinator confirms what is not durable yet: after a crash nobody has the URL",
            expected: Expected::Violates(EVERY_PAGE),
            scheme: Scheme { keeping: Keeping::ConfirmedTooSoon, ..SEVERAL.scheme },
            // A URL that only one page links to: who else found it would tell of it too.
            web: WebSource::Chain,
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-lease-not-renewed",
            about: "C9: no heartbeats: a page that takes longer than a lease is fetched for ever",
            expected: Expected::ViolatesBoth(ENDS, BOUNDED),
            scheme: Scheme { renewal: Renewal::Never, ..Scheme::RIGHT },
            ..BASE
        },
        DistributedScenario {
            name: "c9-old-lease-accepted",
            about: "C9: a worker fetches on a lease that was long on its way, while another has the next",
            expected: Expected::ViolatesBoth(RESTS, FEW_PER_HOST),
            scheme: Scheme { acceptance: Acceptance::Any, ..SEVERAL.scheme },
            // Most of its messages are late.
            network: NetworkName::Labrpc,
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-duplicate-stored",
            about: "C9: a second result for a URL is stored too",
            expected: Expected::Violates(ONCE),
            scheme: Scheme { results: Results::All, ..Scheme::RIGHT },
            ..BASE
        },
        DistributedScenario {
            name: "c9-frontier-only",
            about: "C9: the crawl is taken for over when no frontier holds a URL, whatever is being fetched",
            expected: Expected::Violates(EVERY_PAGE),
            scheme: Scheme { termination: Termination::FrontierOnly, ..Scheme::RIGHT },
            ..BASE
        },
        DistributedScenario {
            name: "c9-one-round",
            about: "C9: the crawl is taken for over when all were idle once, each at another time",
            expected: Expected::Violates(EVERY_PAGE),
            scheme: Scheme { termination: Termination::OneRound, ..SEVERAL.scheme },
            // One URL after the other: whoever is asked at another time than the one that has it is idle.
            web: WebSource::Chain,
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-not-normalised",
            about: "C9: two spellings of one URL are two URLs, and two spellings of one host two hosts",
            expected: Expected::ViolatesBoth(ONCE, RESTS),
            scheme: Scheme { spelling: Spelling::AsWritten, ..Scheme::RIGHT },
            ..BASE
        },
        DistributedScenario {
            name: "c9-split-by-url",
            about: "C9: the URLs of one host are split over coordinators, each of which lets the host rest from its own",
            expected: Expected::ViolatesBoth(RESTS, FEW_PER_HOST),
            scheme: Scheme { partitioning: Partitioning::ByUrl, ..SEVERAL.scheme },
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-down-is-missing",
            about: "C9: a page whose host is down for a while is taken for missing",
            expected: Expected::Violates(EVERY_PAGE),
            scheme: Scheme { when_down: WhenDown::TakenForMissing, ..Scheme::RIGHT },
            ..BASE
        },
        DistributedScenario {
            name: "c9-no-backoff",
            about: "C9: a page whose host is down is fetched again as soon as politeness allows, for as long as it is down",
            expected: Expected::Violates(BOUNDED),
            scheme: Scheme { when_down: WhenDown::RetriedAtOnce, delay: 5 * MILLIS, ..SEVERAL.scheme },
            // Whatever else goes wrong only makes it slower.
            network: NetworkName::Reliable,
            ..SEVERAL
        },
        DistributedScenario {
            name: "c9-redirect-ignored",
            about: "C9: an address that a page has moved from is taken for a page that is missing",
            expected: Expected::Violates(EVERY_PAGE),
            scheme: Scheme { redirects: Redirects::Ignored, ..Scheme::RIGHT },
            web: WebSource::Chain,
            ..BASE
        },
    ]
}
