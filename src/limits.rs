//! Every bound of the engine, with its unit, its reason, and a compile-time assertion of its relation to the others.
//!
//! Reaching one of these is an event, never silence: the contact takes the overflow route, the event is counted and journaled.

/// Services one contact can need at once. There are nine kinds; a plan that names them all still fits.
pub const SERVICES_MAX: usize = 9;
/// Dispatchers asked in turn for one service before the national fallback (responsible room, overflow, neighbour, fallback).
pub const CHAIN_MAX: usize = 8;
/// Neighbour rows in one decision: areas in doubt x services they would need.
pub const NEIGHBOURS_MAX: usize = 12;
/// Areas weighed against each other for one place.
pub const CANDIDATES_MAX: usize = 8;
/// Oddities reported about one contact.
pub const DISCREPANCIES_MAX: usize = 16;
/// Steps of reasoning kept in one decision.
pub const REASONS_MAX: usize = 24;

/// Location claims kept for one contact; the best ranked stay.
pub const CLAIMS_MAX: usize = 8;
/// Signals kept for one contact.
pub const SIGNALS_MAX: usize = 16;
/// Bytes of words classified from one contact; the rest is kept but not read.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Vertices of one claimed polygon.
pub const CLAIM_VERTICES_MAX: usize = 128;
/// Centimetres of the radius of a claimed shape: 2,000 km. A wider one names no country, let alone a room.
pub const SHAPE_RADIUS_CM_MAX: u32 = 200_000_000;
/// Bytes of a line identity, dialled number, trunk or cell id.
pub const IDENTITY_BYTES_MAX: usize = 64;
/// Bytes of one framed message on a gateway's or console's stream.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one fact in the journal: a contact or evidence that filled a frame, a full decision, and the states of the rooms.
pub const FACT_BYTES_MAX: usize = 256 * 1024;
/// Oddities kept for one contact; there are fewer kinds.
pub const ODDITIES_MAX: usize = 16;
/// Vertices of the claims and signals aside, bytes of each of a contact's words when the whole outgrows a frame.
pub const TRIMMED_WORDS_BYTES_MAX: usize = 1_024;
/// Bytes of one step of reasoning in a record: a step's word and a name.
pub const REASON_BYTES_MAX: usize = 128;
/// Bytes a person types as the reason of a command.
pub const COMMAND_REASON_BYTES_MAX: usize = 1_024;
/// Bytes of a note that a person writes about a contact, and notes that its screens show; the journal has them all.
pub const NOTE_BYTES_MAX: usize = 512;
pub const NOTES_SHOWN_MAX: usize = 12;
/// Bytes of one line that a person writes to a caller: an SMS of seven parts. A longer one is refused, because half of it is another
/// message. A caller's longer one is cut in the conversation and whole in the evidence.
pub const SAID_BYTES_MAX: usize = 1_024;
/// Lines of a conversation that screens show and a restart keeps; the journal has them all.
pub const SAID_SHOWN_MAX: usize = 48;
/// Lines of one conversation. Nobody writes as many; beyond it a seat is refused, and a caller's words are evidence only.
pub const SAID_MAX: u32 = 10_000;
/// People who are known to have read a contact: more are written down each time they look.
pub const READERS_MAX: usize = 64;
/// Events declared at once in one engine: a country's worst day has a handful.
pub const EVENTS_MAX: usize = 16;
/// Bytes of an event's words in one language: a banner's two lines.
pub const EVENT_WORDS_BYTES_MAX: usize = 256;
/// Incident types one event is about.
pub const EVENT_TYPES_MAX: usize = 16;
/// How long an event can last unless it is declared again: nobody reserves seats for a week and forgets it.
pub const EVENT_MICROS_MAX: u64 = 24 * 3_600 * 1_000_000;
/// Other contacts of an incident that a screen names.
pub const JOINED_MAX: usize = 64;
/// Contacts proposed as speaking of the same event.
pub const RELATED_MAX: usize = 4;
/// Contacts of one small piece of ground that a new one is compared with: the newest.
pub const SCENE_CELL_MAX: usize = 32;
/// Live contacts that are compared with each other when an engine starts.
pub const COMPARED_AT_START_MAX: usize = 10_000;
/// Words of a contact that are compared with another's.
pub const TRACE_WORDS_MAX: usize = 24;
/// Bytes of a dispatcher's SIP URI.
pub const URI_BYTES_MAX: usize = 256;
/// Places one voice call can go: every room of every chain.
pub const TARGETS_MAX: usize = CHAIN_MAX * SERVICES_MAX;
/// Room states journaled with one decision: those that differ from active.
pub const STATES_MAX: usize = 1_024;
/// Languages a seat signs in with.
pub const LANGUAGES_MAX: usize = 32;

