//! How many attributes the tags of a page have, without the parser, which takes time with the square of their number.
//!
//! Deliberately absent: everything else about tags, and the rarer kinds of text that may hold what looks like one.

/// Elements whose content is text, in which tags are none.
const TEXTS: [&str; 5] = ["script", "style", "textarea", "title", "xmp"];

/// How many attributes the tag with the most of them has. Tags are found as a parser finds them, but for those within the
/// rarer kinds of text.
pub(super) fn most_attributes(page: &[u8]) -> usize {
    let mut most = 0;
    let mut rest = Rest(page);
    while rest.until(|byte| byte == b'<') {
        rest.skip(1);
        if rest.0.starts_with(b"!--") {
            rest.after(b"-->");
            continue;
        }
        let closes = rest.0.starts_with(b"/");
        rest.skip(usize::from(closes));
        if !rest.0.first().is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        let name = rest.word(ends_name);
        most = most.max(rest.attributes());
        let is_text = |text: &&str| name.eq_ignore_ascii_case(text.as_bytes());
        if let Some(text) = TEXTS.iter().find(|text| !closes && is_text(text)) {
            while rest.until(|byte| byte == b'<') {
                let end = rest.0.get(2..2 + text.len());
                if rest.0.starts_with(b"</")
                    && end.is_some_and(|end| end.eq_ignore_ascii_case(text.as_bytes()))
                {
                    break;
                }
                rest.skip(1);
            }
        }
    }
    most
}

const fn ends_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>')
}

/// The rest of a page.
struct Rest<'p>(&'p [u8]);

impl<'p> Rest<'p> {
    fn skip(&mut self, bytes: usize) {
        self.0 = self.0.get(bytes..).unwrap_or_default();
    }

    /// Skips what does not end it, and says whether something does.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> bool {
        self.word(ends);
        !self.0.is_empty()
    }

    /// What does not end it.
    fn word(&mut self, ends: impl Fn(u8) -> bool) -> &'p [u8] {
        let (word, rest) =
            self.0.split_at(self.0.iter().position(|byte| ends(*byte)).unwrap_or(self.0.len()));
        self.0 = rest;
        word
    }

    fn after(&mut self, end: &[u8]) {
        let found = self.0.windows(end.len()).position(|window| window == end);
        self.skip(found.map_or(self.0.len(), |at| at + end.len()));
    }

    /// Skips the attributes of a tag and its end, and counts them.
    fn attributes(&mut self) -> usize {
        let mut count = 0;
        loop {
            self.until(|byte| !byte.is_ascii_whitespace() && byte != b'/');
            match self.0.first() {
                None => return count,
                Some(b'>') => {
                    self.skip(1);
                    return count;
                }
                Some(_) => count += 1,
            }
            // An attribute may begin with an equals sign, and then that is its name.
            self.skip(1);
            self.word(|byte| ends_name(byte) || byte == b'=');
            self.until(|byte| !byte.is_ascii_whitespace());
            if self.0.first() != Some(&b'=') {
                continue;
            }
            self.skip(1);
            self.until(|byte| !byte.is_ascii_whitespace());
            match self.0.first() {
                Some(quote @ (b'"' | b'\'')) => {
                    self.skip(1);
                    self.until(|byte| byte == *quote);
                    self.skip(1);
                }
                _ => {
                    self.until(|byte| byte.is_ascii_whitespace() || byte == b'>');
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_counted_as_the_parser_counts_them() {
        for (page, count) in [
            ("", 0),
            ("<a>", 0),
            ("<a b>", 1),
            ("<a b=c d = e f='g h>' i=\"'\"/j//k>", 6),
            ("<a =b>", 1),
            ("<a ==b>", 1),
            ("<a b=>", 1),
            ("<a b=", 1),
            ("1 < 2 a b c", 0),
            ("<p><a b c></a d e f>", 3),
        ] {
            assert_eq!(most_attributes(page.as_bytes()), count, "{page}");
        }
    }
}
