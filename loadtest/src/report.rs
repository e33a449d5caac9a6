//! What a run found, as a table for people and one JSON object for programs, and the verdict on it.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::environment::Environment;
use crate::journal::JournalReport;

/// Whether the run shows what it set out to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    Pass,
    /// The engine broke a promise.
    Fail,
    /// The load was not what it should have been; nothing follows from the figures.
    #[default]
    Invalid,
}

impl Verdict {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
        }
    }

    /// 0, 1, 2: a program that ignores the text is not misled.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Invalid => 2,
        }
    }

    /// A broken promise is one, however the load was.
    pub fn of(failures: &[String], doubts: &[String]) -> Self {
        match (failures.is_empty(), doubts.is_empty()) {
            (false, _) => Self::Fail,
            (true, false) => Self::Invalid,
            (true, true) => Self::Pass,
        }
    }
}

/// Latency of one step in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    pub count: u64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Latencies {
    pub targets: Latency,
    pub console: Latency,
    pub durable: Latency,
    pub accepted: Latency,
    pub ended: Latency,
    /// How late the generator was; part of every figure above.
    pub generator: Latency,
    /// How late gateways and consoles woke up, asked every 20 ms; part of every figure but the generator's.
    pub clients: Latency,
}

/// Counts of the run. All over contacts, but where they say otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    pub sent: u64,
    /// Answered with at least one target that has an address.
    pub targets: u64,
    /// Answers, not contacts, that named no such target.
    pub unusable_targets: u64,
    pub durable: u64,
    pub overdue: u64,
    pub offered: u64,
    /// Offers put on screens, neighbours and overflow included.
    pub offers: u64,
    pub taken: u64,
    pub accepted: u64,
    pub ended: u64,
    pub ended_closed: u64,
    /// No seat of their rooms was signed in: for a real caller that is the alarm.
    pub ended_unseen: u64,
    /// The engine held all the contacts it can.
    pub ended_overflowed: u64,
    /// Not ended when the run did, and on the screen of a seat that is there.
    pub waiting_on_screen: u64,
    pub refused: u64,
    pub refused_commands: u64,
    /// Commands that met a bound and were said again.
    pub full_commands: u64,
    /// Commands about an offer that had ended by then.
    pub late_commands: u64,
    /// Answered again: after a reconnect, or because their gateway sent a second copy.
    pub handed_back: u64,
    pub told_again: u64,
    /// What gateways said after a contact.
    pub copies_said: u64,
    pub fixes_said: u64,
    pub hang_ups_said: u64,
    pub later_unsaid: u64,
    /// Takes that another seat had won.
    pub lost_takes: u64,
    /// Contacts that a seat held and lost: it was silent beyond its lease, or its session broke.
    pub lost_holds: u64,
    pub unconfirmed_at_end: u64,
    /// Sends that found their gateway's client full, or too many in flight, and waited.
    pub held_back: u64,
    pub reconnects: u64,
}

/// One contact in flight at a time, beside what the machine can do bare. Medians over the rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Alone {
    pub rounds: usize,
    pub contacts: usize,
    /// Back to back, so that no core sleeps.
    pub two_hops_p50_us: f64,
    /// As far apart as the contacts: the cores have gone to sleep in between, as they do between contacts.
    pub two_hops_apart_p50_us: f64,
    /// Until the engine had read the contact.
    pub read_p50_us: f64,
    pub console_p50_us: f64,
    pub console_p99_us: f64,
    /// Our two hops, decision and all, to two bare ones.
    pub console_to_two_hops: f64,
    pub console_to_two_hops_apart: f64,
    /// Bytes of the entry that is written bare: those of the first fact of such a contact.
    pub bare_commit_bytes: usize,
    pub bare_commit_p50_us: f64,
    pub durable_p50_us: f64,
    /// To two hops apart and one bare commit.
    pub durable_to_hops_and_commit: f64,
}

/// What became of one room.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RoomReport {
    pub id: String,
    pub seats: u64,
    /// Shares it is responsible for, as its first seat saw them.
    pub own: u64,
    /// Shares of others: asked for help, or told as their neighbour.
    pub others: u64,
    pub taken_own: u64,
    /// Overflow: it took what another room is responsible for.
    pub taken_for_others: u64,
    /// Times it was asked because another room had no seat, was full, or did not take; from the journal.
    pub asked_for_help: u64,
    pub closed: u64,
    /// Its own shares that nobody had taken: most at once, and when the run ended.
    pub waiting_max: u64,
    pub waiting_at_end: u64,
    pub longest_wait_ms: f64,
}

/// An artificial stall, and who bore it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StallReport {
    pub asked_ms: f64,
    /// From SIGSTOP to SIGCONT.
    pub lasted_ms: f64,
    /// Contacts due in it, and those of them that reached no console before its end.
    pub due_in_it: u64,
    pub bore_it: u64,
}

