//! A directory of HTML pages read as a web, as a plain file server would serve it: real input for crawlers.
//!
//! The directory is the whole site. What counts:
//!
//! - A page is a file that ends in `.html` or `.htm` in any case. Every one in the directory is a page of
//!   the web, linked to or not. Its URL is its path from the top, `/pkg/fmt.html`, not percent-encoded.
//! - A link is the `href` of `a` and `area`, the `src` of `frame` and `iframe` (in a site of frames they are
//!   the only way to the pages), and a refresh by `meta` (so does a site say that a page has moved). Not
//!   links, because they are parts of a page and not other pages: `link`, `img`, `script` and their like.
//!   Crawlers run no scripts: what a script would write is not seen, and what `noscript` holds is.
//! - A link is resolved against the first `base` with an `href` if there is one, else against the page.
//!   Fragment and query are dropped, so `#top` is a link of the page to itself. The rest is
//!   percent-decoded. `/x` starts from the top of the site. A directory stands for its `index.html`.
//! - A link with a scheme or a host (`https:`, `mailto:`, `//host/x`), or that climbs above the top, leads
//!   out of the web and is no link of it.
//! - A link to a file that is there and is not HTML leads to a page that exists and has no links. A link to
//!   anything else within the directory leads to a missing page.
//! - Letter case counts, on every file system. Bytes that are not UTF-8, in a file or in its name, are read
//!   as U+FFFD. A file behind a symbolic link is read; a directory behind one is not entered, so a walk
//!   neither leaves the directory nor runs in circles.
//!
//! Deliberately absent: forms, scripts, style sheets, redirects and listings of directories by the server,
//! encodings other than UTF-8.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::links::{self, References, Tangled};
use super::{Builder, DraftId, Web};

/// Why a directory could not be read as a web.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// There is nothing at the path.
    #[error("the directory {} does not exist", path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// There is something at the path, and it is not a directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Neither the directory nor one below it has an HTML page.
    #[error("the directory {} holds no html page: no file in it ends in .html or .htm", path.display())]
    NoPages {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The page to start from is not an HTML page of the directory.
    #[error("the directory {} has no html page {start:?} to start from", path.display())]
    StartNotFound {
        /// The path that was asked for.
        path: PathBuf,
        /// The page that was asked for.
        start: String,
    },
    /// A directory or a page is there and could not be read.
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The directory or the page.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
}

impl Web {
    /// Reads a directory of HTML pages as a web, as a plain file server would serve it.
    ///
    /// The root is `start`, written as a link at the top of the site would be (`docs/`, `/docs/index.html`).
    /// Without it the root is `/index.html`, or if there is none the first HTML page in the order of URLs.
    ///
    /// Links are those of `a`, `area`, `frame`, `iframe` and of a refresh by `meta`. Links out of the
    /// directory are not part of the web; a link to a file that is not HTML leads to a page without links;
    /// a link to nothing leads to a missing page. A page is found by its path from the top, percent-decoded:
    /// `web.find("/docs/index.html")`.
    ///
    /// Pages are parsed in parallel. The web does not depend on the number of threads, nor on the order in
    /// which the operating system lists a directory, nor on where the directory is.
    ///
    /// # Errors
    ///
    /// A [`SiteError`] if there is no such directory, no page in it, or no page `start`, or if a directory or
    /// page cannot be read, among them pages of more than 64 MiB and pages whose elements stand thousands deep in each
    /// other. Broken markup is not an error: it is read as a browser reads it.
    pub fn from_directory(path: impl AsRef<Path>, start: Option<&str>) -> Result<Web, SiteError> {
        let site = Site::walk(path.as_ref())?;
        let root = site.root(path.as_ref(), start)?;
        let pages: Vec<(&String, &PathBuf)> = site.files.iter().filter(|(url, _)| is_html(url)).collect();
        let mut builder = Builder::default();
        for (url, _) in &pages {
            builder.declare(url);
        }
        // In batches, so that the links of a large site are not all held as text at once.
        for batch in pages.chunks(BATCH) {
            let links: Vec<_> = batch.par_iter().map(|(url, file)| links_of_file(url, file)).collect();
            for ((url, _), links) in batch.iter().zip(links) {
                let page = builder.mention(url);
                for link in links? {
                    let target = site.target(&mut builder, link);
                    builder.link(page, target);
                }
            }
        }
        let root = builder.declare(&root);
        Ok(builder.finish(root))
    }
}

