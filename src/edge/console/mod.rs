//! The doors of the people who answer.

pub(super) mod server;
pub mod web;

use crate::deliver::{Duty, Seat};
use crate::engine::{Input, SessionId};

/// The session of somebody who answers, supervises or reads, as the engine is told of it.
fn opened(session: SessionId, seat: Seat, duty: Duty, test: bool) -> Input {
    match duty {
        Duty::Auditor => Input::AuditorOpened { session, name: seat.seat },
        Duty::Supervisor => Input::SupervisorOpened { session, seat },
        // Other systems come by a door of their own.
        Duty::Dispatcher | Duty::System => Input::ConsoleOpened { session, seat, test },
    }
}
