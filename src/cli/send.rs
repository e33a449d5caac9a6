//! `najda send`: hands contacts to a running engine as a gateway does, and prints what the gateway hears.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::client::{GatewayClient, Identity, LinkConfig};
use crate::contact::ContactKey;
use crate::deliver::GatewayHears;
use crate::edge::certs::file_stem;
use crate::edge::clock::Clock;
use crate::edge::tls::Role;
use crate::units::{ContactId, Name};
use crate::wire::contact_json::{Read, read_contact};
use crate::wire::decision_json::DecisionJson;

/// Contacts sent and not yet as far as `--wait` says; reading goes on when the first of them is.
const WAITING_MAX: usize = 10_000;

/// Hand contacts to a running engine as a gateway and print what it answers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  najda send --dialled 999 --lat 25.1972 --lon 55.2744 --text 'an old man fainted'
  najda send --wait ended < contacts.jsonl
  najda send --role gateway/app --connect 10.0.0.7:9990 --jsonl < contacts.jsonl

Without a field, contacts are read from standard input, one JSON object a line, with the fields of `najda explain`. A contact is known \
by its id: the same id with the same content is the same contact. Exit code 1 when a contact did not get as far as --wait says. \
Each line says when (since that contact was sent), which contact, and what the gateway heard: \
targets (decided), durable (in the journal), overdue, moved, accepted (a person), ended, refused.")]
pub struct SendArgs {
    /// UDP address of the engine.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9990")]
    connect: SocketAddr,
    /// The name in the engine's certificate.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    server_name: String,
    /// Folder with ca.pem and the gateway's certificate, as `najda certs dev` makes it.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    certs: PathBuf,
    /// Which gateway to be.
    #[arg(long, value_name = "ROLE", default_value = "gateway/mobile-a-1", value_parser = role)]
    role: Role,
    /// How far each contact must get.
    #[arg(long, value_enum, default_value_t = Wait::Durable)]
    wait: Wait,
    /// Seconds to wait for the connection, and for the next answer.
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    patience: u64,
    /// One JSON object a line out, for scripts.
    #[arg(long)]
    jsonl: bool,
    #[command(flatten)]
    one: OneArgs,
}

/// One contact by its fields instead of standard input.
#[derive(Debug, Args)]
struct OneArgs {
    /// The gateway's own id of the contact; made from the time by default.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// sip-voice, sip-ecall, sms, app, fire-panel, intruder-panel, cap or relay; sip-voice by default.
    #[arg(long, value_name = "DOOR")]
    door: Option<String>,
    /// Digits dialled.
    #[arg(long, value_name = "DIGITS")]
    dialled: Option<String>,
    /// Degrees north, WGS 84.
    #[arg(long, value_name = "DEG", requires = "lon", allow_negative_numbers = true)]
    lat: Option<f64>,
    /// Degrees east.
    #[arg(long, value_name = "DEG", requires = "lat", allow_negative_numbers = true)]
    lon: Option<f64>,
    /// Radius of the fix in metres.
    #[arg(long, value_name = "M", requires = "lat")]
    uncertainty_m: Option<f64>,
    /// The calling line.
    #[arg(long, value_name = "LINE")]
    line: Option<String>,
    /// What was said or written.
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// ISO 639-1.
    #[arg(long, value_name = "LANG")]
    lang: Option<String>,
    /// A service URN.
    #[arg(long, value_name = "URN")]
    urn: Option<String>,
}

/// How far a contact must get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Wait {
    /// The journal holds it.
    Durable,
    /// A person accepted the service that has the voice.
    Accepted,
    /// Every service closed it.
    Ended,
}

