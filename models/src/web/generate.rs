//! Webs made from a seed, for crawls larger than a person would write down.
//!
//! Deliberately absent: floats, and any draw that depends on more than the arguments. The dice are one
//! `ChaCha8` stream per web, which is right here and wrong in a run: nobody takes one link out of a web
//! and expects the others to stay.

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::{Builder, DraftId, Web};

/// The shape of a generated web.
///
/// In each shape every page can be reached from the root, which is page 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebKind {
    /// Each page links to 6 pages drawn alike from all, itself included. Under them lies a random tree that
    /// makes every page reachable: each page but the root is linked from one drawn from those before it.
    Random,
    /// Pages arrive one by one. Each is linked from one earlier page and links to two, all three drawn in
    /// proportion to the links that they have already: a few hubs get most of the links (preferential
    /// attachment, Barabasi and Albert, Science 286, 1999; directed here).
    ScaleFree,
    /// Each page links to the next: as deep as it is long, and never more than one page to fetch at a time
    /// but for the missing ones.
    Chain,
    /// The pages lie on a ring and each links to the next 8: every page lies on many cycles.
    Cycle,
}

impl WebKind {
    /// Every shape, in the order of this page.
    pub const ALL: [WebKind; 4] = [WebKind::Random, WebKind::ScaleFree, WebKind::Chain, WebKind::Cycle];

    /// The name on the command line and in JSON: `random`, `scale-free`, `chain`, `cycle`.
    pub fn name(self) -> &'static str {
        match self {
            WebKind::Random => "random",
            WebKind::ScaleFree => "scale-free",
            WebKind::Chain => "chain",
            WebKind::Cycle => "cycle",
        }
    }
}

impl fmt::Display for WebKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WebKind {
    type Err = UnknownWebKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = WebKind::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownWebKind(name.to_owned()))
    }
}

/// A name that is not the name of a [`WebKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of web is called {0:?}: expected random, scale-free, chain or cycle")]
pub struct UnknownWebKind(String);

impl Web {
    /// A web of `pages` pages that exist (0 is read as 1), the same on every machine for the same arguments.
    ///
    /// Page `i` is `http://hostH.example/pageI` with `H = i % 4`, so that limits per host have something to
    /// limit. Beside each link the dice add, one time in 20, a link to one of `pages / 20 + 1` missing
    /// pages; these come on top of `pages`, and several pages may link to the same one.
    pub fn generate(kind: WebKind, pages: u32, seed: u64) -> Web {
        let mut growth = Growth::new(pages.max(1), seed);
        match kind {
            WebKind::Random => growth.random(),
            WebKind::ScaleFree => growth.scale_free(),
            WebKind::Chain => growth.chain(),
            WebKind::Cycle => growth.cycle(),
        }
        growth.builder.finish(growth.pages[0])
    }
}

const HOSTS: u64 = 4;
const MISSING_ONE_IN: u64 = 20;
const RANDOM_LINKS: usize = 6;
const SCALE_FREE_LINKS: usize = 2;
const CYCLE_LINKS: usize = 8;

struct Growth {
    builder: Builder,
    pages: Vec<DraftId>,
    dice: ChaCha8Rng,
}

