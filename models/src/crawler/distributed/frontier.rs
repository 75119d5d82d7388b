//! The frontier of one coordinator: which URLs it knows, which wait, which are on lease, and the log that all of it but
//! the leases can be made from again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sim::{Nanos, NodeId};

use super::scheme::{LEASE, Leaving, Refill, Scheme};
use super::{Url, address};

/// The file that a coordinator's frontier is logged in.
pub(super) const LOG: &str = "log";
/// A line without this at its end was torn by a crash and is none.
const END: &str = "\t.";
/// Between the words of a line: no address holds one.
const GAP: char = '\t';

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// These URLs are to be fetched.
    Known(Vec<Url>),
    /// A URL was fetched: whether it was a page, and what was new in it. One line, so that no crash keeps the one
    /// without the other.
    Done { url: Url, page: bool, new: Vec<Url> },
    /// The crawl has ended.
    End,
}

impl Entry {
    pub(super) fn line(&self) -> String {
        let mut line = String::new();
        let urls = match self {
            Self::Known(urls) => {
                line.push_str("known");
                urls.as_slice()
            }
            Self::Done { url, page, new } => {
                let _ = write!(line, "{}{GAP}{url}", if *page { "page" } else { "nopage" });
                new.as_slice()
            }
            Self::End => {
                line.push_str("end");
                &[]
            }
        };
        for url in urls {
            line.push(GAP);
            line.push_str(url);
        }
        line + END + "\n"
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix(END)?.split(GAP);
        let word = words.next()?;
        let mut urls = words.map(Url::from);
        match word {
            "known" => Some(Self::Known(urls.collect())),
            "page" | "nopage" => {
                Some(Self::Done { url: urls.next()?, page: word == "page", new: urls.collect() })
            }
            "end" => Some(Self::End),
            _ => None,
        }
    }
}

/// The entries of a log, as far as crashes have left them whole.
pub(super) fn entries(log: &[u8]) -> impl Iterator<Item = Entry> + '_ {
    log.split(|byte| *byte == b'\n').filter_map(|line| Entry::parse(std::str::from_utf8(line).ok()?))
}

/// A URL on lease.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    url: Url,
    expires: Nanos,
}

/// What waits at one host.
#[derive(Clone, Default, Debug)]
struct Host {
    /// When a URL may be fetched, and the URL.
    waiting: BTreeSet<(Nanos, Url)>,
    on_lease: u32,
    /// When each of the tokens comes back that are neither there nor on lease.
    back_at: Vec<Nanos>,
}

impl Host {
    /// How many tokens are not there.
    fn out(&self, now: Nanos, refill: Refill) -> usize {
        let on_lease = if refill == Refill::AfterLease { self.on_lease as usize } else { 0 };
        on_lease + self.back_at.iter().filter(|at| **at > now).count()
    }

    /// A token comes back then. Those that are back already are forgotten.
    fn rests(&mut self, now: Nanos, until: Nanos) {
        self.back_at.retain(|at| *at > now);
        self.back_at.push(until);
    }
}

/// The frontier.
#[derive(Clone, Debug)]
pub(super) struct Frontier {
    scheme: Scheme,
    me: NodeId,
    /// The URLs that this coordinator owns, with whether they are done.
    known: BTreeMap<Url, bool>,
    /// The URLs of others that it has told them of.
    told: BTreeSet<Url>,
    hosts: BTreeMap<Url, Host>,
    leases: BTreeMap<u64, Lease>,
    last_lease: u64,
    tries: BTreeMap<Url, u32>,
    /// No lease before this: those of an earlier life may still hold.
    closed_until: Nanos,
}

impl Frontier {
    pub(super) fn new(scheme: Scheme, me: NodeId, incarnation: u32, closed_until: Nanos) -> Self {
        Self {
            scheme,
            me,
            known: BTreeMap::new(),
            told: BTreeSet::new(),
            hosts: BTreeMap::new(),
            leases: BTreeMap::new(),
            last_lease: u64::from(incarnation) << 32,
            tries: BTreeMap::new(),
            closed_until,
        }
    }

    pub(super) fn owner(&self, url: &str) -> NodeId {
        address::owner(url, self.scheme.coordinators, self.scheme.partitioning)
    }

    /// Applies an entry of the log. What others own is given back by owner.
    pub(super) fn apply(&mut self, entry: &Entry) -> BTreeMap<NodeId, Vec<Url>> {
        let (done, new) = match entry {
            Entry::Known(urls) => (None, urls),
            Entry::Done { url, new, .. } => (Some(url), new),
            Entry::End => return BTreeMap::new(),
        };
        if let Some(url) = done {
            self.finish(url);
        }
        let mut foreign: BTreeMap<NodeId, Vec<Url>> = BTreeMap::new();
        for url in new {
            let owner = self.owner(url);
            if owner != self.me {
                self.told.insert(url.clone());
                foreign.entry(owner).or_default().push(url.clone());
            } else if !self.known.contains_key(url) {
                self.known.insert(url.clone(), false);
                self.wait(url, 0);
            }
        }
        foreign
    }