/// What one process of the run used under load.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Used {
    pub cpu_us_a_contact: f64,
    /// Of all cores.
    pub cpu_share: f64,
    pub resident_max_mib: f64,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Asked {
    pub scenario: String,
    pub title: String,
    pub rate: f64,
    pub peak_rate: f64,
    pub seconds: f64,
    pub gateways: usize,
    pub consoles: usize,
    pub seed: u64,
    pub in_flight: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// The two numbers.
    pub contacts_a_second: f64,
    pub console_p99_us: f64,
    pub sent_a_second: f64,
    /// Sent, not ended, and on no screen of a seat that is there.
    pub lost: u64,
    pub duplicates: u64,
    pub counts: Counts,
    pub latency: Latencies,
    pub alone: Option<Alone>,
    pub stall: Option<StallReport>,
    pub engine_used: Option<Used>,
    pub load_test_used: Option<Used>,
    pub rooms: Vec<RoomReport>,
    pub journal: Option<JournalReport>,
    pub slo: String,
    pub asked: Asked,
    pub environment: Environment,
    /// The command that makes such a report again.
    pub command: String,
    /// Where the run's files are, when they were kept.
    pub kept: Option<String>,
}

/// Rooms shown to people; the JSON has all.
const ROOMS_SHOWN: usize = 12;

impl Report {
    pub fn overdue_percent(&self) -> f64 {
        self.counts.overdue as f64 * 100.0 / (self.counts.sent.max(1)) as f64
    }