impl Growth {
    fn new(pages: u32, seed: u64) -> Self {
        let mut builder = Builder::default();
        let pages = (0..u64::from(pages)).map(|page| builder.declare(&url("page", page))).collect();
        Growth { builder, pages, dice: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn random(&mut self) {
        for page in 1..self.pages.len() {
            let parent = self.below(page);
            self.link(parent, page);
        }
        for page in 0..self.pages.len() {
            for _ in 0..RANDOM_LINKS {
                let target = self.below(self.pages.len());
                self.link(page, target);
            }
        }
    }

    fn scale_free(&mut self) {
        // A page stands here once for arriving and once per link from or to it, so a draw from this list
        // is a draw in proportion to the links.
        let mut ends = vec![0];
        for page in 1..self.pages.len() {
            let parent = ends[self.below(ends.len())];
            let targets = [(); SCALE_FREE_LINKS].map(|()| ends[self.below(ends.len())]);
            self.link(parent, page);
            ends.extend([page, parent]);
            for target in targets {
                self.link(page, target);
                ends.extend([page, target]);
            }
        }
    }

    fn chain(&mut self) {
        for page in 1..self.pages.len() {
            self.link(page - 1, page);
        }
    }

    fn cycle(&mut self) {
        let len = self.pages.len();
        for page in 0..len {
            for step in 1..=CYCLE_LINKS.min(len - 1) {
                self.link(page, (page + step) % len);
            }
        }
    }

    /// Links two pages, and sometimes the first to a missing page as well.
    fn link(&mut self, from: usize, to: usize) {
        let from = self.pages[from];
        self.builder.link(from, self.pages[to]);
        if below(&mut self.dice, MISSING_ONE_IN) == 0 {
            let names = self.pages.len() as u64 / MISSING_ONE_IN + 1;
            let missing = self.builder.mention(&url("missing", below(&mut self.dice, names)));
            self.builder.link(from, missing);
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        below(&mut self.dice, bound as u64) as usize
    }
}

fn url(name: &str, number: u64) -> String {
    format!("http://host{}.example/{name}{number}", number % HOSTS)
}

/// A number below `bound`, each alike but for a bias of at most `bound / 2^64`.
fn below(dice: &mut ChaCha8Rng, bound: u64) -> u64 {
    ((u128::from(dice.next_u64()) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::web::PageId;

    /// The web as a person would draw it: a line per page, links by number, `-` before a missing one.
    fn drawn(web: &Web) -> Vec<String> {
        let mark = |page: PageId| format!("{}{}", if web.exists(page) { "" } else { "-" }, page.0);
        let links = |page: PageId| web.links(page).map(mark).collect::<Vec<_>>().join(" ");
        web.pages().map(|page| format!("{}: {}", mark(page), links(page))).collect()
    }

    /// FNV-1a over the URLs and links of a web.
    fn digest(web: &Web) -> u64 {
        let text = web.to_json();
        text.bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    #[test]
    fn small_webs_of_each_kind_have_these_shapes() {
        let drawn = |kind, pages| drawn(&Web::generate(kind, pages, 1));
        assert_eq!(drawn(WebKind::Random, 4), ["0: 1 3 0", "1: 2 3 1 -4 0", "2: 2 3", "3: 1 3 2 0", "-4: "]);
        assert_eq!(
            drawn(WebKind::ScaleFree, 6),
            ["0: 1 5", "1: 0 2 3", "2: 1 0", "3: 1 4", "4: 0 -6", "5: 3 0", "-6: "]
        );
        assert_eq!(drawn(WebKind::Chain, 4), ["0: 1", "1: 2", "2: 3", "3: "]);
        assert_eq!(drawn(WebKind::Cycle, 3), ["0: 1 2", "1: 2 0", "2: 0 1"]);
    }

    #[test]
    fn large_webs_of_each_kind_have_these_digests() {
        let facts = WebKind::ALL.map(|kind| {
            let web = Web::generate(kind, 1_000, 7);
            (kind.name(), web.len(), web.graph().edge_count(), digest(&web))
        });
        assert_eq!(
            facts,
            [
                ("random", 1_051, 7_336, 0x6706_1b84_da1c_9dc1),
                ("scale-free", 1_047, 3_106, 0x12e7_e984_3afc_9879),
                ("chain", 1_029, 1_043, 0x2500_748b_0bff_167b),
                ("cycle", 1_051, 8_396, 0xf8f2_8675_eb64_bc7c)
            ]
        );
    }

    #[test]
    fn a_web_of_no_pages_is_read_as_a_web_of_one() {
        for kind in WebKind::ALL {
            assert_eq!(Web::generate(kind, 0, 3), Web::generate(kind, 1, 3));
        }
    }

    #[test]
    fn a_chain_is_as_deep_as_it_is_long() {
        let web = Web::generate(WebKind::Chain, 100_000, 0);
        let next = |page: PageId| web.links(page).find(|link| web.exists(*link));
        assert_eq!(std::iter::successors(Some(web.root()), |page| next(*page)).count(), 100_000);
    }

    #[test]
    fn a_scale_free_web_has_hubs_and_a_random_one_has_none() {
        let busiest = |kind| {
            let web = Web::generate(kind, 5_000, 1);
            let arrivals =
                |page: PageId| web.graph().neighbors_directed(page.node(), petgraph::Incoming).count();
            web.pages().filter(|page| web.exists(*page)).map(arrivals).max().unwrap()
        };
        assert!(busiest(WebKind::ScaleFree) > 100, "a hub has far more than the three links of most pages");
        assert!(busiest(WebKind::Random) < 30, "no page has far more than the seven links of most pages");
    }

    #[test]
    fn about_one_link_in_twenty_of_a_random_web_leads_nowhere() {
        let web = Web::generate(WebKind::Random, 10_000, 5);
        let missing =
            web.graph().raw_edges().iter().filter(|edge| !web.graph()[edge.target()].exists()).count();
        let one_in = web.graph().edge_count() / missing;
        assert!((18..=24).contains(&one_in), "one in {one_in}");
    }

    #[test]
    fn kinds_are_named_alike_in_text_and_in_json() {
        for kind in WebKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        let error = "dense".parse::<WebKind>().unwrap_err();
        let expected = r#"no kind of web is called "dense": expected random, scale-free, chain or cycle"#;
        assert_eq!(error.to_string(), expected);
    }

    proptest! {
        #[test]
        fn every_page_of_a_generated_web_is_reachable(index in 0..4_usize, pages in 1..300_u32, seed: u64) {
            let web = Web::generate(WebKind::ALL[index], pages, seed);
            prop_assert_eq!(web.reachable().len(), web.len());
            prop_assert_eq!(web.pages().filter(|page| web.exists(*page)).count(), pages as usize);
            prop_assert_eq!(web.root(), PageId(0));
        }

        #[test]
        fn the_same_arguments_give_the_same_web(index in 0..4_usize, pages in 1..100_u32, seed: u64) {
            let kind = WebKind::ALL[index];
            prop_assert_eq!(Web::generate(kind, pages, seed), Web::generate(kind, pages, seed));
        }

        #[test]
        fn two_seeds_give_two_webs(pages in 50..100_u32, seed: u64) {
            let web = |seed| Web::generate(WebKind::Random, pages, seed);
            prop_assert_ne!(web(seed), web(seed.wrapping_add(1)));
        }
    }
}
