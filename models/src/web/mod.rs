//! The webs that crawlers crawl: which pages there are, and which page links to which.
//!
//! A crawler is judged against a plain traversal of the graph ([`Web::reachable`]), so the web is a value
//! apart from any crawler and any network: it is built once, before the run, and only asked during it.
//! A web comes from the lecture ([`Web::canned`]), from a seed ([`Web::generate`]), from a JSON text
//! ([`Web::from_json`]), or from a directory of HTML pages ([`Web::from_directory`]). The same source
//! gives the same web, with the same page ids, on every machine.
//!
//! Deliberately absent: the contents of pages, fetching, delays, redirects as a kind of answer of their
//! own, robots.txt, and a web that changes while it is crawled. How a page is served is the business of
//! the crawler's scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hasher;
use std::ops::Range;
use std::sync::Arc;

use petgraph::graph::{DiGraph, Edge, NodeIndex};
use petgraph::visit::{Bfs, Walker};
use serde::{Deserialize, Serialize};

mod attributes;
mod canned;
mod generate;
mod json;
mod links;
mod site;

pub use generate::{UnknownWebKind, WebKind};
pub use json::WebFileError;
pub use site::SiteError;

/// The number of a page within its web, from 0 without gaps.
///
/// The pages that exist come first, in the order of their source; the missing ones follow, in the order
/// in which the pages mention them. An id means nothing in another web.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageId(pub u32);

impl PageId {
    fn new(index: usize) -> Self {
        PageId(u32::try_from(index).expect("a web has fewer than 2^32 pages"))
    }

    fn index(self) -> usize {
        self.0 as usize
    }

    fn node(self) -> NodeIndex {
        NodeIndex::new(self.index())
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

/// A page as the graph holds it. See [`Web::graph`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    url: Arc<str>,
    exists: bool,
    /// Where this page's links lie among the edges of the graph. Petgraph does not promise the order in
    /// which it visits neighbours; it does promise that edges are numbered as they were added.
    links: Range<usize>,
}

impl Page {
    /// The address of the page.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a fetch finds the page, or it is only linked to.
    pub fn exists(&self) -> bool {
        self.exists
    }
}

/// A web: pages, the links between them, and the page where a crawl starts.
///
/// A link to a page that does not exist is a link to a missing page, which is a node of its own without
/// links. A page links to another at most once, and may link to itself. Cloning shares the graph.
///
/// Methods that take a [`PageId`] panic when it is not one of this web.
///
/// ```
/// # use snowglobe_models as models;
/// use models::web::Web;
///
/// let web = Web::canned();
/// let links: Vec<&str> = web.links(web.root()).map(|page| web.url(page)).collect();
/// assert_eq!(links, ["http://golang.org/pkg/", "http://golang.org/cmd/"]);
/// assert!(!web.exists(web.find("http://golang.org/cmd/").unwrap()));
/// assert_eq!(web.reachable().len(), 5);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Web {
    shared: Arc<Shared>,
}

struct Shared {
    graph: DiGraph<Page, ()>,
    by_url: BTreeMap<Arc<str>, PageId>,
    root: PageId,
}

impl Web {
    /// The page where a crawl starts. It exists.
    pub fn root(&self) -> PageId {
        self.shared.root
    }

    /// The page with this URL, compared byte by byte.
    pub fn find(&self, url: &str) -> Option<PageId> {
        self.shared.by_url.get(url).copied()
    }

    /// The address of a page. Pages of a directory are named by their path from its top: `/pkg/fmt.html`.
    pub fn url(&self, page: PageId) -> &str {
        self.page(page).url()
    }

    /// The host in the URL of a page, with its port if there is one; empty for a page of a directory.
    pub fn host(&self, page: PageId) -> &str {
        let Some((_, rest)) = self.url(page).split_once("://") else { return "" };
        rest.split('/').next().unwrap_or(rest)
    }

    /// A number that follows from the URL of a page alone, for names and identities.
    pub(crate) fn key(&self, page: PageId) -> u64 {
        hash(self.url(page))
    }

    /// A digest of all that a crawler can tell: where it starts, every URL, whether there is a page, and its links.
    pub fn digest(&self) -> u64 {
        let mut digest = sim::Digest::new(self.shared.graph.edge_count() as u64);
        digest.write_u32(self.root().0);
        for page in self.pages() {
            digest.write_u64(self.key(page));
            digest.write(self.url(page).as_bytes());
            digest.write_u8(u8::from(self.exists(page)));
            for link in self.links(page) {
                digest.write_u32(link.0);
            }
        }
        digest.finish()
    }

    /// Whether a fetch finds the page.
    pub fn exists(&self, page: PageId) -> bool {
        self.page(page).exists()
    }