/// Areas in one layer of boundaries.
pub const AREAS_MAX: usize = 60_000;
/// Dispatchers in one table set.
pub const DISPATCHERS_MAX: usize = 60_000;

/// Files of one pack; a folder with more is not a pack.
pub const PACK_FILES_MAX: usize = 4_096;
/// Bytes of one pack. 12 million vertices of GeoJSON are about 300 MB; a folder with more was given by mistake.
pub const PACK_BYTES_MAX: u64 = 1 << 30;

/// How long a seat may hold a contact without a heartbeat before the lease is stale and the offer is shown to all again.
pub const LEASE_MICROS_MAX: u64 = 10_000_000;
/// How often a console sends its heartbeat. Three are lost before a lease is.
pub const HEARTBEAT_MICROS: u64 = 3_000_000;
/// How long a gateway waits for the disk before it is told `Overdue` instead of `Durable`.
pub const JOURNAL_WAIT_MICROS_MAX: u64 = 100_000;
/// Contacts waiting between the doors and the engine thread.
pub const ENGINE_QUEUE_MAX: usize = 16_384;
/// Contacts alive in one engine. At 10,000 a second and 100 s a life this is the worst hour imagined; beyond it, overflow.
pub const CONTACTS_LIVE_MAX: usize = 1_000_000;
/// Entries in one group commit.
pub const COMMIT_ENTRIES_MAX: usize = 8_192;
/// Bytes of entries in one group commit: a fraction of a second's writing on any disk worth having.
pub const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one journal entry. The longest fact is a contact that arrives while every dispatcher's state is out of the ordinary.
pub const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Partitions of one journal: nodes that can be homes of contacts.
pub const PARTITIONS_MAX: usize = 64;
/// Entries that wait in memory while the disk fails. A national surge of 6 contacts a second, 6 facts each, lasts 8 hours.
pub const STORE_BACKLOG_ENTRIES_MAX: usize = 1 << 20;
/// Bytes of those entries.
pub const STORE_BACKLOG_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Bytes of one file of the journal before the next is begun, so that old ones can be moved away.
pub const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of a file's write-ahead log laid out before they are needed: what it holds when it is written from its start again, and half
/// as much for what is written while that is prepared.
pub const LOG_BYTES_AHEAD: u64 = 24 * 1024 * 1024;
/// Entries read back at once.
pub const READ_ENTRIES_MAX: usize = 4_096;
/// Bytes of table sets or of a checkpoint kept as one blob. The largest table set measured takes 139 MiB.
pub const BLOB_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Checkpoints kept: the newest, and the one before it in case the newest cannot be read.
pub const CHECKPOINTS_KEPT: usize = 2;
/// Entries after which the next checkpoint is made: a restart reads about as many in half a second.
pub const CHECKPOINT_ENTRIES: u64 = 100_000;
/// How long after a checkpoint the next is made when entries are few.
pub const CHECKPOINT_MICROS: u64 = 300_000_000;
/// Rows one search returns.
pub const QUERY_ROWS_MAX: usize = 10_000;
/// Entries the searchable rows may be behind before they are made even while the disk is busy with commits.
pub const PROJECTION_LAG_ENTRIES_MAX: u64 = 100_000;
/// Messages waiting for one console or gateway before its stream is closed and it must resume.
pub const SESSION_QUEUE_MAX: usize = 8_192;
/// Sessions of one engine.
pub const SESSIONS_MAX: usize = 4_096;

