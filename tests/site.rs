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
fn a_report_compares_workers_with_and_without_faults_and_finds_the_pages_of_the_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Each page links to the next two and to one that is missing.
    for page in 0..120 {
        let links = [page + 1, page + 2, 1_000 + page].map(|to| format!("<a href=\"p{to}.html\">x</a>"));
        let name = if page == 0 { "index.html".to_owned() } else { format!("p{page}.html") };
        fs::write(directory.path().join(name), links.concat()).expect("it can be written");
    }
    let dir = directory.path().to_str().expect("UTF-8");
    let args = ["run", "crawler/c9-distributed", "--site", dir, "--report"];
    let (exit, out, err) = ask(&args);
    assert_eq!(exit, Exit::Holds, "{out}{err}");
    let rows: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect())
        .collect();
    let head = rows.iter().position(|row| row.contains(&"speed-up")).expect("the table has a head");
    let column = |name: &str| rows[head].iter().position(|cell| *cell == name).expect("the column is there");
    let of = |name: &str| rows[head + 1..head + 7].iter().map(|row| row[column(name)]).collect::<Vec<_>>();
    assert_eq!(of("workers"), ["1", "8", "64", "1", "8", "64"], "{out}");
    assert_eq!(of("network"), ["reliable", "reliable", "reliable", "hostile", "hostile", "hostile"], "{out}");
    assert_eq!((of("pages by traversal"), of("pages stored")), (vec!["120"; 6], vec!["120"; 6]), "{out}");
    assert_eq!(of("verdict"), ["holds"; 6], "{out}");
    let speed_up: Vec<u64> =
        of("speed-up").iter().map(|text| text.replace('.', "").parse().unwrap()).collect();
    assert_eq!((speed_up[0], speed_up[3]), (100, 100), "{out}");
    assert!(speed_up[1] > 200, "eight workers are faster than one: {out}");
    assert!(of("fetched again")[..3] == ["0"; 3] && of("fetched again")[3..] != ["0"; 3], "{out}");

    let (exit, json, _) = ask(&[&args[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("one JSON document");
    assert_eq!((exit, &json["groups"][1][2]["figures"]["pages stored"]), (Exit::Holds, &120.into()));
    let (exit, markdown, _) = ask(&[&args[..], &["--markdown"]].concat());
    assert_eq!((exit, markdown.lines().filter(|line| line.starts_with("| ")).count()), (Exit::Holds, 7));

    // A crawler that takes a page for missing while its host is down does not agree with the traversal.
    let wrong = ["run", "crawler/c9-down-is-missing", "--site", dir, "--report"];
    let (exit, out, _) = ask(&wrong);
    assert_eq!(exit, Exit::Violated);
    assert!(out.contains("violates    every page is stored: the crawl ended without"), "{out}");
    let (exit, _, err) = ask(&["run", "crawler/c1-serial", "--site", dir, "--report"]);
    assert_eq!((exit, err.lines().count()), (Exit::Unusable, 1), "{err}");
}

#[test]
fn what_is_no_site_is_refused_in_a_sentence() {
    let empty = tempfile::tempdir().expect("a temporary directory");
    let empty = empty.path().to_str().expect("UTF-8");
    for (args, expected) in [
        (["run", "crawler/c1-serial", "--site", "/no/such/directory"], "does not exist"),
        (["run", "crawler/c1-serial", "--site", empty], "holds no html page"),
        (["run", "rpc/s3-at-least-once", "--site", empty], "has no setting \"site\""),
        (["run", "crawler/c1-serial", "--set", "start=a.html"], "only a site that is a directory"),
    ] {
        let (exit, out, err) = ask(&args);
        assert_eq!((exit, &*out), (Exit::Unusable, ""), "{args:?}");
        assert!(err.contains(expected) && err.lines().count() == 1, "{args:?}: {err}");
    }
}

#[test]
fn a_web_in_json_of_another_shape_is_refused_with_the_file_the_place_and_the_shape() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("web.json");
    let name = file.to_str().expect("UTF-8");
    fs::write(&file, "{\n  \"start\": \"/\",\n  \"pages\": []\n}\n").expect("it can be written");
    let (exit, out, err) = ask(&["run", "crawler/c5-locked", "--site", name]);
    assert_eq!((exit, &*out), (Exit::Unusable, ""));
    let place = format!("site {name}: line 2, column 9: unknown field `start`, expected `root` or `pages`");
    let shape = r#"{"root": URL, "pages": [{"url": URL, "links": [URL, ...]}, ...]}"#;
    assert!(err.ends_with(&format!("{place}, and a web is {shape}\n")) && err.lines().count() == 1, "{err}");
}

#[test]
fn a_setting_that_another_one_makes_meaningless_is_refused_in_a_sentence() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    site(directory.path());
    let dir = format!("site={}", directory.path().display());
    let (read, canned) = (format!("and this one is read: {dir}\n"), "the lecture's five pages");
    for (scenario, settings, expected) in [
        ("crawler/c5-locked", ["pages=50", "web=canned"], canned),
        ("crawler/c5-locked", ["web_seed=7", "web=canned"], canned),
        ("crawler/c10-per-host", ["pages=50", "web=canned"], canned),
        ("crawler/c8-at-most-once", ["pages=50", "web=canned"], canned),
        ("crawler/c5-locked", [&dir, "web=random"], &read),
        ("crawler/c5-locked", [&dir, "pages=50"], &read),
        ("crawler/c8-at-most-once", [&dir, "web_seed=7"], &read),
        ("crawler/c9-distributed", [&dir, "web=cycle"], &read),
        ("crawler/c9-distributed", ["tokens=3", "delay_ms=0"], "no fetch waits for a token"),
    ] {
        let (exit, out, err) = ask(&["run", scenario, "--set", settings[0], "--set", settings[1]]);
        assert_eq!((exit, &*out), (Exit::Unusable, ""), "{scenario} {settings:?}");
        assert!(err.contains(expected) && err.lines().count() == 1, "{scenario} {settings:?}: {err}");
    }
    for settings in [["web=canned", "pages=30"], ["web=chain", "pages=50"]] {
        let (exit, _, err) = ask(&["run", "crawler/c5-locked", "--set", settings[0], "--set", settings[1]]);
        assert_eq!(exit, Exit::Holds, "{settings:?}: {err}");
    }
}