    /// What a page links to, in the order of the page, each target once.
    pub fn links(&self, page: PageId) -> impl DoubleEndedIterator<Item = PageId> + ExactSizeIterator + Clone {
        let edges = &self.shared.graph.raw_edges()[self.page(page).links.clone()];
        edges.iter().map(|edge| PageId::new(edge.target().index()))
    }

    /// The number of pages, the missing ones and those no crawl can reach included.
    pub fn len(&self) -> usize {
        self.shared.graph.node_count()
    }

    /// Never true: a web has at least its root.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every page, the missing ones included, in the order of ids.
    pub fn pages(&self) -> impl DoubleEndedIterator<Item = PageId> + ExactSizeIterator + use<> {
        (0..PageId::new(self.len()).0).map(PageId)
    }

    /// The pages that a right crawl fetches: those on some path of links from the root, the root and the
    /// missing pages included.
    ///
    /// This is petgraph's breadth-first search and shares no code with any crawler.
    pub fn reachable(&self) -> BTreeSet<PageId> {
        let graph = &self.shared.graph;
        Bfs::new(graph, self.root().node()).iter(graph).map(|node| PageId::new(node.index())).collect()
    }

    /// The graph itself, for the algorithms of petgraph; the index of a node is the number in its [`PageId`].
    pub fn graph(&self) -> &DiGraph<Page, ()> {
        &self.shared.graph
    }

    fn page(&self, page: PageId) -> &Page {
        &self.shared.graph[page.node()]
    }
}

impl fmt::Debug for Web {
    // A web sits in the state of nodes and in messages of failed assertions: one line, not its pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("root", &self.url(self.root())).field("pages", &self.len()).finish()
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        let (edges, others) = (self.graph.raw_edges(), other.graph.raw_edges());
        self.root == other.root
            && self.graph.node_weights().eq(other.graph.node_weights())
            && edges.iter().map(Edge::target).eq(others.iter().map(Edge::target))
    }
}

impl Eq for Shared {}

/// A text as a number: FNV-1a.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A web under construction. Links may be added in any order; the ids it gives out are its own, and
/// [`Builder::finish`] numbers the pages anew, so that the numbers do not depend on how a source was read.
#[derive(Default)]
struct Builder {
    drafts: Vec<Draft>,
    by_url: BTreeMap<Arc<str>, DraftId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct DraftId(usize);

struct Draft {
    url: Arc<str>,
    exists: bool,
    links: Vec<DraftId>,
}

impl Builder {
    /// The page with this URL, missing until it is declared.
    fn mention(&mut self, url: &str) -> DraftId {
        if let Some(&id) = self.by_url.get(url) {
            return id;
        }
        let id = DraftId(self.drafts.len());
        let url: Arc<str> = url.into();
        self.drafts.push(Draft { url: Arc::clone(&url), exists: false, links: Vec::new() });
        self.by_url.insert(url, id);
        id
    }

    /// Says that the page with this URL exists.
    fn declare(&mut self, url: &str) -> DraftId {
        let id = self.mention(url);
        self.drafts[id.0].exists = true;
        id
    }

    /// Whether the page with this URL was declared.
    fn declared(&self, url: &str) -> Option<DraftId> {
        self.by_url.get(url).copied().filter(|id| self.drafts[id.0].exists)
    }

    /// Adds a link. The second of two equal links has no effect.
    fn link(&mut self, from: DraftId, to: DraftId) {
        self.drafts[from.0].links.push(to);
    }

    fn finish(self, root: DraftId) -> Web {
        assert!(self.drafts[root.0].exists, "the root of a web exists");
        let (ids, order) = self.numbered();
        let mut graph =
            DiGraph::with_capacity(order.len(), self.drafts.iter().map(|page| page.links.len()).sum());
        for draft in &order {
            let Draft { url, exists, .. } = &self.drafts[draft.0];
            graph.add_node(Page { url: Arc::clone(url), exists: *exists, links: 0..0 });
        }
        let mut linked_last_by = vec![None; order.len()];
        for (index, draft) in order.iter().enumerate() {
            let (page, first) = (PageId::new(index), graph.edge_count());
            for target in self.drafts[draft.0].links.iter().map(|link| ids[link.0]) {
                if linked_last_by[target.index()].replace(page) != Some(page) {
                    graph.add_edge(page.node(), target.node(), ());
                }
            }
            let links = first..graph.edge_count();
            assert!(links.is_empty() || graph[page.node()].exists, "a missing page has no links");
            graph[page.node()].links = links;
        }
        let by_url = self.by_url.into_iter().map(|(url, draft)| (url, ids[draft.0])).collect();
        Web { shared: Arc::new(Shared { graph, by_url, root: ids[root.0] }) }
    }

