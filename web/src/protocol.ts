// What page and engine say to each other, as JSON. Times are whole microseconds since 1970 (UTC), points are WGS 84 with the
// latitude first, distances are metres.

export type Micros = number;
export type Point = [lat: number, lon: number];

export interface Seat {
  dispatcher: string;
  seat: string;
}

/** What a person may do; an auditor sees everything and does nothing. */
export type Duty = 'dispatcher' | 'supervisor' | 'auditor';

export interface Me {
  seat: Seat;
  role: Duty;
}

/** A name in both languages of the country. */
export interface Names {
  en: string;
  ar: string;
}

export interface Room {
  id: string;
  service: string;
  name: Names;
  languages: string[];
  text: boolean;
  take_secs: number;
}

export interface Tables {
  version: string;
  title: Names;
  country: string;
  utc_offset_minutes: number;
  /** West, south, east, north. */
  bbox: [number, number, number, number];
  rooms: Room[];
  areas: { id: string; name: Names }[];
  /** A pack may name its types; the page knows the common codes by itself. */
  types: { code: string; name?: Names; priority: number }[];
  places: { name: Names; lat: number; lon: number }[];
  borders: { of: string[]; line: Point[] }[];
  services: string[];
  /** Pictures under the map, where ops named a server of them. */
  tiles?: { url: string; words: string };
}

export type CallerGone = 'caller' | 'line_dropped' | 'silent';
export type Role = 'responsible' | 'overflow' | 'neighbour' | 'test' | 'all_call' | 'repeat' | 'audit';
export type Outcome = 'called_again' | 'help_needed' | 'no_answer' | 'no_help_needed' | 'no_number';
export type WaitingWhy = 'declined' | 'lease_stale' | 'released' | 'seat_gone';
export type AlertWhy = 'again' | 'all_call' | 'your_turn';
export type Refusal = 'held_by_another' | 'not_yours' | 'unknown' | 'out_of_turn' | 'malformed' | 'full' | 'forbidden' | 'unstaffed' | 'no_text';

export interface Claim {
  whose: 'caller' | 'incident';
  source: string;
  age_secs: number;
  confidence: number;
  makani: string | null;
  center: Point | null;
  reach_m: number;
  /** Rings; empty for a point. */
  shape: Point[][];
}

export interface Place {
  area: string | null;
  near: { name: Names; distance_m: number; direction: string } | null;
  rung: string;
}

export interface Decision {
  services: {
    service: string;
    dispatcher: string;
    area: string | null;
    probability: number | null;
    lead: boolean;
    chain: string[];
  }[];
  neighbours: { area: string | null; dispatcher: string; service: string; probability: number | null; why: string }[];
  area: string | null;
  incident_type: string | null;
  priority: number | null;
  rung: string;
  discrepancies: string[];
  reasons: string[];
  lang: string | null;
  interpreter: boolean;
  text: boolean;
  quiet: boolean;
  caller: { number: string; links: boolean } | null;
  test: boolean;
  tables_version: string;
}

export interface Callback {
  why: CallerGone;
  since: Micros;
  number: string | null;
  outcome: Outcome | null;
}

export interface Repeat {
  earlier: string;
  held_by: Seat | null;
  until: Micros;
}

export interface Note {
  at: Micros;
  by: Seat;
  text: string;
}

export type Delivery = 'pending' | 'delivered' | 'failed';

/** One line of a conversation by text. */
export interface Said {
  number: number;
  at: Micros;
  /** Nobody's: the caller said it. */
  by: Seat | null;
  text: string;
  delivery: Delivery;
}

/** What a supervisor has declared. */
export interface DeclaredEvent {
  id: string;
  at: Micros;
  by: Seat;
  /** An area of the tables; a circle where there is none. */
  area: string | null;
  center: Point | null;
  radius_m: number;
  words: Names;
  /** Incident types it is about; none means all. */
  types: string[];
  until: Micros;
}

export interface Candidate {
  contact: string;
  incident: string;
  score: number;
  because: string[];
  distance_m: number;
  secs: number;
}

/** How far one service has come. */
export interface Share {
  service: string;
  responsible: string;
  held_by: Seat | null;
  accepted: boolean;
  closed: boolean;
  dispatched?: boolean;
}

