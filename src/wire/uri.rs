//! URIs as calls carry them: `sip:`, `sips:`, `tel:` and service URNs; whose number they hold.
//!
//! Read with care for what a person dialled: escapes are resolved once, separators dropped, and a byte that belongs to no number (an
//! escaped NUL after 999) leaves no number rather than another one.
//!
//! # Source
//! RFC 3261, 19.1 (SIP URI); RFC 3966 (tel URI); RFC 5031 (service URN).

use crate::wire::notes::{phone_digits, unescaped};

/// A URI in its parts; nothing is copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uri<'a> {
    pub scheme: &'a str,
    /// User part without its own parameters; the number of a `tel:` URI.
    pub user: Option<&'a str>,
    pub host: &'a str,
    /// Parameters and headers, from the first `;` or `?` after the host on.
    pub rest: &'a str,
    /// All but parameters and headers.
    pub bare: &'a str,
    pub whole: &'a str,
}

impl<'a> Uri<'a> {
    /// `None` when there is no scheme.
    pub fn parse(text: &'a str) -> Option<Self> {
        let whole = text.trim();
        let (scheme, body) = whole.split_once(':')?;
        let fine = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !fine || !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let mut uri = Self { scheme, user: None, host: "", rest: "", bare: whole, whole };
        if uri.is("tel") {
            let end = body.find([';', '?']).unwrap_or(body.len());
            uri.user = body.get(..end);
            uri.rest = body.get(end..).unwrap_or_default();
            uri.bare = whole.get(..scheme.len() + 1 + end).unwrap_or(whole);
        } else if uri.is("sip") || uri.is("sips") {
            let (user, host) = body.rsplit_once('@').map_or((None, body), |(user, host)| (Some(user), host));
            let end = host.find([';', '?']).unwrap_or(host.len());
            uri.user = user.map(|user| user.split([';', ':']).next().unwrap_or_default()).filter(|user| !user.is_empty());
            uri.host = host.get(..end).unwrap_or_default();
            uri.rest = host.get(end..).unwrap_or_default();
            uri.bare = whole.get(..whole.len() - uri.rest.len()).unwrap_or(whole);
        }
        Some(uri)
    }

    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Digits dialled or calling, separators dropped; `None` when the user part is no number.
    pub fn number(&self) -> Option<String> {
        let user = unescaped(self.user?.as_bytes(), false)?;
        // Parameters of a number inside an escaped user part end it too.
        let user = core::str::from_utf8(&user).ok()?;
        phone_digits(user.split(';').next().unwrap_or_default())
    }

    /// Nobody: the names that stand for a withheld identity.
    pub fn is_anonymous(&self) -> bool {
        let host = self.host.rsplit_once(':').map_or(self.host, |(host, _)| host);
        let user = self.user.unwrap_or_default();
        host.eq_ignore_ascii_case("anonymous.invalid")
            || ["anonymous", "unavailable", "unknown", "restricted"].iter().any(|name| user.eq_ignore_ascii_case(name))
    }
}

/// Cuts a header's value at its commas, those inside quotes and angle brackets excepted. At most `values_max` values.
pub fn values(text: &str, values_max: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        loop {
            let text = rest?;
            let end = top_level(text, b',');
            rest = text.get(end + 1..).filter(|_| end < text.len());
            let value = text.get(..end).unwrap_or_default().trim();
            if !value.is_empty() {
                return Some(value);
            }
        }
    })
    .take(values_max)
}

/// Where `sign` first stands outside quotes and angle brackets; the length of the text when nowhere.
fn top_level(text: &str, sign: u8) -> usize {
    let (mut quoted, mut angled, mut escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angled => quoted = !quoted,
            b'<' if !quoted => angled = true,
            b'>' if !quoted => angled = false,
            byte if byte == sign && !quoted && !angled => return at,
            _ => {}
        }
    }
    text.len()
}

