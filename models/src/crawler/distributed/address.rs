//! Addresses: one spelling for all spellings of a URL, who owns it, and how the pages of a web write it.

use std::borrow::Cow;

use sim::NodeId;

use super::Url;
use super::scheme::Partitioning;
use crate::web::{PageId, Web};

/// What stands before the path of an address that a page once had, and that its host answers with a redirect.
const OLD: &str = "~";

/// The spelling that all spellings of an address have in common (RFC 3986, section 6.2.2, and 6.2.3 for HTTP): scheme and
/// host in lower case, no default port, no fragment, no `.` or `..` in the path, and nothing percent-encoded that need
/// not be.
pub(super) fn normalised(url: &str) -> Cow<'_, str> {
    let whole = url.split('#').next().unwrap_or(url);
    let (origin, path) = split(whole);
    let plain = whole.len() == url.len()
        && !path.contains('%')
        && !path.split('/').any(|segment| segment == "." || segment == "..")
        && !origin.bytes().any(|byte| byte.is_ascii_uppercase())
        && !origin.ends_with(":80")
        && path.starts_with('/');
    if plain {
        return Cow::Borrowed(url);
    }
    let mut normal = origin.to_ascii_lowercase();
    if normal.ends_with(":80") {
        normal.truncate(normal.len() - ":80".len());
    }
    let decoded = decoded(path);
    let mut segments: Vec<&str> = Vec::new();
    let mut rest = decoded.strip_prefix('/').unwrap_or(&decoded).split('/').peekable();
    while let Some(segment) = rest.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if rest.peek().is_none() {
                    segments.push("");
                }
            }
            _ => segments.push(segment),
        }
    }
    normal.push('/');
    normal.push_str(&segments.join("/"));
    Cow::Owned(normal)
}

/// Scheme and host, and the path that follows them.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    if host == 0 {
        return ("", url);
    }
    let path = url[host..].find('/').map_or(url.len(), |at| host + at);
    url.split_at(path)
}

/// Without the percent signs of what RFC 3986 calls unreserved.
fn decoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()).map(char::from);
        if let Some(character) = code.filter(|c| c.is_ascii_alphanumeric() || "-._~".contains(*c)) {
            text.push(character);
            rest = &after[2..];
        } else {
            text.push('%');
            rest = after;
        }
    }
    text + rest
}

/// The host of an address as it is written; empty for a page of a directory.
pub(super) fn host(url: &str) -> &str {
    split(url).0
}

/// The coordinator that owns an address: the first whose place on the ring follows that of the key (Karger and others,
/// STOC 1997). A page of a directory has no host, and no rest to keep: it is its own key.
pub(super) fn owner(url: &str, coordinators: u32, by: Partitioning) -> NodeId {
    /// So many that no coordinator owns much more than its share.
    const PLACES: u32 = 16;
    let host = host(url);
    let key = match by {
        Partitioning::ByHost if !host.is_empty() => hash(host.as_bytes()),
        _ => hash(url.as_bytes()),
    };
    let places = (0..coordinators).flat_map(|node| (0..PLACES).map(move |place| (node, place)));
    let distance = |(node, place): (u32, u32)| {
        hash(&(u64::from(node) << 32 | u64::from(place)).to_le_bytes()).wrapping_sub(key)
    };
    NodeId(places.min_by_key(|place| distance(*place)).map_or(0, |(node, _)| node))
}

/// FNV-1a, and a multiplication that spreads it over the whole ring.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// What a host does with an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// It answers with this page, which may be missing.
    Page(PageId),
    /// It answers with another address.
    Moved(Url),
    /// It knows nothing of the kind.
    Unknown,
}

/// What the hosts of a web do with an address, however it is spelled.
pub(super) fn answer(web: &Web, url: &str) -> Answer {
    let url = normalised(url);
    if let Some(page) = web.find(&url) {
        return Answer::Page(page);
    }
    let (origin, path) = split(&url);
    let current = path.strip_prefix('/').and_then(|path| path.strip_prefix(OLD));
    match current.map(|path| format!("{origin}/{path}")) {
        Some(current) if web.find(&current).is_some() => Answer::Moved(current),
        _ => Answer::Unknown,
    }
}

/// A link as a page writes it: every other one in some spelling of its own, or by an address that the page once had.
pub(super) fn written(web: &Web, from: PageId, to: PageId) -> Url {
    let url = web.url(to);
    let (origin, path) = split(url);
    let path = path.strip_prefix('/').unwrap_or(path);
    match (from.0.wrapping_mul(7) + to.0) % 10 {
        1 => format!("{url}#top"),
        3 => format!("{origin}/./{path}"),
        5 if !origin.is_empty() => format!("{}:80/{path}", origin.to_ascii_uppercase()),
        7 if path.ends_with('l') => format!("{origin}/{}%6C", &path[..path.len() - 1]),
        9 => format!("{origin}/{OLD}{path}"),
        _ => url.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_an_address_are_one() {
        for spelling in [
            "http://golang.org/pkg/fmt/",
            "HTTP://Golang.ORG/pkg/fmt/",
            "http://golang.org:80/pkg/fmt/",
            "http://golang.org/pkg/fmt/#Printf",
            "http://golang.org/./pkg/os/../fmt/.",
            "http://golang.org/%70kg/fm%74/",
        ] {
            assert_eq!(normalised(spelling), "http://golang.org/pkg/fmt/", "{spelling}");
        }
        assert_eq!(normalised("http://golang.org"), "http://golang.org/");
        assert_eq!(normalised("/a/../../b%2Fc%zz%"), "/b%2Fc%zz%");
        assert_eq!(normalised("http://golang.org/Pkg"), "http://golang.org/Pkg", "paths keep their case");
    }

    #[test]
    fn a_web_answers_every_link_that_its_pages_write() {
        for web in [Web::canned(), Web::generate(crate::web::WebKind::Random, 50, 1)] {
            let mut spelled = 0;
            for from in web.pages() {
                for to in web.links(from) {
                    let link = written(&web, from, to);
                    spelled += usize::from(*link != *web.url(to));
                    let answered = match answer(&web, &link) {
                        Answer::Moved(url) => answer(&web, &url),
                        answered => answered,
                    };
                    assert_eq!(answered, Answer::Page(to), "{link}");
                }
            }
            assert!(spelled > 0);
        }
    }

    #[test]
    fn a_coordinator_that_comes_takes_urls_from_the_others_and_moves_none_between_them() {
        let urls: Vec<String> = (0..2_000).map(|n| format!("http://host{n}.example/")).collect();
        let mut shares = [0; 4];
        for url in &urls {
            let three = owner(url, 3, Partitioning::ByHost);
            let four = owner(url, 4, Partitioning::ByHost);
            assert!(four == three || four == NodeId(3), "{url} moved from {three} to {four}");
            shares[four.index()] += 1;
        }
        assert!(shares.iter().all(|share| (200..1_000).contains(share)), "{shares:?}");
    }
}