/// How long a room's screens have to show an offer before the next room is asked as well: a dead screen must not cost the whole wait.
pub const SHOWN_WAIT_MICROS_MAX: u64 = 5_000_000;
/// How long an offer may wait before everybody who can be asked is asked, and it stands in alarm, whatever the rooms' own times are.
pub const ALARM_WAIT_MICROS_MAX: u64 = 20_000_000;
/// How often it rings again for an offer in alarm, and rooms are looked for that have come meanwhile.
pub const ALARM_AGAIN_MICROS: u64 = 20_000_000;
/// How long the seat that holds an earlier contact of the same line is asked alone.
pub const REPEAT_WAIT_MICROS_MAX: u64 = 5_000_000;
/// Earlier contacts of one line that are looked at for one that a person holds.
pub const EARLIER_MAX: usize = 8;
/// How long a room has to take an offer when the tables say nothing of it.
pub const TAKE_MICROS_DEFAULT: u64 = 15_000_000;
/// Contacts one room holds at once when the tables say nothing of it: no bound of its own.
pub const CAPACITY_DEFAULT: u32 = u32::MAX;
/// How long the engine waits for seats to come back after a restart before it asks the next in a chain.
pub const RECOVERY_WAIT_MICROS_MAX: u64 = 10_000_000;
/// Rooms known by name: those of two table sets, the old and the new, and of decisions older than both.
pub const ROOMS_MAX: usize = 2 * DISPATCHERS_MAX;
/// Rooms asked for one offer beside its chain: its neighbours, the room of a repeat caller's dispatcher, an all-call.
pub const CALLED_MAX: usize = NEIGHBOURS_MAX + 1 + ALL_CALL_MAX;
/// Rooms outside chain and neighbours that an all-call reaches at once. More would be every screen of a country for one contact.
pub const ALL_CALL_MAX: usize = 16;
/// Rooms one offer can be on the screens of: those of its chain, its neighbours, and those asked beside them.
pub const VIEWERS_MAX: usize = CHAIN_MAX + NEIGHBOURS_MAX + CALLED_MAX;
/// Seats that ever signed in to one engine: each is a certificate that ops issued.
pub const SEATS_MAX: usize = 65_536;
/// Offers one seat can hold. No person handles more than a few; a load test's console plays many people.
pub const SEAT_HOLDS_MAX: usize = 4_096;
/// Sessions one gateway can have open at once: the one in use, and those not yet known to be dead.
pub const GATEWAY_SESSIONS_MAX: usize = 8;
/// Gateways known by name. Each is a certificate that ops issued, but a console that hands back can name any.
pub const GATEWAYS_MAX: usize = 16_384;
/// Promises that wait for the disk. A contact of two services makes eight: arrival, end, and three for each service.
pub const PROMISES_MAX: usize = 8 * CONTACTS_LIVE_MAX;
/// Promises kept in one call after the disk answers; the rest follow at the next ticks.
pub const PROMISES_KEPT_MAX: usize = COMMIT_ENTRIES_MAX;
/// How long after a full slice of kept promises the next one follows, so that no session's queue is flooded.
pub const PROMISES_PAUSE_MICROS: u64 = 50_000;
/// Due timers handled in one tick.
pub const TICK_TIMERS_MAX: usize = 1_024;
/// Offers shown, swept or told again in one slice to a seat or gateway that has just come, or a room that has just emptied.
pub const CATCH_UP_MAX: usize = 512;
/// How long after one slice the next follows.
pub const CATCH_UP_PAUSE_MICROS: u64 = 5_000;
/// Contacts that have ended and are remembered, so that a late duplicate cannot bring them back. Two minutes at 4,000 a second.
pub const ENDED_KEPT_MAX: usize = 524_288;
/// How long an ended contact is remembered: longer than any gateway's retransmission or reconnect.
pub const ENDED_KEPT_MICROS_MAX: u64 = 3_600_000_000;
/// How long a contact's end is told again to a gateway that reconnects: longer than it takes to notice that a connection is dead.
pub const ENDED_RETOLD_MICROS_MAX: u64 = 60_000_000;
/// Ends told again to one gateway that reconnects.
pub const ENDED_RETOLD_MAX: usize = 65_536;
/// Contacts whose evidence came before them.
pub const ORPHANS_MAX: usize = 4_096;
/// How long such evidence waits for its contact. Two messages of one gateway overtake each other by milliseconds.
pub const ORPHAN_WAIT_MICROS_MAX: u64 = 10_000_000;
/// How long the engine waits for the decision about new evidence before it asks for it again.
pub const REROUTE_WAIT_MICROS_MAX: u64 = 1_000_000;
/// How often it asks before it writes the evidence down under the old decision.
pub const REROUTES_MAX: u8 = 3;
/// Contacts a gateway's client keeps until the journal holds them: six seconds of the worst hour imagined. Then sending waits.
pub const UNCONFIRMED_MAX: usize = 65_536;
/// Messages a client keeps until the engine has received them. Then sending waits.
pub const UNRECEIVED_MAX: usize = 8_192;
/// Messages encoded into one write of a stream.
pub const WRITE_BATCH_MAX: usize = 256;
/// Bytes of answers gathered before they are written: the first contact of a burst does not wait for the last.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// How long a peer has from its first packet to its first message.
pub const HANDSHAKE_MICROS_MAX: u64 = 3_000_000;
/// After this long without a packet a connection is lost. Three keep-alives are lost before it is.
pub const IDLE_MICROS_MAX: u64 = 3_000_000;
/// How often an idle connection says that it lives.
pub const KEEP_ALIVE_MICROS: u64 = 1_000_000;
/// How long a session that drains waits until its peer has everything.
pub const DRAIN_MICROS_MAX: u64 = 2_000_000;
/// At most one stateless reset in this time: 2,000 a second tell every session of a restarted engine before it would time out.
pub const RESET_MICROS_MIN: u64 = 500;
/// How soon a door tries again to hand the engine what its full queue refused.
pub const RESUBMIT_MICROS: u64 = 1_000;
/// A peer's messages taken before it is told of them, when there is nothing else to say to it.
pub const RECEIVED_UNTOLD_MAX: u64 = 32;
/// How long it waits for that: what it keeps meanwhile is little, and most messages are answered sooner.
pub const RECEIVED_MICROS_MAX: u64 = 5_000;
/// Packets a peer acknowledges with one of its own under load, and at the latest after its usual 25 ms.
pub const PACKETS_AN_ACK: u32 = 10;
/// Bytes a peer may send on its stream before we have read them: 25 ms of 10,000 contacts a second, and at least two frames.
pub const STREAM_WINDOW_BYTES_MAX: usize = 256 * 1024;
/// Bytes we hold for a peer that has not acknowledged them.
pub const SEND_WINDOW_BYTES_MAX: usize = 512 * 1024;