/// An address of a header: the URI, with or without name and brackets, and the parameters after it.
pub fn address(value: &str) -> (&str, &str) {
    match find_open(value) {
        Some(open) => {
            let inside = value.get(open + 1..).unwrap_or_default();
            let close = inside.find('>').unwrap_or(inside.len());
            (inside.get(..close).unwrap_or_default().trim(), inside.get(close + 1..).unwrap_or_default().trim())
        }
        None => {
            let end = value.find(';').unwrap_or(value.len());
            (value.get(..end).unwrap_or_default().trim(), value.get(end..).unwrap_or_default().trim())
        }
    }
}

fn find_open(value: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The parameters of a header's value: name and value, quotes taken off. At most `count_max`.
pub fn parameters(text: &str, count_max: usize) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        loop {
            let text = rest?;
            let end = top_level(text, b';');
            rest = text.get(end + 1..).filter(|_| end < text.len());
            let part = text.get(..end).unwrap_or_default().trim();
            if part.is_empty() {
                continue;
            }
            return Some(match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(unquoted(value))),
                None => (part, None),
            });
        }
    })
    .take(count_max)
}

/// The value of the first parameter with this name, in any case.
pub fn parameter<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    parameters(text, crate::limits::SIP_PARAMETERS_MAX).find(|(found, _)| found.eq_ignore_ascii_case(name)).and_then(|(_, value)| value)
}

pub fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').map_or(text, |inside| inside.strip_suffix('"').unwrap_or(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(uri: &str) -> Option<String> {
        Uri::parse(uri).and_then(|uri| uri.number())
    }

    #[test]
    fn a_number_is_found_however_it_is_dressed() {
        for uri in [
            "sip:999@h",
            "SIP:9-9-9@h;user=phone",
            "tel:999;phone-context=+971",
            "sip:999;phone-context=x@h",
            "sip:%39%39%39@h",
            "sips:(9)9.9@h:5061;transport=tls?a=b",
            "sip:999:secret@h",
            "sip:999%3Bphone-context=x@h",
        ] {
            assert_eq!(number(uri).as_deref(), Some("999"), "{uri}");
        }
        assert_eq!(number("sip:+971501234567@h").as_deref(), Some("+971501234567"));
    }

    #[test]
    fn what_is_no_number_is_none_and_never_another_one() {
        for uri in ["sip:999%00@h", "sip:999%0@h", "sip:aggregator@h", "sip:h", "urn:service:sos", "999", "sip:@h", "sip:9 99x@h"] {
            assert_eq!(number(uri), None, "{uri}");
        }
    }

    #[test]
    fn commas_part_values_only_outside_quotes_and_brackets() {
        let text = r#""Unit 7, \"A\"" <sip:a@b;x=1,2>;tag=1, <tel:+1> , ,sip:c@d;y"#;
        let found: Vec<(&str, &str)> = values(text, 8).map(address).collect();
        assert_eq!(found, [("sip:a@b;x=1,2", ";tag=1"), ("tel:+1", ""), ("sip:c@d", ";y")]);
        assert_eq!(values(text, 1).count(), 1);
    }

    #[test]
    fn parameters_keep_their_quotes_together() {
        let found: Vec<_> = parameters(r#" a ; B="c;d" ;e = f"#, 8).collect();
        assert_eq!(found, [("a", None), ("B", Some("c;d")), ("e", Some("f"))]);
        assert_eq!(parameter("x;Y=\"1\"", "y"), Some("1"));
    }

    #[test]
    fn nobody_is_known_by_several_names() {
        let anonymous = |uri: &str| Uri::parse(uri).is_some_and(|uri| uri.is_anonymous());
        assert!(anonymous("sip:anonymous@anonymous.invalid") && anonymous("sip:Unknown@gw") && anonymous("sip:x@ANONYMOUS.invalid:5060"));
        assert!(!anonymous("sip:+97150@h"));
    }
}
