//! A full-screen terminal page: drawn line by line, only what changed, in one write; the terminal is given back whatever happens.
//!
//! **Invariants:** no byte of a caller's words reaches the terminal as a control: see [`plain`]. Right-to-left words are isolated, so
//! that they cannot reorder what stands beside them.

use std::fmt::Write as _;
use std::io::{self, Stdout, Write};
use std::sync::Once;

use anyhow::{Context, Result};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute};
use tokio::sync::mpsc;

/// Keys waiting for the page; more typed ahead than this is dropped.
const KEYS_MAX: usize = 64;
/// The smallest page that is drawn.
pub const COLUMNS_MIN: u16 = 80;
pub const ROWS_MIN: u16 = 24;

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    Alarm,
    Bold,
    Dim,
    Good,
    #[default]
    Plain,
    Reverse,
    Warning,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Alarm => "\x1b[1;31m",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Plain => "",
            Self::Reverse => "\x1b[7m",
            Self::Warning => "\x1b[33m",
        }
    }
}

/// One line of a page, built from left to right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<(Look, String)>,
    columns: usize,
}

impl Line {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn text(look: Look, text: impl Into<String>) -> Self {
        Self::new().with(look, text)
    }

    /// Adds a piece as it is. It must hold no controls.
    #[must_use]
    pub fn with(mut self, look: Look, text: impl Into<String>) -> Self {
        let text = text.into();
        self.columns += columns_of(&text);
        self.pieces.push((look, text));
        self
    }

    /// Adds a piece cut or padded to exactly `columns`.
    #[must_use]
    pub fn column(self, look: Look, text: &str, columns: usize) -> Self {
        let cut = clip(text, columns);
        let pad = columns.saturating_sub(columns_of(&cut));
        self.with(look, cut).with(Look::Plain, " ".repeat(pad))
    }

    /// Adds a caller's words, isolated, in what is left of `width`.
    #[must_use]
    pub fn words(self, look: Look, words: &str, width: usize) -> Self {
        let left = width.saturating_sub(self.columns);
        let cut = clip(&plain(words), left);
        if cut.is_empty() { self } else { self.with(look, isolated(&cut)) }
    }

    /// Adds a piece so that it ends at `width`, when there is room for it.
    #[must_use]
    pub fn right(self, look: Look, text: &str, width: usize) -> Self {
        let needed = columns_of(text);
        match width.checked_sub(self.columns + needed) {
            Some(gap) if gap > 0 => self.with(Look::Plain, " ".repeat(gap)).with(look, text),
            _ => self,
        }
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The line without its looks.
    pub fn bare(&self) -> String {
        self.pieces.iter().map(|(_, text)| text.as_str()).collect()
    }

    fn encode(&self, width: usize, colours: bool, out: &mut String) {
        let mut left = width;
        for (look, text) in &self.pieces {
            let cut = clip(text, left);
            left = left.saturating_sub(columns_of(&cut));
            let code = if colours || *look == Look::Reverse { look.code() } else { "" };
            out.push_str(code);
            out.push_str(&cut);
            if !code.is_empty() {
                out.push_str("\x1b[0m");
            }
        }
    }
}

/// The terminal while a page has it.
pub struct Screen {
    out: Stdout,
    drawn: Vec<Line>,
    size: (u16, u16),
    colours: bool,
}

impl Screen {
    /// Takes the terminal over. It is given back when this is dropped, and before a panic is printed.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn open() -> Result<Self> {
        give_back_on_panic();
        terminal::enable_raw_mode().context("the terminal cannot be used; try --plain")?;
        let mut out = io::stdout();
        let opened = execute!(out, EnterAlternateScreen, cursor::Hide, terminal::DisableLineWrap, event::EnableFocusChange);
        let screen = Self { out, drawn: Vec::new(), size: (0, 0), colours: std::env::var_os("NO_COLOR").is_none() };
        opened.context("the terminal cannot be used; try --plain")?;
        Ok(screen)
    }