/// The longest page that is read, in bytes.
const PAGE_MAX: u64 = 1 << 26;

/// Pages parsed between two moments at which their links become numbers.
const BATCH: usize = 256;

struct Site {
    /// Every file of the site by URL.
    files: BTreeMap<String, PathBuf>,
}

impl Site {
    fn walk(top: &Path) -> Result<Self, SiteError> {
        match fs::metadata(top) {
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
                return Err(SiteError::NotFound { path: top.to_owned() });
            }
            Err(reason) => return Err(unreadable(top, reason)),
            Ok(metadata) if !metadata.is_dir() => {
                return Err(SiteError::NotADirectory { path: top.to_owned() });
            }
            Ok(_) => {}
        }
        let mut files = BTreeMap::new();
        let mut pending = vec![(String::from("/"), top.to_owned())];
        while let Some((url, directory)) = pending.pop() {
            for entry in sorted_entries(&directory)? {
                let path = entry.path();
                let url = format!("{url}{}", entry.file_name().to_string_lossy());
                let kind = entry.file_type().map_err(|reason| unreadable(&path, reason))?;
                if kind.is_dir() {
                    pending.push((url + "/", path));
                } else if kind.is_file() || kind.is_symlink() && path.is_file() {
                    files.entry(url).or_insert(path);
                }
            }
        }
        Ok(Site { files })
    }

    fn root(&self, path: &Path, start: Option<&str>) -> Result<String, SiteError> {
        if let Some(start) = start {
            let url = resolve("/", start).map(|url| self.served(url));
            let page = url.filter(|url| is_html(url) && self.files.contains_key(url));
            return page
                .ok_or_else(|| SiteError::StartNotFound { path: path.to_owned(), start: start.to_owned() });
        }
        let mut pages = self.files.keys().filter(|url| is_html(url));
        let first = pages.next().ok_or_else(|| SiteError::NoPages { path: path.to_owned() })?;
        let index = "/index.html";
        Ok(if self.files.contains_key(index) { index.to_owned() } else { first.clone() })
    }

    /// The page that a link leads to.
    fn target(&self, builder: &mut Builder, link: String) -> DraftId {
        let url = self.served(link);
        if self.files.contains_key(&url) { builder.declare(&url) } else { builder.mention(&url) }
    }

    /// The file that a server would answer with: for a directory its `index.html`.
    fn served(&self, url: String) -> String {
        if url.ends_with('/') {
            return url + "index.html";
        }
        let inside = format!("{url}/");
        let first = self.files.range(inside.clone()..).next();
        let is_directory = first.is_some_and(|(file, _)| file.starts_with(&inside));
        if is_directory { inside + "index.html" } else { url }
    }
}

/// What a directory holds, by name: the operating system lists it in an order of its own.
fn sorted_entries(directory: &Path) -> Result<Vec<DirEntry>, SiteError> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(|reason| unreadable(directory, reason))?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

fn unreadable(path: &Path, reason: io::Error) -> SiteError {
    SiteError::Unreadable { path: path.to_owned(), reason }
}

fn is_html(url: &str) -> bool {
    let (_, extension) = url.rsplit_once('.').unwrap_or_default();
    extension.eq_ignore_ascii_case("html") || extension.eq_ignore_ascii_case("htm")
}

fn links_of_file(url: &str, file: &Path) -> Result<Vec<String>, SiteError> {
    let bytes = traces::read_whole(file, PAGE_MAX).map_err(|reason| unreadable(file, reason))?;
    links_of(url, &String::from_utf8_lossy(&bytes))
        .map_err(|reason| unreadable(file, io::Error::other(reason)))
}

