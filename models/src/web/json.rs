//! A web as a JSON text: written by hand for a test of a crawler, or saved from another source so that a
//! run can be repeated where that source is not.

use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use super::{Builder, Web};

/// What is expected, for whoever wrote another thing.
const SHAPE: &str = r#"{"root": URL, "pages": [{"url": URL, "links": [URL, ...]}, ...]}"#;

/// The text. Fields that are not these are refused, so that a misspelt one is not silently ignored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct WebFile {
    root: String,
    pages: Vec<PageEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PageEntry {
    url: String,
    #[serde(default)]
    links: Vec<String>,
}

/// What is wrong with a JSON text that should be a web.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebFileError {
    /// Not JSON, or not the fields of a web.
    #[error("line {line}, column {column}: {found}, and a web is {shape}", shape = SHAPE)]
    Shape {
        /// Where, counted from 1.
        line: usize,
        /// Where in the line, in bytes counted from 1.
        column: usize,
        /// What is there.
        found: String,
    },
    /// `pages` is empty.
    #[error("the web lists no pages")]
    NoPages,
    /// A page has an empty URL.
    #[error("the web has a page with an empty url: entry {entry} of its pages, counted from 1")]
    EmptyUrl {
        /// Which page of the list, counted from 1.
        entry: usize,
    },
    /// Two pages have the same URL.
    #[error("the web lists the page {url:?} twice")]
    DuplicateUrl {
        /// The URL that two pages have.
        url: String,
    },
    /// A page links to an empty URL.
    #[error("the page {url:?} links to an empty url")]
    EmptyLink {
        /// The page with the link.
        url: String,
    },
    /// The root is not one of the pages.
    #[error("the root {root:?} is not among the pages that the web lists")]
    DanglingRoot {
        /// The URL of the root.
        root: String,
    },
}

impl WebFileError {
    fn shape(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let found = match error.classify() {
            Category::Eof => "the text ends too soon".to_owned(),
            Category::Data => {
                let said = error.to_string();
                let place = format!(" at line {line} column {column}");
                said.strip_suffix(&place).unwrap_or(&said).to_owned()
            }
            Category::Syntax | Category::Io => "this is not JSON".to_owned(),
        };
        // An empty text has no column.
        Self::Shape { line, column: column.max(1), found }
    }
}

impl Web {
    /// Reads a web from JSON: the URL of the root and the pages that exist, each with its links in order.
    ///
    /// A URL that is linked to and not listed is a missing page. `links` may be left out, and a link that a
    /// page repeats counts once. URLs are compared byte by byte and need not be URLs of any scheme.
    ///
    /// ```
    /// # use snowglobe_models as models;
    /// use models::web::Web;
    ///
    /// let web = Web::from_json(r#"{
    ///     "root": "/",
    ///     "pages": [
    ///         {"url": "/", "links": ["/news", "/gone"]},
    ///         {"url": "/news"}
    ///     ]
    /// }"#)?;
    /// assert_eq!(web.reachable().len(), 3);
    /// assert!(!web.exists(web.find("/gone").unwrap()));
    /// # Ok::<(), models::web::WebFileError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`WebFileError`] for the first thing that is wrong.
    pub fn from_json(text: &str) -> Result<Web, WebFileError> {
        let file: WebFile = serde_json::from_str(text).map_err(|error| WebFileError::shape(&error))?;
        if file.pages.is_empty() {
            return Err(WebFileError::NoPages);
        }
        let mut builder = Builder::default();
        for (index, page) in file.pages.iter().enumerate() {
            if page.url.is_empty() {
                return Err(WebFileError::EmptyUrl { entry: index + 1 });
            }
            if builder.declared(&page.url).is_some() {
                return Err(WebFileError::DuplicateUrl { url: page.url.clone() });
            }
            builder.declare(&page.url);
        }
        for page in &file.pages {
            let from = builder.mention(&page.url);
            for link in &page.links {
                if link.is_empty() {
                    return Err(WebFileError::EmptyLink { url: page.url.clone() });
                }
                let to = builder.mention(link);
                builder.link(from, to);
            }
        }
        match builder.declared(&file.root) {
            Some(root) => Ok(builder.finish(root)),
            None => Err(WebFileError::DanglingRoot { root: file.root }),
        }
    }

