//! Crawling a real directory of HTML pages, through the command line.

use std::fs;
use std::path::Path;

use snowglobe::cli::{self, Exit, Streams};

fn ask(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["snowglobe"].iter().chain(args);
    let exit = cli::run(&snowglobe::models::catalogue(), args, &mut Streams::new(&mut out, &mut err));
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (exit, text(out), text(err))
}

/// Five pages, one of them missing, with a cycle, a fragment, a link upwards and a link to elsewhere.
fn site(root: &Path) {
    let page = |path: &str, links: &[&str]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a page has a directory")).expect("it can be made");
        let links: Vec<_> = links.iter().map(|link| format!("<a href=\"{link}\">x</a>")).collect();
        fs::write(path, format!("<html><body>{}</body></html>", links.concat())).expect("it can be written");
    };
    page("index.html", &["a.html", "deep/b.html#middle", "https://elsewhere.example/"]);
    page("a.html", &["index.html", "missing.html"]);
    page("deep/b.html", &["../a.html", "c.html"]);
    page("deep/c.html", &["b.html"]);
}

#[test]
fn right_crawlers_fetch_every_page_of_a_directory_once_and_wrong_ones_are_found() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    site(directory.path());
    let dir = directory.path().to_str().expect("UTF-8");
    for right in ["crawler/c1-serial", "crawler/c5-locked", "crawler/c7-channels"] {
        let (exit, out, err) = ask(&["run", right, "--site", dir, "--story"]);
        assert_eq!(exit, Exit::Holds, "{right}: {out}{err}");
        for page in ["/index.html", "/a.html", "/deep/b.html", "/deep/c.html", "/missing.html"] {
            let fetches = out.lines().filter(|line| line.contains("fetch {") && line.contains(page)).count();
            assert_eq!(fetches, 1, "{right} fetched {page} {fetches} times:\n{out}");
        }
    }
    for wrong in ["crawler/c2-spawn-without-waiting", "crawler/c7-silent-on-error"] {
        assert_eq!(ask(&["run", wrong, "--site", dir]).0, Exit::Violated, "{wrong}");
    }
}

#[test]
fn what_is_no_site_is_refused_in_a_sentence() {
    let empty = tempfile::tempdir().expect("a temporary directory");
    let empty = empty.path().to_str().expect("UTF-8");
    for (args, expected) in [
        (["run", "crawler/c1-serial", "--site", "/no/such/directory"], "does not exist"),
        (["run", "crawler/c1-serial", "--site", empty], "holds no html page"),
        (["run", "rpc/s3-at-least-once", "--site", empty], "has no setting \"site\""),
    ] {
        let (exit, out, err) = ask(&args);
        assert_eq!((exit, &*out), (Exit::Unusable, ""), "{args:?}");
        assert!(err.contains(expected) && err.lines().count() == 1, "{args:?}: {err}");
    }
}