/// Entries the engine thread keeps while the store takes none, beside the store's own backlog. Beyond it the loss is declared.
pub const PENDING_ENTRIES_MAX: usize = 262_144;
/// Entries the journal may be behind while what it lost is written again; beyond it that waits, so that it is not lost anew.
pub const HEAL_AHEAD_ENTRIES_MAX: u64 = 131_072;

/// Connections of the HTTP door, those in their handshake included. Each serves one request at a time.
pub const HTTP_CONNECTIONS_MAX: usize = 2_048;
/// Those of callers without a certificate: whoever has one always finds a place.
pub const HTTP_STRANGERS_MAX: usize = 1_536;
/// HTTP requests served at once. Beyond it an authenticated contact is decided and answered without waiting for the journal.
pub const HTTP_REQUESTS_MAX: usize = 1_024;
/// Gateways that bring contacts by HTTP. Each is a certificate or a token that ops issued.
pub const HTTP_GATEWAYS_MAX: usize = 1_024;
/// Callers of one such gateway to whom something was said that it has not fetched; beyond it those whose contact has ended go first, and
/// the engine keeps what is said to the others.
pub const CONVERSATIONS_MAX: usize = 16_384;
/// Tokens of the HTTP door.
pub const TOKENS_MAX: usize = 1_024;
/// How long a caller has for the head of a request, and how long a connection may be idle.
pub const HTTP_HEAD_MICROS_MAX: u64 = 5_000_000;
/// How long a caller has for the body of a contact.
pub const HTTP_BODY_MICROS_MAX: u64 = 5_000_000;
/// Bytes of the body of a contact: a frame's worth, however it is spelled.
pub const HTTP_BODY_BYTES_MAX: usize = FRAME_BYTES_MAX;
/// Bytes of a body that is too long which are still read, so that its sender hears why it is refused.
pub const HTTP_DROPPED_BYTES_MAX: usize = 1_048_576;
/// How long ops have to send a table set: the largest at 40 Mbit/s.
pub const HTTP_TABLES_MICROS_MAX: u64 = 120_000_000;
/// How long an HTTP connection is kept; a caller that never reads its answers is gone by then.
pub const HTTP_CONNECTION_MICROS_MAX: u64 = 600_000_000;
/// After this long without a sign of the engine's thread it is not alive.
pub const ENGINE_SILENT_MICROS_MAX: u64 = 2_000_000;
/// Arrivals timed at once until the journal holds them; later ones are not timed.
pub const ARRIVALS_TIMED_MAX: usize = 65_536;