export interface Offer {
  id: string;
  contact: string;
  service: string;
  incident: string;
  role: Role;
  responsible: string;
  take_by: Micros;
  confirmed: boolean;
  held_by: Seat | null;
  accepted: boolean;
  alarm: boolean;
  callback: Callback | null;
  repeat: Repeat | null;
  received: Micros;
  door: string;
  line: string | null;
  lang: string | null;
  test: boolean;
  words: string[];
  signals: { kind: string; value?: unknown }[];
  claims: Claim[];
  place: Place;
  decision: Decision;
  notes: Note[];
  joined: string[];
  /** Contacts of the incident that have ended. */
  ended?: string[];
  candidates: Candidate[];
  /** Every service's share of the contact. */
  shares?: Share[];
  /** Units are on their way. */
  dispatched?: boolean;
  /** False where another seat of the room is asked first. */
  rings?: boolean;
  /** Nobody who is signed in here speaks the caller's language. */
  interpreter?: boolean;
  /** The declared event it belongs to. */
  event?: string | null;
  /** A message may be sent to the caller. */
  may_inform?: boolean;
}

export type Says =
  | { t: 'sign_in'; languages: string[]; text: boolean }
  | { t: 'shown' | 'take' | 'accept' | 'release' | 'dispatched' | 'inform'; offer: string }
  | { t: 'decline' | 'close'; offer: string; reason: string }
  | { t: 'called_back'; offer: string; outcome: Outcome; reason: string }
  | { t: 'transfer'; offer: string; to: string; reason: string }
  | { t: 'add_service'; contact: string; service: string }
  | { t: 'note' | 'say'; contact: string; text: string }
  | { t: 'read'; contact: string }
  | { t: 'declare'; area: { area: string } | { lat: number; lon: number; radius_m: number }; words: Names; types: string[]; until: Micros }
  | { t: 'end_event'; event: string }
  | { t: 'join'; contact: string; with: string }
  | { t: 'split'; contact: string }
  | { t: 'heartbeat' | 'sign_out' };

export type Hears = { seq: number } & (
  | { t: 'signed_in'; seat: Seat; tables: string; now: Micros }
  | { t: 'caught_up' }
  | { t: 'time'; now: Micros }
  | { t: 'offer'; offer: Offer }
  | { t: 'confirmed'; contact: string }
  | { t: 'changed'; contact: string; revision: number; decision: Decision; claims?: Claim[]; place?: Place }
  | { t: 'taken' | 'accepted' | 'dispatched' | 'closed'; offer: string; by: Seat }
  | { t: 'informed'; contact: string; by: Seat }
  | { t: 'waiting'; offer: string; why: WaitingWhy }
  | { t: 'withdrawn'; offer: string }
  | { t: 'hung_up'; contact: string; why: CallerGone }
  | { t: 'alert'; offer: string; why: AlertWhy }
  | { t: 'called_back'; offer: string; by: Seat; outcome: Outcome }
  | { t: 'proposed'; offer: string; to: string }
  | { t: 'noted'; contact: string; note: Note }
  | { t: 'said'; contact: string; said: Said }
  | { t: 'conversation'; contact: string; said: Said[] }
  | { t: 'delivered'; contact: string; number: number; delivery: Delivery }
  | { t: 'declared'; event: DeclaredEvent }
  | { t: 'event_over'; event: string; by: Seat | null }
  | { t: 'related'; contact: string; candidates: Candidate[] }
  | { t: 'shares'; contact: string; shares: Share[] }
  | { t: 'joined'; contact: string; incident: string; contacts: string[]; by: Seat | null }
  | { t: 'members_ended'; contact: string; ended: string[] }
  | { t: 'split'; contact: string; incident: string; by: Seat | null }
  | { t: 'refused'; offer: string | null; why: Refusal }
);

/** The longest reason and the longest note that the engine keeps whole, and the longest line to a caller that it takes, in bytes of
    UTF-8. */
export const REASON_BYTES_MAX = 1_024;
export const NOTE_BYTES_MAX = 512;
export const SAID_BYTES_MAX = 1_024;
/** Lines of a conversation that are kept on the page. */
export const SAID_SHOWN_MAX = 48;
/** The longest words of a declared event in one language, in bytes of UTF-8. */
export const EVENT_WORDS_BYTES_MAX = 256;
