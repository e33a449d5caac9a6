//! What was odd about a message, as codes in the order they were found, and the few readers every text format here shares.

use arrayvec::ArrayVec;

use crate::limits::NOTES_MAX;

/// Codes of what could not be read or was read leniently; each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(ArrayVec<&'static str, NOTES_MAX>);

impl Notes {
    pub fn note(&mut self, code: &'static str) {
        if !self.has(code) {
            let _ = self.0.try_push(code);
        }
    }

    pub fn note_if(&mut self, odd: bool, code: &'static str) {
        if odd {
            self.note(code);
        }
    }

    pub fn has(&self, code: &str) -> bool {
        self.0.contains(&code)
    }

    pub fn codes(&self) -> &[&'static str] {
        &self.0
    }
}

/// A finite decimal number with an optional exponent, as in XML's `double` without its infinities, and as in forms and text messages.
pub fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plain || text.is_empty() {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A digit string after its separators are taken out: `+` first, then digits. `None` when anything else is in it or nothing is.
pub fn phone_digits(text: &str) -> Option<String> {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '+' if out.is_empty() => out.push('+'),
            '0'..='9' => out.push(c),
            // RFC 3966 visual separators, and the blank that people write.
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return None,
        }
        if out.len() > crate::limits::IDENTITY_BYTES_MAX {
            return None;
        }
    }
    (out.len() > usize::from(out.starts_with('+'))).then_some(out)
}

/// The first `bytes_max` bytes of a text, whole characters only.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Percent escapes resolved; `None` when one is broken. A plus stays a plus unless `plus_is_blank`.
pub fn unescaped(text: &[u8], plus_is_blank: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'%' => {
                let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
                let (high, low) = (digit(at + 1)?, digit(at + 2)?);
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            b'+' if plus_is_blank => out.push(b' '),
            other => out.push(*other),
        }
        at += 1;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimals_are_numbers() {
        assert_eq!(decimal(" +44.9 "), Some(44.9));
        assert_eq!(decimal("4.485251E1"), Some(44.85251));
        for text in ["", " ", "INF", "inf", "NaN", "1e400", "0x2C", "44°51'", "1,5", "--1", "1 2"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn separators_leave_a_number_and_anything_else_leaves_none() {
        assert_eq!(phone_digits("9-9-9").as_deref(), Some("999"));
        assert_eq!(phone_digits("+971 (50) 123.45-67").as_deref(), Some("+971501234567"));
        for text in ["", "+", "999\0", "9a9", "99+9", "aggregator"] {
            assert_eq!(phone_digits(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_broken_escape_is_no_text() {
        assert_eq!(unescaped(b"%2B49+1", true).as_deref(), Some(&b"+49 1"[..]));
        assert_eq!(unescaped(b"3%2", true), None);
        assert_eq!(unescaped(b"%zz", false), None);
    }
}
