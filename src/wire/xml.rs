//! XML as these messages use it: streaming, bounded, with namespaces and without document types.
//!
//! A reader of ours walks the document once. It knows the namespaces it cares for and nothing of the others, so an element of a
//! stranger's namespace changes nothing. A prefix that was never declared is damage: its element is read by its name alone.
//!
//! **Invariants:** a DOCTYPE ends the reading, so no entity is ever expanded and nothing is ever fetched; depth, attributes, namespace
//! bindings and elements are bounded in [`crate::limits`]; memory is at most a small multiple of the document.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::limits::{XML_ATTRIBUTES_MAX, XML_BINDINGS_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX};

/// Why a document was read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    #[error("a document type is refused")]
    DocType,
    #[error("elements nest deeper than {XML_DEPTH_MAX}")]
    TooDeep,
    #[error("more than {XML_ELEMENTS_MAX} elements, {XML_ATTRIBUTES_MAX} attributes of one or {XML_BINDINGS_MAX} namespaces")]
    TooMany,
    #[error("not well-formed")]
    Malformed,
}

impl XmlError {
    /// The code reported for a document that could not be read to its end.
    pub const fn code(self) -> &'static str {
        match self {
            Self::DocType => "xml_doctype_refused",
            Self::TooDeep => "xml_too_deep",
            Self::TooMany => "xml_too_many",
            Self::Malformed => "xml_malformed",
        }
    }
}

/// The namespaces these messages use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ns {
    Cap,
    Civic,
    Confidence,
    DataModel,
    DialogInfo,
    Geopriv,
    Gml,
    Held,
    Lost,
    Pidf,
    PidfLoShape,
    /// A prefix without a declaration.
    Undeclared,
    /// Somebody else's.
    Unknown,
}

impl Ns {
    fn of(uri: &str) -> Self {
        match uri.trim() {
            "urn:ietf:params:xml:ns:pidf" => Self::Pidf,
            "urn:ietf:params:xml:ns:dialog-info" => Self::DialogInfo,
            "urn:ietf:params:xml:ns:pidf:data-model" => Self::DataModel,
            "urn:ietf:params:xml:ns:pidf:geopriv10" => Self::Geopriv,
            "urn:ietf:params:xml:ns:geopriv:conf" => Self::Confidence,
            "urn:ietf:params:xml:ns:geopriv:held" => Self::Held,
            "urn:ietf:params:xml:ns:lost1" => Self::Lost,
            "http://www.opengis.net/pidflo/1.0" => Self::PidfLoShape,
            uri if uri == "http://www.opengis.net/gml" || uri.starts_with("http://www.opengis.net/gml/") => Self::Gml,
            // RFC 4119 and RFC 5139 differ by a suffix.
            uri if uri.starts_with("urn:ietf:params:xml:ns:pidf:geopriv10:civic") => Self::Civic,
            // CAP 1.0, 1.1 and 1.2.
            uri if uri.starts_with("urn:oasis:names:tc:emergency:cap:1.") => Self::Cap,
            "http://www.incident.com/cap/1.0" => Self::Cap,
            "" => Self::Undeclared,
            _ => Self::Unknown,
        }
    }
}

/// An element that opens.
#[derive(Clone, Debug)]
pub struct Tag<'a> {
    pub ns: Ns,
    start: BytesStart<'a>,
}

impl Tag<'_> {
    pub fn local(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// In this namespace, or damaged in a way that hides its namespace.
    pub fn is(&self, ns: Ns, local: &str) -> bool {
        self.within(ns) && self.local() == local
    }

    pub fn within(&self, ns: Ns) -> bool {
        self.ns == ns || self.ns == Ns::Undeclared
    }

    /// An attribute without a prefix.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut attributes = self.start.attributes();
        attributes.with_checks(false);
        let found = attributes.take(XML_ATTRIBUTES_MAX).flatten().find(|attribute| attribute.key.as_ref() == name)?;
        Some(match found.value {
            Cow::Borrowed(text) if !text.contains('&') => Cow::Owned(text.to_owned()),
            text => Cow::Owned(quick_xml::escape::unescape(&text).map_or_else(|_| text.to_string(), Cow::into_owned)),
        })
    }
}

/// What a reader sees next.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    Open(Tag<'a>),
    /// The element that was opened last and not closed yet.
    Close,
    Text(Cow<'a, str>),
    End,
}

/// Walks a document. Read-only methods: [`Xml::depth`]; all others move on.
pub struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    elements: usize,
    /// Prefix, namespace and the depth of the element that declared it; the innermost last.
    bindings: Vec<(Box<str>, Ns, usize)>,
}

