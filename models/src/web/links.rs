//! The links of one HTML page, as the parser meets them. No tree is built: what is kept of an element is its name and
//! how deep it stands.
//!
//! HTML's rules for markup that is not well-formed look through all open elements, and may open again all that were
//! closed; and the parser compares each attribute with all before it in its tag. On a page made for it that takes time
//! with the square of its length, and so the depth, the number of elements and that of attributes are bounded; pages that
//! people write are far below all three.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeBuilderOpts, TreeSink};
use html5ever::{Attribute, ExpandedName, ParseOpts, QualName, expanded_name, local_name, ns};

use super::attributes::most_attributes;

/// How deep elements may stand in each other. Browsers stop at a few hundred.
const DEPTH_MAX: usize = 6_000;
/// How many elements a page may have beyond one for each of its bytes.
const SPARE_ELEMENTS: usize = 1_000;
/// How many attributes an element may have.
const ATTRIBUTES_MAX: usize = 10_000;
/// How many bytes are parsed between two looks at the bounds.
const PIECE: usize = 1 << 12;

/// What a page refers to, as it is written there, in the order of the page.
#[derive(Default)]
pub(super) struct References {
    /// What its other references start from.
    pub(super) base: Option<String>,
    pub(super) links: Vec<String>,
}

/// A page that is like none that people write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Tangled {
    #[error("its elements stand more than {DEPTH_MAX} deep in each other")]
    Depth,
    #[error("its markup stands for more elements than it has bytes")]
    Elements,
    #[error("an element of it has more than {ATTRIBUTES_MAX} attributes")]
    Attributes,
}

/// The references of a page as a browser without scripts reads it: what a `noscript` holds is markup.
pub(super) fn references(page: &str) -> Result<References, Tangled> {
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let options = ParseOpts { tree_builder, ..ParseOpts::default() };
    if most_attributes(page.as_bytes()) > ATTRIBUTES_MAX {
        return Err(Tangled::Attributes);
    }
    let mut parser = html5ever::parse_document(Links::default(), options);
    let mut parsed = 0;
    while parsed < page.len() {
        let end = page.floor_char_boundary(parsed + PIECE);
        parser.process(StrTendril::from_slice(&page[parsed..end]));
        parser.tokenizer.sink.sink.within_bounds(end)?;
        parsed = end;
    }
    Ok(parser.finish())
}

/// What the parser believes to build a tree in.
#[derive(Default)]
struct Links {
    found: RefCell<References>,
    elements: Cell<usize>,
    deepest: Cell<usize>,
}

/// A part of the page; without a name it is no element.
struct Part {
    name: Option<QualName>,
    depth: Cell<usize>,
}

impl Part {
    fn new(name: Option<QualName>) -> Rc<Self> {
        Rc::new(Self { name, depth: Cell::new(0) })
    }
}

impl Links {
    fn within_bounds(&self, bytes: usize) -> Result<(), Tangled> {
        if self.deepest.get() > DEPTH_MAX {
            return Err(Tangled::Depth);
        }
        if self.elements.get() > bytes + SPARE_ELEMENTS {
            return Err(Tangled::Elements);
        }
        Ok(())
    }

    fn place(&self, part: NodeOrText<Rc<Part>>, depth: usize) {
        if let NodeOrText::AppendNode(part) = part {
            part.depth.set(depth);
            self.deepest.set(self.deepest.get().max(depth));
        }
    }

    fn meet(&self, name: &QualName, attributes: &[Attribute]) {
        let value = |wanted: ExpandedName<'_>| {
            attributes.iter().find(|one| one.name.expanded() == wanted).map(|one| &*one.value)
        };
        let (href, src) = (expanded_name!("", "href"), expanded_name!("", "src"));
        let mut found = self.found.borrow_mut();
        let reference = match &*name.local {
            "a" | "area" => value(href),
            "frame" | "iframe" => value(src),
            "meta" => {
                let refreshes = value(expanded_name!("", "http-equiv"))
                    .is_some_and(|header| header.eq_ignore_ascii_case("refresh"));
                value(expanded_name!("", "content")).filter(|_| refreshes).and_then(refreshed)
            }
            "base" => {
                if found.base.is_none() {
                    found.base = value(href).map(str::to_owned);
                }
                None
            }
            _ => None,
        };
        found.links.extend(reference.map(str::to_owned));
    }
}