    /// For people: the two numbers, what they are made of, and the verdict.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Asked { scenario, rate, peak_rate, seconds, gateways, consoles, seed, .. } = &self.asked;
        writeln!(out, "\n    {:.0} contacts/s carried through their whole life", self.contacts_a_second)?;
        writeln!(out, "    {} from send to console, p99\n", micros(self.console_p99_us))?;
        let peak = if peak_rate > rate { format!(" (peak {peak_rate:.0})") } else { String::new() };
        writeln!(out, "{scenario}: {rate} contacts/s{peak} for {seconds} s, {gateways} gateways, {consoles} consoles, seed {seed}")?;
        writeln!(out, "tables {}; {}\n", self.environment.tables, self.environment.line())?;
        self.write_latency(out)?;
        self.write_counts(out)?;
        self.write_alone(out)?;
        if let Some(StallReport { asked_ms, lasted_ms, due_in_it, bore_it }) = &self.stall {
            writeln!(
                out,
                "stall        asked {asked_ms:.0} ms, lasted {lasted_ms:.0} ms; {due_in_it} contacts were due in it, {bore_it} waited \
                for its end"
            )?;
        }
        self.write_rooms(out)?;
        if let Some(journal) = &self.journal {
            let JournalReport { facts, contacts, replayed, differing, .. } = journal;
            writeln!(out, "journal      {facts} facts of {contacts} contacts; {replayed} decisions made again, {differing} differ")?;
        }
        if let Some(kept) = &self.kept {
            writeln!(out, "kept         {kept}")?;
        }
        writeln!(out)?;
        let word = self.verdict.word();
        for reason in &self.reasons {
            writeln!(out, "{word}: {reason}")?;
        }
        let (rate, p99) = (self.contacts_a_second, micros(self.console_p99_us));
        writeln!(out, "{word}: {rate:.0} contacts/s, p99 {p99}, lost {}, duplicates {}", self.lost, self.duplicates)
    }

    fn write_latency(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "from due to     count         p50         p90         p99       p99.9         max")?;
        let Latencies { targets, console, durable, accepted, ended, generator, clients } = &self.latency;
        let rows = [
            ("targets", targets),
            ("console", console),
            ("durable", durable),
            ("accepted", accepted),
            ("ended", ended),
            ("(sent)", generator),
            ("(clients)", clients),
        ];
        for (name, latency) in rows {
            let Latency { count, p50_us, p90_us, p99_us, p999_us, max_us } = latency;
            write!(out, "{name:<10} {count:>10}")?;
            for value in [p50_us, p90_us, p99_us, p999_us, max_us] {
                write!(out, " {:>11}", micros(*value))?;
            }
            writeln!(out)?;
        }
        if let Some(alone) = &self.alone {
            let (hops, commit) = (micros(alone.two_hops_apart_p50_us), micros(alone.bare_commit_p50_us));
            writeln!(out, "floors                {hops:>11} two bare QUIC hops, {commit} one bare commit, p50 of this run")?;
        }
        writeln!(out)
    }

    fn write_counts(&self, out: &mut String) -> std::fmt::Result {
        let Counts { sent, targets, durable, overdue, offered, offers, taken, accepted, ended, ended_unseen, .. } = &self.counts;
        writeln!(
            out,
            "contacts     sent {sent}, targets {targets}, durable {durable}, overdue {overdue}, offered \
            {offered}, taken {taken}, accepted {accepted}, ended {ended}"
        )?;
        let Counts { refused, handed_back, waiting_on_screen, ended_overflowed, copies_said, hang_ups_said, fixes_said, .. } = &self.counts;
        writeln!(
            out,
            "             {offers} offers on screens; still waiting on one {waiting_on_screen}; alarmed {ended_unseen}; overflowed \
            {ended_overflowed}; refused {refused}; answered again {handed_back}"
        )?;
        writeln!(out, "             then: sent twice {copies_said}, fixes {fixes_said}, hang-ups {hang_ups_said}")?;
        let Counts { lost_takes, lost_holds, reconnects, held_back, refused_commands, .. } = &self.counts;
        writeln!(
            out,
            "             takes won by another {lost_takes}; held and lost {lost_holds}; commands refused {refused_commands}; reconnects \
            {reconnects}; sends held back {held_back}"
        )?;
        for (name, used) in [("engine", &self.engine_used), ("load test", &self.load_test_used)] {
            if let Some(Used { cpu_us_a_contact, cpu_share, resident_max_mib }) = used {
                let share = cpu_share * 100.0;
                writeln!(
                    out,
                    "{name:<12} {cpu_us_a_contact:.0} us of core time a contact, {share:.0} % of all cores, \
                    at most {resident_max_mib:.0} MiB"
                )?;
            }
        }
        Ok(())
    }

    fn write_alone(&self, out: &mut String) -> std::fmt::Result {
        let Some(alone) = &self.alone else { return Ok(()) };
        let Alone { console_p50_us, console_p99_us, read_p50_us, .. } = alone;
        let Alone { two_hops_p50_us, console_to_two_hops, two_hops_apart_p50_us, console_to_two_hops_apart, .. } = alone;
        writeln!(
            out,
            "1 in flight  send to console p50 {} (p99 {}), of it {} until the engine has read it",
            micros(*console_p50_us),
            micros(*console_p99_us),
            micros(*read_p50_us)
        )?;
        writeln!(
            out,
            "             two bare QUIC hops p50 {} as far apart as contacts ({console_to_two_hops_apart:.2} times), {} back to back \
             ({console_to_two_hops:.2} times)",
            micros(*two_hops_apart_p50_us),
            micros(*two_hops_p50_us)
        )?;
        let Alone { bare_commit_p50_us, bare_commit_bytes, durable_p50_us, durable_to_hops_and_commit, rounds, contacts, .. } = alone;
        writeln!(
            out,
            "             send to Durable p50 {}, bare commit of {bare_commit_bytes} bytes p50 {}: {durable_to_hops_and_commit:.2} times \
            hops and commit (medians of {rounds} rounds, {contacts} contacts)",
            micros(*durable_p50_us),
            micros(*bare_commit_p50_us)
        )
    }

    /// The busiest rooms, those that helped or waited first.
    fn write_rooms(&self, out: &mut String) -> std::fmt::Result {
        let mut rooms: Vec<&RoomReport> = self.rooms.iter().filter(|room| room.own + room.others > 0).collect();
        rooms.sort_by_key(|room| std::cmp::Reverse((room.waiting_at_end, room.taken_for_others, room.own)));
        if rooms.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nroom         seats      own    others     taken  overflow  waiting most/end  longest wait")?;
        for room in rooms.iter().take(ROOMS_SHOWN) {
            let RoomReport { id, seats, own, others, taken_own, taken_for_others, waiting_max, waiting_at_end, longest_wait_ms, .. } = room;
            writeln!(
                out,
                "{id:<12} {seats:>5} {own:>8} {others:>9} {taken_own:>9} {taken_for_others:>9} {waiting_max:>9} / \
                {waiting_at_end:<5} {:>13}",
                micros(longest_wait_ms * 1e3)
            )?;
        }
        let rest = rooms.len().saturating_sub(ROOMS_SHOWN);
        if rest > 0 { writeln!(out, "and {rest} more; --report has all\n") } else { writeln!(out) }
    }
}

/// Microseconds in the unit a person would choose.
pub fn micros(value: f64) -> String {
    match value {
        value if value < 1_000.0 => format!("{value:.0} us"),
        value if value < 1_000_000.0 => format!("{:.2} ms", value / 1e3),
        value => format!("{:.2} s", value / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_fails_a_run_whatever_its_load_was() {
        let some = ["a".to_owned()];
        assert_eq!(Verdict::of(&some, &some), Verdict::Fail);
        assert_eq!(Verdict::of(&[], &some), Verdict::Invalid);
        assert_eq!(Verdict::of(&[], &[]), Verdict::Pass);
        assert_eq!([Verdict::Pass, Verdict::Fail, Verdict::Invalid].map(Verdict::exit_code), [0, 1, 2]);
    }

    #[test]
    fn a_time_is_written_in_the_unit_it_needs() {
        assert_eq!([12.4, 1_234.0, 2_500_000.0].map(micros), ["12 us", "1.23 ms", "2.50 s"]);
    }
}