/// The URLs within the site that a page links to, in the order of the page.
fn links_of(url: &str, text: &str) -> Result<Vec<String>, Tangled> {
    let References { base, links } = links::references(text)?;
    // A page whose base lies outside has no link within: there `/x` starts from the top of another site.
    let Some(base) = base.map_or_else(|| Some(url.to_owned()), |base| resolve(url, &base)) else {
        return Ok(Vec::new());
    };
    Ok(links.iter().filter_map(|reference| resolve(&base, reference)).collect())
}

/// The URL that a reference in the page at `base` leads to, or nothing if it leads out of the site. It ends
/// in `/` if it can only be a directory.
fn resolve(base: &str, reference: &str) -> Option<String> {
    // Browsers take off the blanks around a reference and the line breaks within it.
    let reference = reference.trim_matches(|c: char| c <= ' ').replace(['\t', '\n', '\r'], "");
    if reference.starts_with("//") || has_scheme(&reference) {
        return None;
    }
    let path = reference.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() {
        return Some(base.to_owned());
    }
    let path = percent_decoded(path);
    if path.starts_with('/') {
        return normalised(&path);
    }
    let directory = base.rfind('/').map_or("", |slash| &base[..=slash]);
    normalised(&format!("{directory}{path}"))
}

fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// The path without `.`, `..` and empty segments, or nothing if it climbs above the top.
fn normalised(path: &str) -> Option<String> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()?),
            name => segments.push(name),
        }
    }
    let is_directory = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    if segments.is_empty() {
        return Some("/".to_owned());
    }
    Some(format!("/{}{}", segments.join("/"), if is_directory { "/" } else { "" }))
}