pub fn run(args: &SendArgs) -> Result<ExitCode> {
    if !matches!(args.role, Role::Gateway { .. }) {
        bail!("{} is no gateway; give --role gateway/TRUNK", args.role);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("starting the runtime")?;
    runtime.block_on(send(args))
}

async fn send(args: &SendArgs) -> Result<ExitCode> {
    let identity = Identity::from_folder(&args.certs, &file_stem(&args.role));
    let identity = identity.with_context(|| {
        format!("reading the gateway's certificate; `najda certs dev --dir {} --role {}` makes one", args.certs.display(), args.role)
    })?;
    let link = LinkConfig::new(args.connect, args.server_name.as_str(), identity);
    let patience = Duration::from_secs(args.patience);
    let (client, mut hears) = GatewayClient::connect(link, patience)
        .await
        .with_context(|| format!("connecting to {}; `najda serve` starts an engine, --connect names another address", args.connect))?;
    let mut sender = Sender { args, clock: Clock::start(), waiting: BTreeMap::new(), failed: 0, unreadable: 0 };
    let mut contacts = contacts(args)?;
    let mut more = true;
    while more || !sender.waiting.is_empty() {
        tokio::select! {
            next = contacts.recv(), if more && sender.waiting.len() < WAITING_MAX => match next {
                Some(line) => sender.send(&client, &line).await?,
                None => more = false,
            },
            heard = timeout(patience, hears.recv()), if !sender.waiting.is_empty() => match heard {
                Ok(Some(heard)) => {
                    if let GatewayHears::Say { key, number, .. } = &heard {
                        // What is printed here has reached its caller.
                        client.delivered(key.clone(), *number, true).await.context("reporting")?;
                    }
                    sender.heard(&heard)?;
                }
                Ok(None) => bail!("the engine's line was closed"),
                Err(_) => break,
            },
        }
    }
    for (id, waiting) in &sender.waiting {
        eprintln!("najda send: {id} got {} within {patience:?}, not {:?}", waiting.got.map_or("nowhere", Wait::word), args.wait);
    }
    let missing = sender.waiting.len();
    client.close(Duration::from_secs(2)).await;
    Ok(if missing + sender.failed + sender.unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Wait {
    const fn word(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Accepted => "accepted",
            Self::Ended => "ended",
        }
    }
}

/// The lines to send: the one that the fields make, or those of standard input, read on a thread because it may wait for a person.
fn contacts(args: &SendArgs) -> Result<tokio::sync::mpsc::Receiver<Vec<u8>>> {
    let (lines_in, lines) = tokio::sync::mpsc::channel(64);
    if let Some(one) = args.one.json() {
        lines_in.try_send(one.to_string().into_bytes())?;
        return Ok(lines);
    }
    if std::io::stdin().is_terminal() {
        eprintln!("najda: reading contacts from the keyboard, one JSON object a line; Ctrl-D ends");
    }
    let read = move || {
        for line in std::io::stdin().lock().split(b'\n').map_while(std::result::Result::ok) {
            let blank = line.iter().all(u8::is_ascii_whitespace);
            if !blank && lines_in.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("najda-send-in".to_owned()).spawn(read).context("reading standard input")?;
    Ok(lines)
}

impl OneArgs {
    /// `None` when no field was given.
    fn json(&self) -> Option<Value> {
        let mut fields = Map::new();
        let texts = [
            ("id", &self.id),
            ("door", &self.door),
            ("dialled", &self.dialled),
            ("line", &self.line),
            ("text", &self.text),
            ("lang", &self.lang),
            ("urn", &self.urn),
        ];
        for (name, value) in texts {
            fields.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
        }
        for (name, value) in [("lat", self.lat), ("lon", self.lon), ("uncertainty_m", self.uncertainty_m)] {
            fields.extend(value.map(|value| (name.to_owned(), json!(value))));
        }
        if fields.is_empty() {
            return None;
        }
        let now = Clock::start().now().unix_micros;
        fields.entry("id").or_insert_with(|| json!(format!("send-{now}")));
        Some(Value::Object(fields))
    }
}

/// A contact on its way.
struct Waiting {
    sent_micros: u64,
    got: Option<Wait>,
    lead: Option<crate::service::Service>,
}

struct Sender<'a> {
    args: &'a SendArgs,
    clock: Clock,
    waiting: BTreeMap<Box<str>, Waiting>,
    failed: usize,
    unreadable: usize,
}

impl Sender<'_> {
    async fn send(&mut self, client: &GatewayClient, line: &[u8]) -> Result<()> {
        let now = self.clock.now();
        let contact = match read_contact(line, Name::default(), ContactId::default(), now) {
            Ok(Read { contact, .. }) => contact,
            Err(error) => {
                self.unreadable += 1;
                eprintln!("najda send: a line is no contact: {error}");
                return Ok(());
            }
        };
        let id = contact.key.gateway_ref.clone();
        self.waiting.insert(id, Waiting { sent_micros: now.unix_micros, got: None, lead: None });
        client.send(contact).await.context("sending")
    }

    fn heard(&mut self, hears: &GatewayHears) -> Result<()> {
        let now = self.clock.now().unix_micros;
        let (id, what, details) = self.say_of(hears);
        let Some(waiting) = self.waiting.get_mut(&id) else { return Ok(()) };
        let got = match hears {
            GatewayHears::Targets { decision, .. } => {
                waiting.lead = decision.services.iter().find(|assigned| assigned.lead).map(|lead| lead.service);
                None
            }
            GatewayHears::Durable { .. } => Some(Wait::Durable),
            GatewayHears::Accepted { service, .. } if waiting.lead.is_none_or(|lead| lead == *service) => Some(Wait::Accepted),
            GatewayHears::Ended { .. } => Some(Wait::Ended),
            GatewayHears::Accepted { .. }
            | GatewayHears::Moved { .. }
            | GatewayHears::Overdue { .. }
            | GatewayHears::Refused { .. }
            | GatewayHears::Say { .. } => None,
        };
        waiting.got = waiting.got.max(got);
        let after_ms = now.saturating_sub(waiting.sent_micros) as f64 / 1e3;
        let refused = matches!(hears, GatewayHears::Refused { .. });
        let done = refused || waiting.got >= Some(self.args.wait);
        self.print(&id, after_ms, what, details)?;
        if done {
            self.waiting.remove(&id);
            self.failed += usize::from(refused);
        }
        Ok(())
    }

    /// Whose it is, the word for it, and its details as JSON.
    fn say_of(&self, hears: &GatewayHears) -> (Box<str>, &'static str, Value) {
        let id = |key: &ContactKey| key.gateway_ref.clone();
        match hears {
            GatewayHears::Targets { key, targets, decision, .. } => {
                let targets: Vec<Value> =
                    targets.iter().map(|to| json!({ "dispatcher": to.dispatcher.as_str(), "uri": &*to.uri })).collect();
                let decision = serde_json::to_value(DecisionJson::new(&key.gateway_ref, decision, None)).unwrap_or(Value::Null);
                (id(key), "targets", json!({ "targets": targets, "decision": decision }))
            }
            GatewayHears::Durable { key, contact } => (id(key), "durable", json!({ "contact": contact.to_string() })),
            GatewayHears::Overdue { key, contact } => (id(key), "overdue", json!({ "contact": contact.to_string() })),
            GatewayHears::Moved { key, service, dispatcher, .. } => {
                (id(key), "moved", json!({ "service": service.word(), "dispatcher": dispatcher.as_str() }))
            }
            GatewayHears::Accepted { key, service, seat, .. } => {
                let by = format!("{}/{}", seat.dispatcher, seat.seat);
                (id(key), "accepted", json!({ "service": service.word(), "by": by }))
            }
            GatewayHears::Ended { key, ending, .. } => (id(key), "ended", json!({ "ending": ending.word() })),
            GatewayHears::Say { key, number, text, .. } => (id(key), "say", json!({ "number": number, "text": text })),
            GatewayHears::Refused { gateway_ref, why } => (gateway_ref.clone(), "refused", json!({ "why": format!("{why:?}") })),
        }
    }

    fn print(&self, id: &str, after_ms: f64, what: &str, details: Value) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.args.jsonl {
            let mut line = json!({ "id": id, "heard": what, "after_ms": after_ms });
            if let (Value::Object(line), Value::Object(details)) = (&mut line, details) {
                line.extend(details);
            }
            return writeln!(out, "{line}").context("writing");
        }
        writeln!(out, "{after_ms:>9.2} ms  {id}  {what:<9} {}", for_people(what, &details)).context("writing")
    }
}

fn for_people(what: &str, details: &Value) -> String {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |value: &Value, key: &str, field: &str| -> Vec<String> {
        value.get(key).and_then(Value::as_array).into_iter().flatten().map(|item| text(item, field)).collect()
    };
    match what {
        "targets" => {
            let decision = details.get("decision").unwrap_or(&Value::Null);
            let services = list(decision, "services", "dispatcher").join(" ");
            let told = list(decision, "neighbours", "dispatcher").join(" ");
            let told = if told.is_empty() { String::new() } else { format!("; told {told}") };
            let area = decision.get("area").and_then(Value::as_str).unwrap_or("unknown");
            format!("{services} (area {area}{told}); rings {}", list(details, "targets", "dispatcher").join(" > "))
        }
        "accepted" => format!("{} by {}", text(details, "service"), text(details, "by")),
        "moved" => format!("{} to {}", text(details, "service"), text(details, "dispatcher")),
        "ended" => text(details, "ending"),
        "refused" => text(details, "why"),
        _ => text(details, "contact"),
    }
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SendArgs,
    }

    #[test]
    fn fields_make_one_contact_and_none_make_standard_input() {
        let none = Cli::parse_from(["send"]);
        assert!(none.args.one.json().is_none());
        let one = Cli::parse_from(["send", "--lat", "25.1", "--lon", "55.2", "--text", "fire", "--id", "a"]);
        assert_eq!(one.args.one.json(), Some(json!({ "id": "a", "text": "fire", "lat": 25.1, "lon": 55.2 })));
    }

    #[test]
    fn half_a_fix_is_an_error_on_the_command_line() {
        assert!(Cli::try_parse_from(["send", "--lat", "25.1"]).is_err());
    }

    #[test]
    fn the_further_a_contact_gets_the_more_it_satisfies() {
        assert!(Wait::Ended > Wait::Accepted && Wait::Accepted > Wait::Durable);
        assert!(Some(Wait::Durable) > None);
    }
}
