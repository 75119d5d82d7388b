//! The web of the lecture, which every crawler is shown with: small enough to be checked by hand, and it
//! has a cycle, a page with two ways to it, and a missing page with two links to it.

use super::{Builder, Web};

const HOST: &str = "http://golang.org";

/// Each page that exists, with what it links to.
const PAGES: [(&str, &[&str]); 4] = [
    ("/", &["/pkg/", "/cmd/"]),
    ("/pkg/", &["/", "/cmd/", "/pkg/fmt/", "/pkg/os/"]),
    ("/pkg/fmt/", &["/", "/pkg/"]),
    ("/pkg/os/", &["/", "/pkg/"]),
];

impl Web {
    /// The web of the lecture on threads and RPC (MIT 6.5840, after the crawler in the Tour of Go): the
    /// start page of `http://golang.org/` and what it leads to.
    ///
    /// A right crawl fetches five pages, of which four exist and `/cmd/` does not.
    pub fn canned() -> Web {
        let mut builder = Builder::default();
        let pages = PAGES.map(|(path, _)| builder.declare(&format!("{HOST}{path}")));
        for (page, (_, links)) in pages.into_iter().zip(PAGES) {
            for link in links {
                let target = builder.mention(&format!("{HOST}{link}"));
                builder.link(page, target);
            }
        }
        builder.finish(pages[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_crawl_finds_four_pages_and_misses_one() {
        let web = Web::canned();
        let (found, missing): (Vec<_>, Vec<_>) =
            web.reachable().into_iter().partition(|page| web.exists(*page));
        let urls = |pages: Vec<_>| pages.into_iter().map(|page| web.url(page).to_owned()).collect::<Vec<_>>();
        let golang = |path: &str| format!("http://golang.org{path}");
        assert_eq!(urls(found), ["/", "/pkg/", "/pkg/fmt/", "/pkg/os/"].map(golang));
        assert_eq!(urls(missing), ["/cmd/"].map(golang));
        assert_eq!(web.len(), 5);
        assert_eq!(web.url(web.root()), "http://golang.org/");
    }

    #[test]
    fn pages_link_as_in_the_lecture() {
        let web = Web::canned();
        let links = |path: &str| {
            let page = web.find(&format!("http://golang.org{path}")).unwrap();
            web.links(page).map(|page| web.url(page).trim_start_matches(HOST)).collect::<Vec<_>>()
        };
        assert_eq!(links("/"), ["/pkg/", "/cmd/"]);
        assert_eq!(links("/pkg/"), ["/", "/cmd/", "/pkg/fmt/", "/pkg/os/"]);
        assert_eq!(links("/pkg/fmt/"), ["/", "/pkg/"]);
        assert_eq!(links("/pkg/os/"), ["/", "/pkg/"]);
        assert!(links("/cmd/").is_empty());
    }
}