    /// Those of the URLs that are new here, each once.
    pub(super) fn new_of(&self, urls: impl IntoIterator<Item = Url>) -> Vec<Url> {
        let mut seen = BTreeSet::new();
        let is_new = |url: &Url| !self.known.contains_key(url) && !self.told.contains(url);
        urls.into_iter().filter(|url| is_new(url) && seen.insert(url.clone())).collect()
    }

    pub(super) fn is_done(&self, url: &str) -> bool {
        self.known.get(url).copied().unwrap_or(false)
    }

    pub(super) fn known(&self) -> u64 {
        self.known.len() as u64
    }

    /// Whether no URL waits.
    pub(super) fn is_empty(&self) -> bool {
        self.hosts.values().all(|host| host.waiting.is_empty())
    }

    /// Whether no URL waits and none is on lease.
    pub(super) fn is_idle(&self) -> bool {
        self.leases.is_empty() && self.is_empty()
    }

    /// Gives a URL on lease, if one may be fetched now.
    pub(super) fn grant(&mut self, now: Nanos) -> Option<(u64, Url)> {
        if now < self.closed_until {
            return None;
        }
        let Scheme { delay, tokens, refill, .. } = self.scheme;
        // A page of a directory has no host, and nobody has to rest.
        let (_, host) = self.hosts.iter_mut().find(|(name, host)| {
            let due = host.waiting.first().is_some_and(|(at, _)| *at <= now);
            due && (delay == 0 || name.is_empty() || host.out(now, refill) < tokens as usize)
        })?;
        let (_, url) = host.waiting.pop_first()?;
        host.on_lease += 1;
        if refill == Refill::AfterGrant {
            host.rests(now, now + delay);
        }
        self.last_lease += 1;
        self.leases.insert(self.last_lease, Lease { url: url.clone(), expires: now + LEASE });
        Some((self.last_lease, url))
    }

    /// Lets a lease hold for another span, if it still does.
    pub(super) fn renew(&mut self, lease: u64, now: Nanos) -> bool {
        let lease = self.leases.get_mut(&lease);
        lease.is_some_and(|lease| {
            lease.expires = now + LEASE;
            true
        })
    }

    /// Takes back the URLs whose leases are over.
    pub(super) fn expire(&mut self, now: Nanos) -> Vec<Url> {
        if self.scheme.leaving == Leaving::LeaseForEver {
            return Vec::new();
        }
        let over: Vec<u64> =
            self.leases.iter().filter(|(_, lease)| lease.expires <= now).map(|(id, _)| *id).collect();
        let urls = over.into_iter().filter_map(|lease| self.release(lease, now)).collect::<Vec<_>>();
        let left: Vec<Url> = urls.into_iter().filter(|url| !self.is_done(url)).collect();
        for url in &left {
            self.wait(url, 0);
        }
        left
    }

    /// Ends a lease. Its host rests before it has the token back.
    pub(super) fn release(&mut self, lease: u64, now: Nanos) -> Option<Url> {
        let Lease { url, .. } = self.leases.remove(&lease)?;
        let host = self.hosts.entry(address::host(&url).into()).or_default();
        host.on_lease -= 1;
        if self.scheme.delay > 0 && self.scheme.refill == Refill::AfterLease {
            host.rests(now, now + self.scheme.delay);
        }
        Some(url)
    }

    /// Puts a URL off after its host was down, unless it waits or is on lease already.
    pub(super) fn put_off(&mut self, url: &Url, pause: impl FnOnce(u32) -> Nanos, now: Nanos) {
        let tries = self.tries.entry(url.clone()).or_default();
        *tries += 1;
        let at = now + pause(*tries - 1);
        let host = self.hosts.entry(address::host(url).into()).or_default();
        host.waiting.retain(|(_, waiting)| waiting != url);
        if !self.leases.values().any(|lease| lease.url == *url) {
            host.waiting.insert((at, url.clone()));
        }
    }

    fn wait(&mut self, url: &Url, at: Nanos) {
        self.hosts.entry(address::host(url).into()).or_default().waiting.insert((at, url.clone()));
    }

    fn finish(&mut self, url: &Url) {
        let host = self.hosts.entry(address::host(url).into()).or_default();
        // It waits at no other time unless it was put off.
        if !host.waiting.remove(&(0, url.clone())) && self.tries.remove(url).is_some() {
            host.waiting.retain(|(_, waiting)| waiting != url);
        }
        self.known.insert(url.clone(), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_no_entry_and_the_lines_around_it_are() {
        let urls = |urls: &[&str]| urls.iter().map(|url| Url::from(*url)).collect::<Vec<_>>();
        let all = [
            Entry::Known(urls(&["/a"])),
            Entry::Done { url: "/a".into(), page: true, new: urls(&["/b", "/c"]) },
            Entry::Done { url: "/b".into(), page: false, new: Vec::new() },
            Entry::End,
        ];
        let lines = all.clone().map(|entry| entry.line());
        assert!(entries(lines.concat().as_bytes()).eq(all.clone()));
        for torn in 1..lines[1].len() - 1 {
            let log = format!("{}{}\n{}", lines[0], &lines[1][..torn], lines[2]);
            assert!(entries(log.as_bytes()).eq([all[0].clone(), all[2].clone()]), "{log:?}");
        }
    }
}