/// Messages to callers that are sent at once.
pub const NOTIFY_AT_ONCE_MAX: usize = 8;
/// How long a gateway of messages has for one.
pub const NOTIFY_MICROS_MAX: u64 = 10_000_000;
/// Bytes read of its answer, which is only looked at for its status.
pub const NOTIFY_ANSWER_BYTES_MAX: usize = 65_536;
/// After this long, "you were heard" would puzzle more than it helps.
pub const HEARD_MICROS_MAX: u64 = 15 * 60 * 1_000_000;
/// After this long nobody is asked how it was.
pub const RATE_MICROS_MAX: u64 = 24 * 3_600 * 1_000_000;
/// How long the link of a rating is good.
pub const RATING_LINK_MICROS_MAX: u64 = 30 * 24 * 3_600 * 1_000_000;
/// Ratings of one contact that are written down, and contacts remembered for that: a link that is tapped for ever fills no journal.
pub const RATINGS_A_CONTACT_MAX: u8 = 3;
pub const RATINGS_KNOWN_MAX: usize = 65_536;
/// Bytes of the form that carries a rating.
pub const RATING_BYTES_MAX: usize = 256;

/// Reads through the feed that are remembered as written down; then all are forgotten, and the engine is asked again.
pub const FEED_READS_KNOWN_MAX: usize = 65_536;

/// Room of a socket for datagrams that wait to be read: a second of 3,000 calls. The usual 208 KiB hold 30 milliseconds of them, less
/// than the engine may wait for a core that others use.
pub const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of one SIP message, and of an XML body by HTTP: what fits a datagram.
pub const SIP_BYTES_MAX: usize = 65_536;
/// Header lines of one SIP message. Every proxy on the way adds a few.
pub const SIP_HEADERS_MAX: usize = 256;
/// Bytes of one SIP header; a longer one is passed over.
pub const SIP_HEADER_BYTES_MAX: usize = 8_192;
/// Bytes of a request URI; a longer one is answered 414.
pub const SIP_URI_BYTES_MAX: usize = 4_096;
/// Values read of one header, over all its lines.
pub const SIP_VALUES_MAX: usize = 32;
/// Parameters read of one value.
pub const SIP_PARAMETERS_MAX: usize = 32;
/// Bytes of the rules told in an answer, so that an answer with eight targets fits an Ethernet frame.
pub const SIP_WARNING_BYTES_MAX: usize = 192;
/// How long the answer to a call stays the same: 64 times the first interval of retransmissions (RFC 3261, 17.1.1.2).
pub const SIP_ANSWER_MICROS: u64 = 32_000_000;
/// Calls whose answers are kept: 4,096 a second for as long. Beyond it the oldest is forgotten, and answered anew if it comes again.
pub const SIP_CALLS_MAX: usize = 131_072;
/// Attempts of one call, each told where to go next.
pub const SIP_ATTEMPTS_MAX: usize = 16;
/// Datagrams read and not yet handled; one more is left for its sender to send again.
pub const SIP_QUEUE_MAX: usize = 4_096;
/// Streams of gateways, handshakes included.
pub const SIP_STREAMS_MAX: usize = 1_024;
/// How long a stream may be silent. Gateways ask each minute whether we are there.
pub const SIP_SILENT_MICROS_MAX: u64 = 300_000_000;
/// How long a gateway may take to read one answer from its stream.
pub const SIP_WRITE_MICROS_MAX: u64 = 5_000_000;
/// Inputs that wait for the engine's queue. Beyond it an input is lost, counted and logged; the call has its answer.
pub const SIP_BACKLOG_MAX: usize = 65_536;
/// Facts read back at a start for the answers given before it.
pub const SIP_FACTS_MAX: u64 = 262_144;
/// Rows that name gateways by their addresses.
pub const SIP_PEERS_MAX: usize = 1_024;
/// Steps of a call's history kept.
pub const HISTORY_MAX: usize = 16;
/// Values of Geolocation headers looked at.
pub const GEOLOCATIONS_MAX: usize = 8;
/// Bytes of a reference to a place; a longer one is not kept, because a part of it names nothing.
pub const REFERENCE_URI_BYTES_MAX: usize = 1_024;
/// References of one call that are fetched.
pub const REFERENCES_A_CALL_MAX: usize = 2;
/// Location servers that may be asked.
pub const REFERENCE_HOSTS_MAX: usize = 64;
/// Fetches from one location server at once. It may hang: the calls go on without it, and so do the other servers.
pub const REFERENCES_A_HOST_MAX: usize = 128;
/// How long a location server has for its answer, its handshake included. A taker asks for the place well before that.
pub const REFERENCE_MICROS_MAX: u64 = 3_000_000;
/// Identity tokens of one call looked at.
pub const PASSPORTS_MAX: usize = 4;
/// Bytes of the payload of one, as it is encoded.
pub const PASSPORT_BYTES_MAX: usize = 4_096;
/// Parts of one body.
pub const MULTIPART_PARTS_MAX: usize = 32;
/// Multipart bodies inside multipart bodies.
pub const MULTIPART_DEPTH_MAX: usize = 4;
/// PIDF-LO documents read of one call.
pub const PIDF_PARTS_MAX: usize = 4;
/// Places read of one PIDF-LO document.
pub const PIDF_PLACES_MAX: usize = 8;
/// Elements of an XML document inside each other.
pub const XML_DEPTH_MAX: usize = 48;
/// Elements of one XML document; a place with a polygon of elements takes two hundred.
pub const XML_ELEMENTS_MAX: usize = 1_024;
/// Attributes of one element.
pub const XML_ATTRIBUTES_MAX: usize = 64;
/// Namespace declarations in force at once.
pub const XML_BINDINGS_MAX: usize = 64;
/// Fields of a civic address; the standard knows 46.
pub const CIVIC_FIELDS_MAX: usize = 64;
/// Bytes of one field of an address, or of a URI kept.
pub const CIVIC_VALUE_BYTES_MAX: usize = 256;
/// Names kept of one LoST message: servers passed, errors, profiles.
pub const LOST_ITEMS_MAX: usize = 16;
/// How long a client of LoST may keep an answer that nothing known will change: a table set may come at any moment.
pub const LOST_EXPIRES_MICROS: u64 = 600_000_000;
/// Bytes of a phone's report of its place, by form or text message.
pub const AML_BYTES_MAX: usize = 16_384;
/// Fields of such a report; phones send about thirty.
pub const AML_FIELDS_MAX: usize = 64;
/// Phones without a number that are known by their device.
pub const DEVICES_MAX: usize = 8_192;
/// How long after a call its device's reports are about it.
pub const DEVICE_MICROS_MAX: u64 = 600_000_000;
/// Bytes of a car's data; the standard says 140, and an extension may grow.
pub const MSD_BYTES_MAX: usize = 256;
/// Blocks of one alert: one a language.
pub const CAP_INFOS_MAX: usize = 8;
/// Areas, area codes and parameters of one alert.
pub const CAP_AREAS_MAX: usize = 16;
/// Alerts that one alert speaks of; more are not looked for.
pub const CAP_REFERENCES_MAX: usize = 16;
/// Bytes of their names: an update names every message before it.
pub const CAP_REFERENCES_BYTES_MAX: usize = 4_096;
/// Alerts remembered by one door, so that an update of an update is news of the first.
pub const ALERTS_MAX: usize = 16_384;
/// How long an alert is remembered: an incident is over by then, and what speaks of it later is a contact of its own.
pub const ALERT_MICROS_MAX: u64 = 86_400_000_000;
/// Legs of calls in one report of a gateway.
pub const DIALOGS_MAX: usize = 32;
/// Bytes of one short value of an alert.
pub const CAP_VALUE_BYTES_MAX: usize = 512;
/// Codes of what was odd about one message; there are more kinds than any message shows.
pub const NOTES_MAX: usize = 24;