    /// Writes the web as [`Web::from_json`] reads it, which gives back an equal web, ids included.
    pub fn to_json(&self) -> String {
        let url = |page| self.url(page).to_owned();
        let entry = |page| PageEntry { url: url(page), links: self.links(page).map(url).collect() };
        let pages = self.pages().filter(|page| self.exists(*page)).map(entry).collect();
        let file = WebFile { root: url(self.root()), pages };
        serde_json::to_string_pretty(&file).expect("strings and lists of strings can be written as JSON")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::web::{PageId, WebKind};

    fn error(text: &str) -> String {
        Web::from_json(text).unwrap_err().to_string()
    }

    #[test]
    fn pages_are_numbered_as_listed_and_missing_ones_as_mentioned() {
        let text = r#"{"root": "b", "pages": [
            {"url": "a", "links": ["y", "b", "x", "b"]}, {"url": "b", "links": ["x", "a"]}, {"url": "c"}]}"#;
        let web = Web::from_json(text).unwrap();
        assert_eq!(web.pages().map(|page| web.url(page)).collect::<String>(), "abcyx");
        assert_eq!(web.links(PageId(0)).collect::<Vec<_>>(), [3, 1, 4].map(PageId));
        assert_eq!(web.root(), PageId(1));
        assert_eq!(web.reachable(), [0, 1, 3, 4].map(PageId).into());
    }

    #[test]
    fn each_fault_of_a_text_is_named() {
        let shape = r#", and a web is {"root": URL, "pages": [{"url": URL, "links": [URL, ...]}, ...]}"#;
        for (text, said) in [
            ("", "line 1, column 1: the text ends too soon"),
            ("{", "line 1, column 1: the text ends too soon"),
            ("<html>", "line 1, column 1: this is not JSON"),
            ("{\n  root: 1}", "line 2, column 3: this is not JSON"),
            ("7", "line 1, column 1: invalid type: integer `7`, expected an object"),
            (r#"{"root": "a"}"#, "line 1, column 13: missing field `pages`"),
            (
                r#"{"root": "a", "pages": ["a"]}"#,
                r#"line 1, column 27: invalid type: string "a", expected an object"#,
            ),
            (
                r#"{"root": "a", "pages": [{"url": "a", "link": []}]}"#,
                "line 1, column 43: unknown field `link`, expected `url` or `links`",
            ),
        ] {
            assert_eq!(error(text), format!("{said}{shape}"), "{text}");
        }
        assert_eq!(error(r#"{"root": "a", "pages": []}"#), "the web lists no pages");
        let empty_url = error(r#"{"root": "a", "pages": [{"url": "a"}, {"url": ""}]}"#);
        assert_eq!(empty_url, "the web has a page with an empty url: entry 2 of its pages, counted from 1");
        let duplicate = error(r#"{"root": "a", "pages": [{"url": "a"}, {"url": "a"}]}"#);
        assert_eq!(duplicate, r#"the web lists the page "a" twice"#);
        let empty_link = error(r#"{"root": "a", "pages": [{"url": "a", "links": [""]}]}"#);
        assert_eq!(empty_link, r#"the page "a" links to an empty url"#);
        let dangling = error(r#"{"root": "b", "pages": [{"url": "a", "links": ["b"]}]}"#);
        assert_eq!(dangling, r#"the root "b" is not among the pages that the web lists"#);
    }

    #[test]
    fn the_canned_web_survives_being_written_and_read() {
        assert_eq!(Web::from_json(&Web::canned().to_json()).unwrap(), Web::canned());
    }

    proptest! {
        #[test]
        fn a_web_survives_being_written_and_read(index in 0..4_usize, pages in 1..100_u32, seed: u64) {
            let web = Web::generate(WebKind::ALL[index], pages, seed);
            prop_assert_eq!(Web::from_json(&web.to_json()).unwrap(), web);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = Web::from_json(&text);
        }
    }
}
