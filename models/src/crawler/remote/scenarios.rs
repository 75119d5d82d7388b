//! C8 under every scheme that says something about fetches.

use std::sync::OnceLock;

use check::ledger::Reader;
use check::{Expected, Judgement, Run, Scenario, Setup};
use serde::{Deserialize, Serialize};
use sim::{Config, Either, EventId, Limits, MILLIS, NodeId, SECONDS};

use super::RemoteCrawler;
use super::judge::{
    Crawl, ENDS, EVERY_PAGE, FETCHED_ALL_THE_SAME, GAVE_UP, IN_PROGRESS, ONCE, OVERLAPPED, RECOGNISED,
    RESENT, RESTS,
};
use crate::crawler::scenarios::{CrawlerSettings, WebSource, input};
use crate::networks::NetworkName;
use crate::rpc::{
    Duplicates, Faults, Identity, Persistence, READER, Retry, RpcMessage, Scheme, Server, Service, Slip,
};
use crate::settings::within;
use crate::web::Web;

const SERVER: NodeId = NodeId(0);
const CRAWLER: NodeId = NodeId(1);

/// What can be set in every scenario of a crawler that fetches through a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSettings {
    /// The network and the faults.
    pub network: NetworkName,
    /// One kind of fault instead of those of the network.
    pub faults: Faults,
    /// How long the crawler lets a host rest between two calls, in milliseconds: 0 to 60,000.
    pub delay_ms: u64,
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

/// A crawler that fetches through a server.
#[derive(Clone, Debug)]
pub struct RemoteScenario {
    name: &'static str,
    about: &'static str,
    expected: Expected,
    scheme: Scheme,
    network: NetworkName,
    faults: Faults,
    /// Whether a crawl that gave pages up is to be judged by them.
    complete: bool,
    situations: &'static [&'static str],
}

impl RemoteSettings {
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

impl Scenario for RemoteScenario {
    type Process = Either<RemoteCrawler, Server>;
    type Settings = RemoteSettings;

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

    fn defaults(&self) -> RemoteSettings {
        RemoteSettings {
            network: self.network,
            faults: self.faults,
            delay_ms: 30,
            web: WebSource::Random,
            pages: 12,
            web_seed: 1,
            site: String::new(),
            start: String::new(),
            loaded: OnceLock::new(),
        }
    }

    fn setup(&self, settings: &RemoteSettings) -> Result<Setup<Self::Process>, String> {
        let &RemoteSettings { network, faults, delay_ms, .. } = settings;
        within("delay_ms", delay_ms, 0, 60_000)?;
        settings.source().nothing_ignored(&self.defaults().source())?;
        let web = settings.web()?;
        let input = input(&settings.site, &web);
        let mut config = Config::new(2);
        config.network = network.with_server(2);
        config.faults = network.faults();
        let time = if web.len() > 100 { 1_000_000 * SECONDS } else { 120 * SECONDS };
        config.limits = Limits { time, steps: 100_000_000, ..Limits::default() };
        faults.apply(&mut config, 1);
        let scheme = self.scheme;
        Ok(Setup::new(vec!["server".to_owned(), "crawler".to_owned()], config, move |node| {
            if node == SERVER {
                Either::Right(Server::new(scheme, Service::new(), Slip::None))
            } else {
                Either::Left(RemoteCrawler::new(web.clone(), scheme, SERVER, delay_ms * MILLIS))
            }
        })
        .with_input(input))
    }

    fn judge(&self, settings: &RemoteSettings, run: &Run<'_, Self::Process>, judgement: &mut Judgement) {
        let web = settings.web().expect("the world was made with it");
        let crawl = Crawl::new(&web, run.history);
        crawl.count_situations(run.history, &self.scheme, judgement);
        crawl.judge_once(judgement);
        crawl.judge_rests(settings.delay_ms * MILLIS, judgement);
        let is_over = matches!(run.world.process(CRAWLER), Some(Either::Left(crawler)) if crawler.is_over());
        if !is_over {
            judgement.violated(ENDS, "the crawler still waits", Vec::new());
        } else if self.complete {
            let ends = run.history.operations.iter().filter_map(|operation| operation.end.as_ref());
            let last = ends.max_by_key(|end| end.at).map_or(EventId::ROOT, |end| end.id);
            crawl.judge_every_page(last, judgement);
        }
    }

