//! The desk of a console: what a seat says goes to the engine, under the seat its certificate names.

use std::sync::Arc;

use crate::deliver::{ConsoleHears, ConsoleSays, Duty, Refusal, Seat};
use crate::edge::ingress::Desk;
use crate::engine::{Input, SessionId};
use crate::wire::frame::Frame;

pub(crate) struct ConsoleDesk {
    pub(crate) seat: Seat,
    pub(crate) duty: Duty,
    pub(crate) load_test: bool,
}

impl Desk for ConsoleDesk {
    type Says = ConsoleSays;
    type Hears = ConsoleHears;

    fn opened(&self, session: SessionId) -> Input {
        super::opened(session, self.seat, self.duty, self.load_test)
    }

    fn said(&mut self, session: SessionId, mut says: ConsoleSays, _cut: bool) -> (Option<ConsoleHears>, Input) {
        // A load test's console can hand back load-test contacts only: what it says reaches no live screen.
        if let ConsoleSays::HandBack { contact, .. } = &mut says
            && self.load_test
        {
            Arc::make_mut(contact).load_test = true;
        }
        (None, Input::Console { session, says })
    }

    fn refusal(&self, _frame: &Frame<'_>) -> ConsoleHears {
        ConsoleHears::Refused { offer: None, why: Refusal::Malformed }
    }
}