#[test]
fn a_trace_and_a_reproduction_of_a_site_that_has_changed_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (pages, files) = (directory.path().join("pages"), directory.path());
    site(&pages);
    let dir = pages.to_str().expect("UTF-8");
    let path = |name: &str| files.join(name).to_str().expect("UTF-8").to_owned();
    for scenario in ["crawler/c5-locked", "crawler/c8-at-most-once", "crawler/c9-distributed"] {
        let (trace, repro) = (path("run.jsonl"), path("repro.json"));
        let args = ["run", scenario, "--site", dir, "--trace", &trace, "--repro", &repro];
        let (_, out, err) = ask(&args);
        assert!(err.ends_with(&format!("wrote {repro}\n")), "{err}");
        // Nobody has to type what the files keep.
        assert!(!out.contains("input="), "{out}");
        for file in [&trace, &repro] {
            assert_eq!(ask(&["replay", file]).0, Exit::Holds, "{scenario}: {file}");
        }
        // What a crawler cannot tell is no change.
        fs::write(pages.join("deep/c.html"), "<title>new</title><a href='b.html'>other words</a>").unwrap();
        assert_eq!(ask(&["replay", &trace]).0, Exit::Holds, "{scenario}");
        fs::write(pages.join("deep/c.html"), "<a href='b.html'>x</a><a href='../index.html'>y</a>").unwrap();
        for file in [&trace, &repro] {
            let (exit, _, err) = ask(&["replay", file]);
            assert_eq!(exit, Exit::Unusable, "{scenario}: {file}");
            let start = format!(
                "snowglobe: {file}: site {dir} has changed since the run was recorded: its digest is "
            );
            assert!(err.starts_with(&start) && err.lines().count() == 1, "{err}");
        }
        fs::write(pages.join("deep/c.html"), "<a href=\"b.html\">x</a>").unwrap();
        assert_eq!(ask(&["replay", &trace]).0, Exit::Holds, "{scenario}");
    }
    let (exit, _, err) = ask(&["run", "crawler/c5-locked", "--set", "input=0"]);
    let start = "snowglobe: crawler/c5-locked has no setting \"input\"; it has web, ";
    assert!(exit == Exit::Unusable && err.starts_with(start), "{err}");
}