    /// Columns and rows now, never less than the smallest page.
    pub fn size(&self) -> (usize, usize) {
        let (columns, rows) = terminal::size().unwrap_or((COLUMNS_MIN, ROWS_MIN));
        (usize::from(columns.max(COLUMNS_MIN)), usize::from(rows.max(ROWS_MIN)))
    }

    /// Rings the terminal's bell.
    pub fn bell(&mut self) {
        let _ = self.out.write_all(b"\x07");
        let _ = self.out.flush();
    }

    /// Draws what differs from the page before, in one write.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, lines: &[Line]) -> Result<()> {
        let size = terminal::size().unwrap_or((COLUMNS_MIN, ROWS_MIN));
        let mut out = String::with_capacity(8 * 1024);
        if size != self.size {
            (self.size, self.drawn) = (size, Vec::new());
            out.push_str("\x1b[2J");
        }
        let rows = usize::from(size.1);
        for row in 0..rows.min(lines.len().max(self.drawn.len())) {
            let empty = Line::new();
            let line = lines.get(row).unwrap_or(&empty);
            if self.drawn.get(row) == Some(line) {
                continue;
            }
            let _ = write!(out, "\x1b[{};1H\x1b[2K", row + 1);
            line.encode(usize::from(size.0), self.colours, &mut out);
        }
        if out.is_empty() {
            return Ok(());
        }
        // Synchronised: a terminal that knows this shows the page whole; the others ignore it.
        let page = format!("\x1b[?2026h{out}\x1b[?2026l");
        self.out.write_all(page.as_bytes()).and_then(|()| self.out.flush()).context("the terminal is gone")?;
        self.drawn = lines.to_vec();
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    let mut out = io::stdout();
    let _ = execute!(out, event::DisableFocusChange, terminal::EnableLineWrap, cursor::Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

/// A panic's text would be lost on the page that is torn down after it.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |why| {
            give_back();
            before(why);
        }));
    });
}

/// What a person did at the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Backspace,
    Char(char),
    Down,
    Enter,
    Escape,
    /// The page must be drawn again: it was resized or looked at again.
    Look,
    Left,
    /// Ctrl-C.
    Quit,
    Right,
    Up,
}

/// Reads the keyboard on a thread of its own until the receiver is gone.
///
/// # Errors
/// The thread cannot be started.
pub fn keys() -> Result<mpsc::Receiver<Key>> {
    let (keys_in, keys) = mpsc::channel(KEYS_MAX);
    let read = move || {
        while !keys_in.is_closed() {
            match event::poll(std::time::Duration::from_millis(200)) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => return,
            }
            let Ok(event) = event::read() else { return };
            if let Some(key) = key_of(&event) {
                // A full queue means that nobody reads: what was typed ahead is stale.
                let _ = keys_in.try_send(key);
            }
        }
    };
    std::thread::Builder::new().name("najda-keys".to_owned()).spawn(read).context("starting the keyboard's thread")?;
    Ok(keys)
}

fn key_of(event: &Event) -> Option<Key> {
    match event {
        Event::FocusGained | Event::Resize(..) => Some(Key::Look),
        Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => None,
        Event::Key(KeyEvent { code, modifiers, .. }) => match code {
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
            KeyCode::Char('l') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Look),
            KeyCode::Char(c) => Some(Key::Char(*c)),
            KeyCode::Backspace => Some(Key::Backspace),
            KeyCode::Down => Some(Key::Down),
            KeyCode::Enter => Some(Key::Enter),
            KeyCode::Esc => Some(Key::Escape),
            KeyCode::Left => Some(Key::Left),
            KeyCode::Right => Some(Key::Right),
            KeyCode::Up => Some(Key::Up),
            _ => None,
        },
        _ => None,
    }
}

/// A caller's words without controls: what could move the cursor, ring, or turn the direction of what follows becomes a space.
pub fn plain(words: &str) -> String {
    let harmless = |c: char| !c.is_control() && !matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    words.chars().map(|c| if harmless(c) { c } else { ' ' }).collect::<String>().trim().to_owned()
}