/// Numbers dialled that a report tells apart; a country has a dozen, mistyped ones have no end.
pub const REPORT_NUMBERS_MAX: usize = 4_096;
/// Web consoles at once.
pub const CONSOLES_MAX: usize = 1_024;
/// Bytes of one message or request of a web console.
pub const CONSOLE_BODY_BYTES_MAX: usize = 16 * 1_024;
/// How often a web console hears the time, and its pass is looked at.
pub const CONSOLE_LOOK_MICROS: u64 = 2_000_000;
/// How long a web console may take to read one message.
pub const CONSOLE_WRITE_MICROS_MAX: u64 = 5_000_000;
/// How long a signed-in page stays signed in: a shift and its hand-over.
pub const CONSOLE_PASS_SECS_MAX: u64 = 13 * 3_600;
/// How long an invitation can be good.
pub const CONSOLE_INVITE_SECS_MAX: u64 = 24 * 3_600;

/// WebSockets of the feed at once: systems of a country's rooms.
pub const FEED_LINES_MAX: usize = 512;
/// Seats that other systems speak for at once.
pub const FEED_SEATS_MAX: usize = 1_024;
/// Events of one subscription that are not acknowledged; beyond it nothing is sent.
pub const FEED_WINDOW_MAX: usize = 64;
/// How long an event may be unacknowledged before its subscription is ended: three times what a slow peer's retry takes.
pub const FEED_ACK_MICROS_MAX: u64 = 15_000_000;
/// Commands of one line, and of one seat, that are not answered.
pub const FEED_COMMANDS_MAX: usize = 64;
/// How long a command waits for the journal before it is answered as pending.
pub const FEED_COMMAND_MICROS_MAX: u64 = 2_000_000;
/// Newest entries kept for subscribers: a minute of 8 contacts a second. Who is further behind reads the journal.
pub const FEED_RING_MAX: usize = 4_096;
/// Subscribers who read old entries from the journal at once; the others wait for their turn.
pub const FEED_HISTORIES_MAX: usize = 4;
/// Entries that one event tells of, where a subscription has a rate.
pub const FEED_CHANGES_MAX: usize = 64;
/// Incidents in one event of the first state.
pub const FEED_STATE_DOCUMENTS_MAX: usize = 64;
/// Contacts that have ended and can still be read.
pub const FEED_ENDED_MAX: usize = 4_096;
/// Bytes of a peer's own id of a request or command that come back to it.
pub const FEED_ID_BYTES_MAX: usize = 128;
/// Incidents of one page by REST, and how many when nobody says.
pub const FEED_PAGE_MAX: usize = 100;
pub const FEED_PAGE_DEFAULT: usize = 20;