impl<'a> Xml<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        Self { reader, depth: 0, elements: 0, bindings: Vec::new() }
    }

    /// Elements open now.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The next element, text or end of an element. Comments and processing instructions are passed over.
    ///
    /// # Errors
    /// [`XmlError`]; reading on after one is an error again.
    pub fn step(&mut self) -> Result<Item<'a>, XmlError> {
        loop {
            let event = self.reader.read_event().map_err(|_| XmlError::Malformed)?;
            return Ok(match event {
                Event::Start(start) | Event::Empty(start) => Item::Open(self.opened(start)?),
                Event::End(_) => {
                    while self.bindings.last().is_some_and(|(.., declared)| *declared >= self.depth) {
                        self.bindings.pop();
                    }
                    self.depth = self.depth.saturating_sub(1);
                    Item::Close
                }
                Event::Text(text) => Item::Text(text.into_inner()),
                Event::CData(text) => Item::Text(text.into_inner()),
                Event::GeneralRef(reference) => Item::Text(Cow::Owned(resolved(&reference)?)),
                Event::DocType(_) => return Err(XmlError::DocType),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::Eof if self.depth > 0 || self.elements == 0 => return Err(XmlError::Malformed),
                Event::Eof => Item::End,
            });
        }
    }

    fn opened(&mut self, start: BytesStart<'a>) -> Result<Tag<'a>, XmlError> {
        if self.depth >= XML_DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        if self.depth == 0 && self.elements > 0 {
            return Err(XmlError::Malformed);
        }
        self.depth += 1;
        self.elements += 1;
        if self.elements > XML_ELEMENTS_MAX {
            return Err(XmlError::TooMany);
        }
        let mut attributes = start.attributes();
        attributes.with_checks(false);
        for (count, attribute) in attributes.enumerate() {
            let attribute = attribute.map_err(|_| XmlError::Malformed)?;
            if count >= XML_ATTRIBUTES_MAX || self.bindings.len() >= XML_BINDINGS_MAX {
                return Err(XmlError::TooMany);
            }
            let name = attribute.key.as_ref();
            let prefix = if name == "xmlns" { Some("") } else { name.strip_prefix("xmlns:") };
            if let Some(prefix) = prefix {
                self.bindings.push((prefix.into(), Ns::of(&attribute.value), self.depth));
            }
        }
        let ns = self.resolve(start.name().prefix().map_or("", |prefix| prefix.into_inner()));
        Ok(Tag { ns, start })
    }

    fn resolve(&self, prefix: &str) -> Ns {
        self.bindings.iter().rev().find(|(bound, ..)| **bound == *prefix).map_or(Ns::Undeclared, |(_, ns, _)| *ns)
    }

    /// Passes over the rest of the element that was opened last, its children included.
    ///
    /// # Errors
    /// As [`Xml::step`].
    pub fn skip(&mut self) -> Result<(), XmlError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.step()?;
        }
        Ok(())
    }

    /// The text of the element that was opened last, trimmed; its children are passed over.
    ///
    /// # Errors
    /// As [`Xml::step`].
    pub fn text(&mut self) -> Result<Cow<'a, str>, XmlError> {
        let inside = self.depth;
        let mut whole: Cow<'a, str> = Cow::Borrowed("");
        loop {
            match self.step()? {
                Item::Text(part) if self.depth == inside => {
                    // Most elements hold one piece of text, which needs no copy.
                    if whole.trim().is_empty() {
                        whole = part;
                    } else if !part.is_empty() {
                        whole.to_mut().push_str(&part);
                    }
                }
                Item::Close if self.depth < inside => break,
                Item::End => return Err(XmlError::Malformed),
                _ => {}
            }
        }
        Ok(match whole {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        })
    }
}

/// A character reference or one of the five names that XML itself knows; no others exist without a DOCTYPE.
fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> Result<String, XmlError> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Ok(c.to_string());
    }
    let known = match &**reference {
        "amp" => "&",
        "apos" => "'",
        "gt" => ">",
        "lt" => "<",
        "quot" => "\"",
        _ => return Err(XmlError::Malformed),
    };
    Ok(known.to_owned())
}

/// The document as text; a byte that is no UTF-8 becomes a question mark, so that one bad letter of a street costs no place.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = core::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> Result<Vec<(Ns, String)>, XmlError> {
        let mut xml = Xml::new(text);
        let mut found = Vec::new();
        loop {
            match xml.step()? {
                Item::Open(tag) => found.push((tag.ns, tag.local().to_owned())),
                Item::End => return Ok(found),
                _ => {}
            }
        }
    }

    #[test]
    fn a_namespace_holds_inside_the_element_that_declares_it() {
        let text =
            r#"<a xmlns="urn:ietf:params:xml:ns:lost1"><x:b xmlns:x="http://www.opengis.net/gml" xmlns="urn:x"><c/></x:b><c/><x:d/></a>"#;
        let kinds: Vec<Ns> = walk(text).unwrap().into_iter().map(|(ns, _)| ns).collect();
        assert_eq!(kinds, [Ns::Lost, Ns::Gml, Ns::Unknown, Ns::Lost, Ns::Undeclared]);
    }

    #[test]
    fn a_document_type_ends_the_reading() {
        assert_eq!(walk(r#"<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>"#), Err(XmlError::DocType));
        assert_eq!(walk("<a>&b;</a>"), Err(XmlError::Malformed));
    }

    #[test]
    fn depth_attributes_and_bindings_are_bounded() {
        assert_eq!(walk(&"<a>".repeat(XML_DEPTH_MAX + 1)), Err(XmlError::TooDeep));
        let attributes: String = (0..=XML_ATTRIBUTES_MAX).map(|at| format!(" a{at}=\"\"")).collect();
        assert_eq!(walk(&format!("<a{attributes}/>")), Err(XmlError::TooMany));
        assert_eq!(walk(&format!("<a>{}</a>", "<b/>".repeat(XML_ELEMENTS_MAX))), Err(XmlError::TooMany));
    }

    #[test]
    fn a_document_that_does_not_end_is_malformed() {
        for text in ["", "<a>", "<a></b>", "<a/><b/>", "text", "<a", "<a b=c/>", "<a b='"] {
            assert_eq!(walk(text), Err(XmlError::Malformed), "{text}");
        }
    }

    #[test]
    fn text_is_whole_across_comments_references_and_children() {
        let mut xml = Xml::new("<a> 1<!-- x --> &amp; <b>no</b>2&#x33;<![CDATA[<4>]]> </a>");
        xml.step().unwrap();
        assert_eq!(xml.text().unwrap(), "1 & 23<4>");
        assert!(matches!(xml.step(), Ok(Item::End)));
    }
}