/// The text with each `%` and two hexadecimal digits replaced by that byte; other `%` stand for themselves.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.split_at_checked(2).filter(|_| byte == b'%');
        let decoded = digits.and_then(|(digits, tail)| Some((hexadecimal(digits)?, tail)));
        let (byte, tail) = decoded.unwrap_or((byte, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    digits.iter().try_fold(0, |value, &next| Some(value << 4 | digit(next)? as u8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::web::PageId;

    /// A directory with these files.
    fn site(files: &[(&str, &str)]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write(&directory, name, text.as_bytes());
        }
        directory
    }

    fn write(directory: &TempDir, name: &str, bytes: &[u8]) {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn load(directory: &TempDir) -> Web {
        Web::from_directory(directory.path(), None).unwrap()
    }

    /// The URLs that a page links to, `-` before a missing one.
    fn links(web: &Web, url: &str) -> Vec<String> {
        let mark = |page: PageId| if web.exists(page) { "" } else { "-" };
        let page = web.find(url).unwrap_or_else(|| panic!("no page {url}"));
        web.links(page).map(|page| format!("{}{}", mark(page), web.url(page))).collect()
    }

    /// What a page at `/dir/page.html` with this text links to.
    fn linked(text: &str) -> Vec<String> {
        links_of("/dir/page.html", text).unwrap()
    }

    #[test]
    fn a_small_site_is_read_as_a_browser_would_walk_it() {
        let directory = site(&[
            (
                "index.html",
                r#"<a href="a.html#x">a</a> <a href="docs/">docs</a> <a href="gone.html?q=1">gone</a>"#,
            ),
            ("a.html", r#"<a href="index.html">up</a> <a href="docs/b.html">b</a> <a href="a.html">a</a>"#),
            (
                "docs/index.html",
                r#"<a href="../a.html">a</a> <a href="./b.html">b</a> <a href="../">top</a>"#,
            ),
            (
                "docs/b.html",
                r#"<a href="/docs">up</a> <a href="../../out.html">out</a> <a href="/style.css">css</a>"#,
            ),
            ("style.css", "a { color: red }"),
            ("unused.png", ""),
            ("alone.HTM", r#"<a href="mailto:a@b.example">mail</a>"#),
        ]);
        let web = load(&directory);
        assert_eq!(web.url(web.root()), "/index.html");
        assert_eq!(links(&web, "/index.html"), ["/a.html", "/docs/index.html", "-/gone.html"]);
        assert_eq!(links(&web, "/a.html"), ["/index.html", "/docs/b.html", "/a.html"]);
        assert_eq!(links(&web, "/docs/index.html"), ["/a.html", "/docs/b.html", "/index.html"]);
        assert_eq!(links(&web, "/docs/b.html"), ["/docs/index.html", "/style.css"]);
        assert_eq!(links(&web, "/alone.HTM"), [""; 0]);
        assert_eq!((web.len(), web.reachable().len()), (7, 6));
        assert_eq!(web.find("/unused.png"), None);
    }

    #[test]
    fn the_first_page_is_the_root_where_there_is_no_index() {
        let directory = site(&[("z.html", ""), ("b/index.html", ""), ("c.htm", ""), ("a.txt", "")]);
        let web = load(&directory);
        assert_eq!(web.url(web.root()), "/b/index.html");
    }

    #[test]
    fn the_start_page_may_be_given_as_a_link_from_the_top() {
        let directory = site(&[("index.html", ""), ("sub dir/index.html", ""), ("note.txt", "")]);
        for start in ["sub dir/", "sub%20dir", "/sub dir/index.html", "./sub dir/../sub dir/"] {
            let web = Web::from_directory(directory.path(), Some(start)).unwrap();
            assert_eq!(web.url(web.root()), "/sub dir/index.html");
        }
        for start in ["note.txt", "gone.html", "../index.html", "http://a.example/index.html"] {
            let error = Web::from_directory(directory.path(), Some(start)).unwrap_err();
            assert!(
                matches!(&error, SiteError::StartNotFound { start: named, .. } if named == start),
                "{error}"
            );
        }
    }

    #[test]
    fn every_element_that_leads_to_a_page_counts_and_no_other() {
        let text = r#"<html><head>
            <link rel=next href=no1.html> <meta http-equiv=Refresh content="0; URL='moved.html'">
            <meta http-equiv=refresh content=30> <meta name=refresh content="0;url=no2.html">
            <script>document.write('<a href="no3.html">')</script> <style>a { b: url(no4.html) }</style>
            </head><body><!-- <a href="no5.html"> --> <a name=no6.html> <img src=no7.png>
            <a href=one.html>1</a> <map><area href="two.html"></map> <iframe src="three.html"></iframe>
            <svg><a href="four.html"></a></svg> <noscript><a href="five.html"></a></noscript>
            <form action="no8.html"></form></body></html>"#;
        assert_eq!(
            linked(text),
            ["moved.html", "one.html", "two.html", "three.html", "four.html", "five.html"]
                .map(|name| format!("/dir/{name}"))
        );
        assert_eq!(
            linked("<frameset><frame src=menu.html><frame src=/top.html></frameset>"),
            ["/dir/menu.html", "/top.html"]
        );
    }

    #[test]
    fn a_base_moves_every_relative_link_of_the_page() {
        let page = |base: &str| {
            linked(&format!(r#"<a href="x.html">x</a><base href="{base}"><a href="/y.html">y</a>"#))
        };
        assert_eq!(page("/other/"), ["/other/x.html", "/y.html"]);
        assert_eq!(page("../"), ["/x.html", "/y.html"]);
        assert_eq!(page("sub/page.html"), ["/dir/sub/x.html", "/y.html"]);
        assert_eq!(page("https://a.example/"), [""; 0]);
        let first_with_href =
            r#"<base target="_top"><base href="/a/"><base href="/b/"><a href="c.html">c</a>"#;
        assert_eq!(linked(first_with_href), ["/a/c.html"]);
        assert_eq!(linked(r##"<base href="/a/"><a href="#top">the base, as in a browser</a>"##), ["/a/"]);
    }

    #[test]
    fn capitals_entities_and_broken_markup_are_read_as_a_browser_reads_them() {
        assert_eq!(linked("<A HREF='Up.html'>Up</A>"), ["/dir/Up.html"]);
        assert_eq!(linked("<a href=a&amp;b.html>"), ["/dir/a&b.html"]);
        assert_eq!(
            linked("<p><a href='one.html'<b></p><td><a href=two.html>two<a href=three.html>"),
            ["/dir/one.html", "/dir/two.html", "/dir/three.html"]
        );
        assert_eq!(linked("<a href=first.html href=second.html>"), ["/dir/first.html"]);
        assert_eq!(linked("<a href='unclosed.html"), [""; 0]);
        assert_eq!(linked(""), [""; 0]);
    }

    #[test]
    fn a_deeply_nested_page_is_read_without_running_out_of_stack() {
        let text = "<div>".repeat(5_000) + "<a href=deep.html>";
        assert_eq!(linked(&text), ["/dir/deep.html"]);
    }

    #[test]
    fn references_resolve_within_the_site_or_lead_out_of_it() {
        let cases = [
            ("x.html", Some("/a/b/x.html")),
            ("./x.html", Some("/a/b/x.html")),
            (" x.html\n", Some("/a/b/x.html")),
            ("../x.html", Some("/a/x.html")),
            ("../../x.html", Some("/x.html")),
            ("../../../x.html", None),
            ("x/../../y//z", Some("/a/y/z")),
            ("..", Some("/a/")),
            (".", Some("/a/b/")),
            ("../..", Some("/")),
            ("/", Some("/")),
            ("/x/", Some("/x/")),
            ("/../x.html", None),
            ("", Some("/a/b/page.html")),
            ("#top", Some("/a/b/page.html")),
            ("?q=x.html", Some("/a/b/page.html")),
            ("x.html?q=/../..#../../../..", Some("/a/b/x.html")),
            ("x%20y.html", Some("/a/b/x y.html")),
            ("%2e%2E/x.html", Some("/a/x.html")),
            ("%c3%a9.html", Some("/a/b/é.html")),
            ("100%.html", Some("/a/b/100%.html")),
            ("%4", Some("/a/b/%4")),
            ("%zz%%41", Some("/a/b/%zz%A")),
            ("a%23b%3fc.html#d", Some("/a/b/a#b?c.html")),
            ("//host.example/x.html", None),
            ("http://host.example/x.html", None),
            ("HTTPS:x.html", None),
            ("mailto:someone@host.example", None),
            ("javascript:void(0)", None),
            ("data:text/html,x", None),
            ("./a:b.html", Some("/a/b/a:b.html")),
            ("1:2.html", Some("/a/b/1:2.html")),
        ];
        for (reference, expected) in cases {
            assert_eq!(resolve("/a/b/page.html", reference).as_deref(), expected, "{reference:?}");
        }
    }

    #[test]
    fn names_with_blanks_letters_of_any_script_and_signs_are_found_by_their_encoded_links() {
        let directory = site(&[
            (
                "index.html",
                "<a href='a%20b.html'><a href='a b.html'><a href='%C3%A9t%C3%A9.html'><a href=50%25%23.html>",
            ),
            ("a b.html", ""),
            ("été.html", ""),
            ("50%#.html", ""),
        ]);
        assert_eq!(links(&load(&directory), "/index.html"), ["/a b.html", "/été.html", "/50%#.html"]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_do_not_hide_the_links_around_them() {
        let directory = site(&[("a.html", "")]);
        write(&directory, "index.html", b"\xff\xfe caf\xe9 <a href=a.html>\xe9</a> <a href=caf\xe9.html>");
        assert_eq!(links(&load(&directory), "/index.html"), ["/a.html", "-/caf\u{fffd}.html"]);
    }

    #[test]
    fn letter_case_counts() {
        let directory = site(&[("index.html", "<a href=A.html><a href=a.html>"), ("a.html", "")]);
        assert_eq!(links(&load(&directory), "/index.html"), ["-/A.html", "/a.html"]);
    }

    #[test]
    fn a_directory_without_an_index_is_a_missing_page() {
        let directory =
            site(&[("index.html", "<a href=sub><a href=sub/><a href=nothing/>"), ("sub/x.txt", "")]);
        assert_eq!(links(&load(&directory), "/index.html"), ["-/sub/index.html", "-/nothing/index.html"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_leads_to_a_file_but_not_into_a_directory() {
        use std::os::unix::fs::symlink;

        let directory = site(&[
            ("index.html", "<a href=alias.html><a href=loop/index.html><a href=broken.html>"),
            ("real.html", "<a href=index.html>"),
        ]);
        symlink("real.html", directory.path().join("alias.html")).unwrap();
        symlink(".", directory.path().join("loop")).unwrap();
        symlink("nowhere.html", directory.path().join("broken.html")).unwrap();
        let web = load(&directory);
        assert_eq!(links(&web, "/index.html"), ["/alias.html", "-/loop/index.html", "-/broken.html"]);
        assert_eq!(links(&web, "/alias.html"), ["/index.html"]);
    }

    #[test]
    fn each_way_to_have_no_web_is_named() {
        let directory = site(&[("note.txt", ""), ("empty/x.css", "")]);
        let error = |path: &Path| Web::from_directory(path, None).unwrap_err().to_string();
        let shown = |path: &Path| path.display().to_string();
        let (missing, file) = (directory.path().join("missing"), directory.path().join("note.txt"));
        assert_eq!(error(&missing), format!("the directory {} does not exist", shown(&missing)));
        assert_eq!(error(&file), format!("{} is not a directory", shown(&file)));
        let no_pages = "holds no html page: no file in it ends in .html or .htm";
        assert_eq!(error(directory.path()), format!("the directory {} {no_pages}", shown(directory.path())));
        let reason = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            unreadable(Path::new("a/b.html"), reason).to_string(),
            "a/b.html cannot be read: permission denied"
        );
    }

    #[test]
    fn a_page_that_nobody_wrote_is_refused_by_name() {
        let deep = "<div>".repeat(100_000);
        let directory = site(&[("index.html", "<a href=deep.html>"), ("deep.html", &deep)]);
        let sentence = Web::from_directory(directory.path(), None).unwrap_err().to_string();
        assert!(
            sentence
                .ends_with("deep.html cannot be read: its elements stand more than 6000 deep in each other"),
            "{sentence}"
        );
        let directory = site(&[("index.html", "<a href=long.html>")]);
        fs::File::create(directory.path().join("long.html")).unwrap().set_len(PAGE_MAX + 1).unwrap();
        let sentence = Web::from_directory(directory.path(), None).unwrap_err().to_string();
        assert!(sentence.ends_with("long.html cannot be read: more than 67108864 bytes"), "{sentence}");
    }

    #[test]
    fn the_web_does_not_depend_on_threads_and_survives_as_json() {
        let page = |i: usize| {
            format!("<a href=p{}.html><a href=p{}.html><a href=x{}.txt>", i * 7 % 600, i + 1, i % 9)
        };
        let texts: Vec<(String, String)> = (0..600).map(|i| (format!("p{i}.html"), page(i))).collect();
        let mut files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
        files.extend([("x1.txt", ""), ("x2.txt", "")]);
        let directory = site(&files);
        let web = load(&directory);
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| load(&directory)), web);
        let read = Web::from_json(&web.to_json()).unwrap();
        assert_eq!(read, web);
        assert_eq!(
            web.len(),
            600 + 9 + 1,
            "pages, text files of which two exist, and the page after the last"
        );
    }

    proptest! {
        #[test]
        fn a_resolved_reference_stays_within_the_site(reference in "[a-z./%2eE#?:]{0,20}") {
            if let Some(url) = resolve("/a/b/page.html", &reference) {
                prop_assert!(url.starts_with('/'));
                prop_assert!(!url.contains("//"));
                prop_assert!(url.split('/').all(|segment| segment != "." && segment != ".."));
            }
        }

        #[test]
        fn an_encoded_name_decodes_to_itself(name: String) {
            let encoded = name.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02x}"));
            prop_assert_eq!(percent_decoded(&encoded), name);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String, content: String) {
            let _ = links_of("/index.html", &text);
            let _ = links_of("/index.html", &format!("<a href='{content}'>"));
            let _ = links_of("/index.html", &format!("<meta http-equiv=refresh content='{content}'>"));
        }
    }
}