    /// The id of each draft, and the drafts in the order of ids.
    fn numbered(&self) -> (Vec<PageId>, Vec<DraftId>) {
        let declared = (0..self.drafts.len()).map(DraftId).filter(|draft| self.drafts[draft.0].exists);
        let mut order: Vec<DraftId> = declared.collect();
        let mut ids = vec![None; self.drafts.len()];
        for (index, draft) in order.iter().enumerate() {
            ids[draft.0] = Some(PageId::new(index));
        }
        let mut missing = Vec::new();
        for link in order.iter().flat_map(|draft| &self.drafts[draft.0].links) {
            ids[link.0].get_or_insert_with(|| {
                missing.push(*link);
                PageId::new(order.len() + missing.len() - 1)
            });
        }
        order.append(&mut missing);
        let ids = ids.into_iter().map(|id| id.expect("a page exists or is linked to")).collect();
        (ids, order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pages that link to each other, to a missing page and to themselves, each link written twice.
    fn pair() -> Web {
        let mut builder = Builder::default();
        let (lost, b) = (builder.mention("lost"), builder.declare("b"));
        let a = builder.declare("a");
        for _ in 0..2 {
            for (from, to) in [(a, lost), (b, a), (a, b), (b, b), (a, a)] {
                builder.link(from, to);
            }
        }
        builder.finish(a)
    }

    #[test]
    fn pages_that_exist_are_numbered_before_missing_ones() {
        let web = pair();
        let facts: Vec<_> = web.pages().map(|page| (page.0, web.url(page), web.exists(page))).collect();
        assert_eq!(facts, [(0, "b", true), (1, "a", true), (2, "lost", false)]);
        assert_eq!(web.root(), PageId(1));
        assert!(web.pages().all(|page| web.find(web.url(page)) == Some(page)));
        assert_eq!(web.find("c"), None);
    }

    #[test]
    fn links_keep_the_order_of_the_page_and_name_a_target_once() {
        let web = pair();
        assert_eq!(web.links(PageId(1)).collect::<Vec<_>>(), [PageId(2), PageId(0), PageId(1)]);
        assert_eq!(web.links(PageId(0)).collect::<Vec<_>>(), [PageId(1), PageId(0)]);
        assert_eq!(web.links(PageId(2)).len(), 0);
    }

    #[test]
    fn a_clone_is_the_same_web_and_another_web_is_not() {
        let web = pair();
        assert_eq!(web.clone(), web);
        assert_eq!(pair(), web);
        assert_ne!(Web::canned(), web);
    }

    #[test]
    fn the_digest_tells_every_difference_that_a_crawler_can_tell() {
        let web = |root: &str, pages: &[(&str, &[&str])]| {
            let mut builder = Builder::default();
            for (url, links) in pages {
                let page = builder.declare(url);
                for link in *links {
                    let link = builder.mention(link);
                    builder.link(page, link);
                }
            }
            let root = builder.declare(root);
            builder.finish(root).digest()
        };
        let webs = [
            web("a", &[("a", &["b"]), ("b", &[])]),
            web("b", &[("a", &["b"]), ("b", &[])]),
            web("a", &[("a", &["b"])]),
            web("a", &[("a", &["b"]), ("b", &["a"])]),
            web("a", &[("a", &["b", "c"]), ("b", &[])]),
            web("a", &[("a", &["c", "b"]), ("b", &[])]),
            web("a", &[("a", &["c"]), ("c", &[])]),
            web("a", &[("a", &["b"]), ("b", &[]), ("c", &[])]),
        ];
        let different: std::collections::BTreeSet<u64> = webs.into_iter().collect();
        assert_eq!(different.len(), webs.len());
        assert_eq!(web("a", &[("a", &["b"]), ("b", &[])]), webs[0]);
    }

    #[test]
    fn the_host_is_read_from_the_url() {
        let mut builder = Builder::default();
        let urls = ["http://a.example:80/x/y", "https://b.example", "/pkg/index.html"];
        let pages = urls.map(|url| builder.declare(url));
        let web = builder.finish(pages[0]);
        let hosts: Vec<&str> = web.pages().map(|page| web.host(page)).collect();
        assert_eq!(hosts, ["a.example:80", "b.example", ""]);
    }

    #[test]
    fn a_web_may_be_shared_between_threads_and_shown_on_one_line() {
        fn shared<T: Send + Sync + Clone>(_: &T) {}
        let web = pair();
        shared(&web);
        assert_eq!(format!("{web:?} {}", web.root()), r#"Web { root: "a", pages: 3 } page 1"#);
    }
}