impl TreeSink for Links {
    type Handle = Rc<Part>;
    type Output = References;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> References {
        self.found.into_inner()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Rc<Part> {
        Part::new(None)
    }

    fn elem_name<'a>(&'a self, target: &'a Rc<Part>) -> ExpandedName<'a> {
        target.name.as_ref().expect("only elements are asked for their name").expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> Rc<Part> {
        self.elements.set(self.elements.get() + 1);
        self.meet(&name, &attributes);
        Part::new(Some(name))
    }

    fn create_comment(&self, _: StrTendril) -> Rc<Part> {
        Part::new(None)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Rc<Part> {
        Part::new(None)
    }

    fn append(&self, parent: &Rc<Part>, child: NodeOrText<Rc<Part>>) {
        self.place(child, parent.depth.get() + 1);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Rc<Part>,
        previous: &Rc<Part>,
        child: NodeOrText<Rc<Part>>,
    ) {
        self.place(child, element.depth.get().max(previous.depth.get()) + 1);
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Rc<Part>) -> Rc<Part> {
        let contents = Part::new(None);
        contents.depth.set(target.depth.get() + 1);
        contents
    }

    fn same_node(&self, one: &Rc<Part>, other: &Rc<Part>) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Rc<Part>, child: NodeOrText<Rc<Part>>) {
        self.place(child, sibling.depth.get());
    }

    fn add_attrs_if_missing(&self, _: &Rc<Part>, _: Vec<Attribute>) {}

    fn remove_from_parent(&self, _: &Rc<Part>) {}

    fn reparent_children(&self, _: &Rc<Part>, _: &Rc<Part>) {}
}

/// The target in `5; url='target'`: the quotes may be absent, and so may the target.
fn refreshed(content: &str) -> Option<&str> {
    let (_, target) = content.split_once([';', ','])?;
    let target = target.trim_start();
    let (key, target) = target.split_at_checked(3)?;
    let target = target.trim_start().strip_prefix('=')?.trim();
    let bare = target.trim_matches(['"', '\'']);
    key.eq_ignore_ascii_case("url").then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(page: &str) -> Result<Vec<String>, Tangled> {
        references(page).map(|found| found.links)
    }

    #[test]
    fn a_refresh_names_its_target_with_or_without_quotes() {
        let targets =
            ["0;url=a.html", "1; URL = 'a.html'", "0, Url=\"a.html\"", " 5 ;url=a.html "].map(refreshed);
        assert_eq!(targets, [Some("a.html"); 4]);
        assert_eq!(["5", "5;", "5; u", "5; a.html", "5; urn=a.html", "5;é="].map(refreshed), [None; 6]);
    }

    #[test]
    fn a_page_that_is_written_by_people_is_read_whole() {
        let nested = format!("{}<a href=x>{}", "<div>".repeat(500), "</div>".repeat(500));
        assert_eq!(links(&nested.repeat(20)).unwrap().len(), 20);
        let unclosed = "<ul>".to_owned() + &"<li><p><a href=x>y".repeat(20_000);
        assert_eq!(links(&unclosed).unwrap().iter().filter(|link| *link == "x").count(), 20_000);
        assert_eq!(links("<p>ä".repeat(PIECE).as_str()), Ok(vec![]), "a piece may end within a letter");
    }

    #[test]
    fn elements_without_end_in_each_other_take_no_time() {
        for tag in
            ["<div>", "<b>", "<a>", "<table><tr><td>", "<svg>", "<template>", "<select><option>", "<button>"]
        {
            let page = tag.repeat(2_000_000 / tag.len());
            // Some of them end what they stand in.
            assert!(matches!(links(&page), Err(Tangled::Depth) | Ok(_)), "{tag}");
        }
        assert_eq!(links(&"<div>".repeat(400_000)).unwrap_err(), Tangled::Depth);
    }

    #[test]
    fn elements_that_are_opened_again_and_again_take_no_time() {
        let opened = (0..1_500).map(|n| format!("<b class={n}>")).collect::<Vec<_>>().concat();
        let page = format!("<p>{opened}{}", "x</p><p>".repeat(100_000));
        assert_eq!(links(&page).unwrap_err(), Tangled::Elements);
    }

    #[test]
    fn attributes_without_end_take_no_time() {
        let many = |count: usize| (0..count).map(|n| format!("a{n}='>' ")).collect::<Vec<_>>().concat();
        assert_eq!(links(&format!("<a {} href=x>", many(1_000))).unwrap(), ["x"]);
        for tag in ["a", "/a", "script", "p/"] {
            let page =
                format!("<title>a<b</title><!-- <c --><script>1<d \"</script><{tag} {}>", many(100_000));
            assert_eq!(links(&page).unwrap_err(), Tangled::Attributes, "{tag}");
        }
        // What looks like attributes within text, a comment or a value is none.
        let words = "a ".repeat(100_000);
        let page =
            format!("<!-- <a {words} --><script><a {words}</script><p title='<a {words}'><a href=x>{words}");
        assert_eq!(links(&page).unwrap(), ["x"]);
    }
}