/// Bytes of one folded word of a text; a longer one is compared by its beginning. No term of any lexicon comes near.
pub const WORD_BYTES_MAX: usize = 96;
/// Words of one text. A word and what parts it from the next take two bytes.
pub const TEXT_WORDS_MAX: usize = TEXT_BYTES_MAX / 2 + 1;
/// Words of one term of a lexicon, gaps included.
pub const TERM_WORDS_MAX: usize = 8;
/// Terms found in one text before they are weighed and the count starts again.
pub const TERM_HITS_MAX: usize = 192;
/// Incident types kept from one text; the weakest goes first.
pub const TYPES_HEARD_MAX: usize = 16;
/// Incident types in one classification, best first.
pub const TYPES_MAX: usize = 8;

const _: () = assert!(SIP_URI_BYTES_MAX < SIP_HEADER_BYTES_MAX && SIP_HEADER_BYTES_MAX < SIP_BYTES_MAX);
const _: () = assert!(PIDF_PARTS_MAX <= MULTIPART_PARTS_MAX);
const _: () = assert!(TYPES_MAX <= TYPES_HEARD_MAX);
const _: () = assert!(TEXT_BYTES_MAX <= u16::MAX as usize, "places in a text are two bytes");
const _: () = assert!(HEARTBEAT_MICROS * 3 < LEASE_MICROS_MAX);
const _: () = assert!(NEIGHBOURS_MAX >= 3 * 3, "three areas in doubt, three services each");
const _: () = assert!(TEXT_BYTES_MAX * 4 < FRAME_BYTES_MAX);
const _: () = assert!(CHAIN_MAX >= 3, "responsible, one overflow, fallback");
const _: () = assert!(COMMIT_ENTRIES_MAX <= ENGINE_QUEUE_MAX);
const _: () = assert!(TAKE_MICROS_DEFAULT < ALARM_WAIT_MICROS_MAX, "the second of a chain is asked in turn before all are");
const _: () = assert!(REPEAT_WAIT_MICROS_MAX + SHOWN_WAIT_MICROS_MAX < ALARM_WAIT_MICROS_MAX, "a repeat caller's own way is tried first");
const _: () = assert!(LEASE_MICROS_MAX < ALARM_WAIT_MICROS_MAX, "a console that vanished is noticed before the alarm");
const _: () = assert!(SHOWN_WAIT_MICROS_MAX < TAKE_MICROS_DEFAULT, "a dead screen is noticed before the wait is over");
const _: () = assert!(RECOVERY_WAIT_MICROS_MAX >= LEASE_MICROS_MAX, "a seat that comes back within its lease finds its offers");
const _: () = assert!(CHAIN_MAX <= 8, "which of a chain are asked is a byte of bits");
const _: () = assert!(CATCH_UP_MAX * 8 <= SESSION_QUEUE_MAX, "catching up leaves room for what is new");
const _: () = assert!(PROMISES_MAX > 2 * CONTACTS_LIVE_MAX, "arrivals always find a place among the promises");
const _: () = assert!(RECEIVED_UNTOLD_MAX < UNRECEIVED_MAX as u64 / 4);
const _: () = assert!(ENDED_KEPT_MICROS_MAX > 10 * LEASE_MICROS_MAX);
const _: () = assert!(ENDED_RETOLD_MICROS_MAX < ENDED_KEPT_MICROS_MAX);
const _: () = assert!(GATEWAYS_MAX > SESSIONS_MAX, "every gateway that can be connected is known");
const _: () = assert!(ENDED_RETOLD_MAX <= ENDED_KEPT_MAX);
const _: () = assert!(SEAT_HOLDS_MAX <= CONTACTS_LIVE_MAX && GATEWAY_SESSIONS_MAX <= SESSIONS_MAX);
const _: () = assert!(COMMAND_REASON_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(SAID_SHOWN_MAX * (SAID_BYTES_MAX + 128) < FRAME_BYTES_MAX, "a conversation fits a frame");
const _: () = assert!(
    CLAIMS_MAX * (CLAIM_VERTICES_MAX * 8 + 64) + SIGNALS_MAX * (TRIMMED_WORDS_BYTES_MAX + 16) + 24 * 1024 < FRAME_BYTES_MAX,
    "a contact with its words cut always fits a frame beside its decision"
);
const _: () = assert!(TARGETS_MAX * (URI_BYTES_MAX + 64) + 24 * 1024 < FRAME_BYTES_MAX, "targets fit a frame beside their decision");
const _: () = assert!(
    SERVICES_MAX * (CHAIN_MAX + 3) * 40 + NEIGHBOURS_MAX * 128 + REASONS_MAX * (REASON_BYTES_MAX + 8) + DISCREPANCIES_MAX * 40 + 256
        < 24 * 1024,
    "a decision fits the room kept for it"
);
const _: () = assert!(2 * FRAME_BYTES_MAX + STATES_MAX * 41 < FACT_BYTES_MAX, "a fact holds what two frames and the states can");
const _: () = assert!(KEEP_ALIVE_MICROS * 3 <= IDLE_MICROS_MAX);
const _: () = assert!(STREAM_WINDOW_BYTES_MAX >= 2 * FRAME_BYTES_MAX, "a window holds a frame and the start of the next");
const _: () = assert!(IDLE_MICROS_MAX < LEASE_MICROS_MAX, "a seat that lost its line is back before its leases are stale");
const _: () = assert!(WRITE_BATCH_MAX <= SESSION_QUEUE_MAX && SESSION_QUEUE_MAX <= UNCONFIRMED_MAX);
const _: () = assert!(SESSIONS_MAX as u64 * RESET_MICROS_MIN < IDLE_MICROS_MAX, "every old session is reset before it would time out");
const _: () = assert!(COMMIT_ENTRIES_MAX < STORE_BACKLOG_ENTRIES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX <= COMMIT_BYTES_MAX && COMMIT_BYTES_MAX < STORE_BACKLOG_BYTES_MAX);
const _: () = assert!(DISPATCHERS_MAX * 34 + FRAME_BYTES_MAX < ENTRY_BYTES_MAX, "a name and a state for every dispatcher");
const _: () = assert!(HTTP_STRANGERS_MAX < HTTP_CONNECTIONS_MAX && HTTP_REQUESTS_MAX <= HTTP_CONNECTIONS_MAX);
const _: () = assert!(HTTP_GATEWAYS_MAX < SESSIONS_MAX, "the gateways' and consoles' doors keep most of the sessions");
const _: () = assert!(HTTP_TABLES_MICROS_MAX < HTTP_CONNECTION_MICROS_MAX, "a publication ends before its connection does");
const _: () = assert!(BLOB_BYTES_MAX as u64 / (HTTP_TABLES_MICROS_MAX / 1_000_000) < 5_000_000, "the largest set fits the time");
const _: () = assert!(PARTITIONS_MAX <= u16::MAX as usize);
const _: () = assert!(HEAL_AHEAD_ENTRIES_MAX < PENDING_ENTRIES_MAX as u64, "writing again what was lost is not the next loss");
const _: () = assert!(FEED_CHANGES_MAX <= FEED_RING_MAX && FEED_WINDOW_MAX < FEED_RING_MAX, "what is unacknowledged is still in the ring");
const _: () = assert!(FEED_COMMAND_MICROS_MAX < LEASE_MICROS_MAX, "a command is answered before its seat is given up");
const _: () = assert!(FEED_PAGE_DEFAULT <= FEED_PAGE_MAX && FEED_SEATS_MAX < SESSIONS_MAX);