/// First-strong isolate: the words keep their own direction and turn nothing else around (Unicode UAX 9).
pub fn isolated(words: &str) -> String {
    format!("\u{2068}{words}\u{2069}")
}

/// The first `columns` of a text; an ellipsis says that something was cut.
pub fn clip(text: &str, columns: usize) -> String {
    if columns_of(text) <= columns {
        return text.to_owned();
    }
    let (mut used, mut cut, mut isolates) = (0, String::new(), 0_usize);
    for c in text.chars() {
        let wide = columns_of_char(c);
        if used + wide + 1 > columns {
            break;
        }
        isolates = match c {
            '\u{2068}' => isolates + 1,
            '\u{2069}' => isolates.saturating_sub(1),
            _ => isolates,
        };
        used += wide;
        cut.push(c);
    }
    if columns > 0 {
        cut.push('…');
    }
    // An isolate left open would swallow the rest of the line.
    cut.extend(std::iter::repeat_n('\u{2069}', isolates));
    cut
}

/// Columns a terminal gives a text: none for marks and invisible signs, two for wide letters, one for the rest.
pub fn columns_of(text: &str) -> usize {
    text.chars().map(columns_of_char).sum()
}

fn columns_of_char(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036F
        | 0x0591..=0x05BD
        | 0x0610..=0x061A
        | 0x064B..=0x065F
        | 0x0670
        | 0x06D6..=0x06DC
        | 0x06DF..=0x06E4
        | 0x0900..=0x0902
        | 0x093C
        | 0x0941..=0x0948
        | 0x094D
        | 0x0981
        | 0x09BC
        | 0x09C1..=0x09C4
        | 0x09CD
        | 0x0D41..=0x0D44
        | 0x0D4D
        | 0x200B..=0x200F
        | 0x202A..=0x202E
        | 0x2060..=0x2069
        | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFF00..=0xFF60 | 0x1F300..=0x1FAFF => 2,
        _ => 1,
    }
}

/// A wait as people read it: `0.4 s`, `12.0 s`, `3:07`.
pub fn wait_of(micros: u64) -> String {
    let tenths = micros / 100_000;
    if tenths < 600 { format!("{}.{} s", tenths / 10, tenths % 10) } else { format!("{}:{:02}", tenths / 600, tenths / 10 % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_words_cannot_command_the_terminal() {
        let words = plain("fire\x1b[2J\r\n\u{202E}evil\u{2069}\u{7}\u{9b}1m");
        assert!(!words.chars().any(char::is_control), "{words:?}");
        assert!(!words.contains(['\u{202E}', '\u{2069}', '\u{2068}']));
        assert!(words.starts_with("fire") && words.contains("evil"));
    }

    #[test]
    fn a_cut_isolate_is_closed_again() {
        let cut = clip(&isolated("حريق في برج وناس محاصرين"), 8);
        assert_eq!(cut.matches('\u{2068}').count(), cut.matches('\u{2069}').count());
        assert_eq!(columns_of(&cut), 8);
    }

    #[test]
    fn a_column_is_as_wide_as_asked_whatever_stands_in_it() {
        for text in ["", "a", "Ras Al Khaimah", "आग लग गई है", "أبوظبي", "火災"] {
            let line = Line::new().column(Look::Plain, text, 6);
            assert_eq!(line.columns(), 6, "{text}");
            assert_eq!(columns_of(&line.bare()), 6, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_at_the_right_is_left_out() {
        let line = Line::text(Look::Plain, "0123456789").right(Look::Plain, "abc", 12);
        assert_eq!(line.bare(), "0123456789");
        let line = Line::text(Look::Plain, "0123").right(Look::Plain, "abc", 12);
        assert_eq!(line.bare(), "0123     abc");
    }

    #[test]
    fn a_wait_reads_as_a_clock() {
        assert_eq!(wait_of(0), "0.0 s");
        assert_eq!(wait_of(12_340_000), "12.3 s");
        assert_eq!(wait_of(187_000_000), "3:07");
    }
}