    fn ledger(&self) -> Option<Reader<RpcMessage>> {
        Some(READER)
    }
}

/// Retries for ever, and a server that remembers as long as it lives. A fetch takes its time.
const AT_MOST_ONCE: Scheme =
    Scheme { persistence: Persistence::Nothing, window: 4, execution: 10 * MILLIS, ..Scheme::EXACTLY_ONCE };

const AT_LEAST_ONCE: Scheme = Scheme { duplicates: Duplicates::Execute, ..AT_MOST_ONCE };

const BASE: RemoteScenario = RemoteScenario {
    name: "",
    about: "",
    expected: Expected::Holds,
    scheme: AT_MOST_ONCE,
    network: NetworkName::HostileNetwork,
    faults: Faults::OfNetwork,
    complete: true,
    situations: &[],
};

/// Every crawler that fetches through a server.
pub fn scenarios() -> Vec<RemoteScenario> {
    vec![
        RemoteScenario {
            name: "c8-maybe",
            about: "C8: a fetch is asked for once: what the network loses is never fetched",
            expected: Expected::Violates(EVERY_PAGE),
            scheme: Scheme { retry: Retry::Tries(1), ..AT_LEAST_ONCE },
            network: NetworkName::Dslabs,
            situations: &[GAVE_UP, FETCHED_ALL_THE_SAME],
            ..BASE
        },
        RemoteScenario {
            name: "c8-best-effort",
            about: "C8: a fetch is asked for four times and then given up: fetched twice, by a host that had no rest",
            expected: Expected::ViolatesBoth(ONCE, RESTS),
            scheme: Scheme { retry: Retry::Tries(4), ..AT_LEAST_ONCE },
            complete: false,
            situations: &[RESENT, GAVE_UP, FETCHED_ALL_THE_SAME],
            ..BASE
        },
        RemoteScenario {
            name: "c8-at-least-once",
            about: "C8: a fetch is asked for until it is answered: every page, and some of them twice",
            expected: Expected::ViolatesBoth(ONCE, RESTS),
            scheme: AT_LEAST_ONCE,
            situations: &[RESENT, OVERLAPPED],
            ..BASE
        },
        RemoteScenario {
            name: "c8-at-most-once",
            about: "C8: the same, and a server that knows the calls it has seen: once, and politely",
            situations: &[RESENT, RECOGNISED, IN_PROGRESS, OVERLAPPED],
            ..BASE
        },
        RemoteScenario {
            name: "c8-fresh-xid",
            about: "C8: a new identifier whenever a fetch is asked for again: the server knows none of them",
            expected: Expected::ViolatesBoth(ONCE, RESTS),
            scheme: Scheme { identity: Identity::PerAttempt, ..AT_MOST_ONCE },
            situations: &[RESENT],
            ..BASE
        },
        RemoteScenario {
            name: "c8-server-forgets",
            about: "C8: a server that crashes, and knows none of the calls it has seen",
            expected: Expected::Violates(ONCE),
            faults: Faults::ServerCrash,
            ..BASE
        },
        RemoteScenario {
            name: "c8-exactly-once",
            about: "C8: a server that keeps calls and counts in one record: what it fetched from others before a crash, and \
                    had not synced, it fetches again. No record on a disk is one with what is done outside",
            expected: Expected::Violates(ONCE),
            scheme: Scheme { persistence: Persistence::Together, ..AT_MOST_ONCE },
            faults: Faults::ServerCrash,
            ..BASE
        },
    ]
}
