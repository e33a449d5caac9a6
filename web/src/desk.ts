// What a seat knows: its offers as the engine last told them, which one is chosen, and what may be done with it now. No page in
// here: the terminal console keeps the same state in `src/cli/console/desk.rs`, and both mean the same by every word.

import type {
  CallerGone, Candidate, Claim, Decision, DeclaredEvent, Duty, Hears, Micros, Note, Offer, Outcome, Place, Refusal, Said, Says, Seat, WaitingWhy,
} from './protocol';
import { SAID_SHOWN_MAX } from './protocol';

/** In which group an offer stands; the order is the order on the page. */
export const GROUPS = ['alarm', 'waiting', 'callback', 'mine', 'others', 'told'] as const;
export type Group = (typeof GROUPS)[number];

/** A command that was said and whose answer is awaited. */
export type Asked = 'taking' | 'accepting' | 'releasing' | 'declining' | 'closing' | 'calling_back' | 'transferring' | 'dispatching' | 'informing';

/** An offer on the page. */
export interface Shown {
  offer: Offer;
  hungUp: CallerGone | null;
  /** New evidence makes this room responsible for what somebody holds. */
  transferTo: string | null;
  asked: Asked | null;
  /** Why nobody holds it any more, and who did. */
  lost: { why: WaitingWhy; by: Seat | null } | null;
  rings: boolean;
  /** From before the link broke, and not heard of since. */
  old: boolean;
  /** When this page heard of it; absent for what happened before. */
  takenAt: Micros | null;
  acceptedAt: Micros | null;
  dispatchedAt: Micros | null;
  informedAt: Micros | null;
}

/** Something to say to the person, once. */
export type Remark =
  | { is: 'changed' }
  | { is: 'proposed'; to: string }
  | { is: 'refused'; why: Refusal }
  | { is: 'wrote'; text: string }
  | { is: 'declared'; event: DeclaredEvent }
  | { is: 'new'; shown: Shown }
  | { is: 'alarm'; shown: Shown };

export const OUTCOMES: Outcome[] = ['help_needed', 'no_help_needed', 'no_answer', 'no_number', 'called_again'];

export type Act = 'take' | 'accept' | 'release' | 'decline' | 'close' | 'callback' | 'transfer' | 'note' | 'join' | 'split' | 'add' | 'dispatched' | 'inform' | 'write';

/** Why an action cannot be done now. */
export type WhyNot = 'no_link' | 'nothing_chosen' | 'mine_already' | 'take_first' | 'accept_first' | 'accepted_already' | 'nobody_to_call'
  | 'answer_awaited' | 'nothing_to_join' | 'not_joined' | 'only_told'
  | 'only_read' | 'dispatched_already' | 'no_text' | 'lead_writes' | 'no_message';

export function same(a: Seat | null | undefined, b: Seat | null | undefined): boolean {
  return !!a && !!b && a.dispatcher === b.dispatcher && a.seat === b.seat;
}

export class Desk {
  seat: Seat;
  linked = false;
  /** Offers of this session have all been heard. */
  caughtUp = false;
  engineTables = '';
  /** Offers whose row or details may have changed since the page was last drawn. */
  readonly dirty = new Set<string>();
  readonly remarks: Remark[] = [];
  private readonly offers = new Map<string, Shown>();
  private chosenId: string | null = null;
  /** Kept until the offer that it speaks of is here. */
  private readonly related = new Map<string, Candidate[]>();
  private readonly declared = new Map<string, DeclaredEvent>();
  private readonly conversations = new Map<string, Said[]>();
  /** Lines of callers, by contact, that nobody has looked at here. */
  private readonly unread = new Map<string, number>();
  /** Contacts of others that this seat has said it reads. */
  private readonly read = new Set<string>();
  private sorted: Shown[] | null = null;

  constructor(seat: Seat, readonly duty: Duty = 'dispatcher') {
    this.seat = seat;
  }

  // --- what stands where ---

  group(shown: Shown): Group {
    const { offer } = shown;
    if (offer.held_by) return same(offer.held_by, this.seat) ? 'mine' : 'others';
    if (offer.accepted) return 'others';
    if (offer.alarm) return 'alarm';
    if (offer.role === 'neighbour') return 'told';
    return this.awaitsCallback(shown) ? 'callback' : 'waiting';
  }

  awaitsCallback(shown: Shown): boolean {
    return shown.offer.callback !== null && shown.offer.callback.outcome === null;
  }

  /** A callback's clock runs from when the caller was gone. */
  since(shown: Shown): Micros {
    return shown.offer.callback?.since ?? shown.offer.received;
  }

  /** By group, the oldest first. */
  list(): Shown[] {
    if (!this.sorted) {
      const rank = new Map(GROUPS.map((group, at) => [group, at]));
      const keyed = [...this.offers.values()].map((shown) => ({ shown, rank: rank.get(this.group(shown)) ?? 9, since: this.since(shown) }));
      keyed.sort((a, b) => a.rank - b.rank || a.since - b.since || (a.shown.offer.id < b.shown.offer.id ? -1 : 1));
      this.sorted = keyed.map(({ shown }) => shown);
    }
    return this.sorted;
  }

  get(id: string): Shown | undefined {
    return this.offers.get(id);
  }

  ofContact(contact: string): Shown[] {
    return this.list().filter((shown) => shown.offer.contact === contact);
  }

  /** The chosen offer; the first of the list when the one that was chosen is gone. */
  chosen(): Shown | undefined {
    return (this.chosenId === null ? undefined : this.offers.get(this.chosenId)) ?? this.list()[0];
  }

  /** A person chose it, and it did not come up by itself. */
  isByHand(): boolean {
    return this.chosenId !== null && this.offers.has(this.chosenId);
  }

  choose(id: string): void {
    const before = this.chosen();
    if (before) this.dirty.add(before.offer.id);
    this.chosenId = id;
    const contact = this.offers.get(id)?.offer.contact;
    if (contact && this.unread.delete(contact)) this.each(contact, () => {});
    this.touch(id, (shown) => {
      shown.rings = false;
    });
  }

  step(by: number): void {
    const list = this.list();
    const chosen = this.chosen();
    const at = chosen ? list.indexOf(chosen) : 0;
    const next = list[Math.min(Math.max(at + by, 0), list.length - 1)];
    if (next) this.choose(next.offer.id);
  }

  first(): void {
    const next = this.list()[0];
    if (next) this.choose(next.offer.id);
  }

  ringing(): Shown[] {
    return [...this.offers.values()].filter((shown) => shown.rings);
  }

  silence(): void {
    for (const shown of this.ringing()) this.touch(shown.offer.id, (it) => (it.rings = false));
  }

  // --- what is declared ---

  events(now: Micros): DeclaredEvent[] {
    return [...this.declared.values()].filter(({ until }) => until > now);
  }

  ofEvent(id: string): number {
    return new Set([...this.offers.values()].filter(({ offer }) => offer.event === id).map(({ offer }) => offer.contact)).size;
  }

  // --- who writes, and who only looks ---

  conversation(contact: string): Said[] {
    return this.conversations.get(contact) ?? [];
  }

  unreadOf(contact: string): number {
    return this.unread.get(contact) ?? 0;
  }

  /** The caller came by text. */
  writes({ offer }: Shown): boolean {
    return offer.door === 'sms' || offer.door === 'app';
  }

  /** The contact that the person has chosen to look at, once, when it is in others' hands. */
  looked(): string | null {
    const shown = this.chosen();
    if (!shown || !this.isByHand() || this.duty === 'auditor') return null;
    const { contact } = shown.offer;
    if (!['others', 'told'].includes(this.group(shown)) || this.read.has(contact)) return null;
    this.read.add(contact);
    return contact;
  }

  private line(contact: string, said: Said): Says[] {
    const lines = this.conversations.get(contact) ?? [];
    if ((lines.at(-1)?.number ?? 0) >= said.number) return [];
    this.conversations.set(contact, [...lines, said].slice(-SAID_SHOWN_MAX));
    if (said.by === null && this.ofContact(contact).some((shown) => this.group(shown) === 'mine')) {
      if (this.chosen()?.offer.contact !== contact) this.unread.set(contact, this.unreadOf(contact) + 1);
      this.remarks.push({ is: 'wrote', text: said.text });
    }
    return this.each(contact, () => {});
  }

  /** Whoever holds the share that leads writes; when that is closed, whoever holds another. */
  private whyNotWrite(shown: Shown): WhyNot | null {
    if (!this.writes(shown)) return 'no_text';
    const { offer } = shown;
    const lead = offer.decision.services.find((assigned) => assigned.lead)?.service;
    const leads = this.ofContact(offer.contact).find((other) => other.offer.service === lead);
    const share = offer.shares?.find(({ service }) => service === lead);
    if (leads ? this.group(leads) === 'mine' : share?.closed && this.group(shown) === 'mine') return null;
    return offer.service === lead ? 'take_first' : 'lead_writes';
  }

  // --- what may be done ---

  whyNot(act: Act): WhyNot | null {
    const shown = this.chosen();
    if (!this.linked || !this.caughtUp) return 'no_link';
    if (!shown) return 'nothing_chosen';
    const { offer } = shown;
    const group = this.group(shown);
    const mine = group === 'mine';
    if (this.duty === 'auditor') return 'only_read';
    // What concerns the whole contact does not wait for the answer about its share.
    if (shown.asked && !['note', 'add', 'join', 'split', 'write'].includes(act)) return 'answer_awaited';
    switch (act) {
      case 'take':
        return mine ? 'mine_already' : null;
      case 'accept':
        return !mine ? 'take_first' : offer.accepted ? 'accepted_already' : null;
      case 'dispatched':
        return !mine ? 'take_first' : !offer.accepted ? 'accept_first' : offer.dispatched ? 'dispatched_already' : null;
      case 'inform':
        return !mine ? 'take_first' : offer.may_inform ? null : 'no_message';
      case 'write':
        return this.whyNotWrite(shown);
      case 'release':
        return mine ? null : 'take_first';
      case 'decline':
        return mine || group === 'waiting' || group === 'callback' || group === 'alarm' ? null : group === 'told' ? 'only_told' : 'take_first';
      case 'close': {
        const called = offer.callback?.outcome != null && offer.callback.outcome !== 'help_needed';
        return !mine ? 'take_first' : offer.accepted || called ? null : 'accept_first';
      }
      case 'callback':
        return !mine ? 'take_first' : this.awaitsCallback(shown) ? null : 'nobody_to_call';
      case 'transfer':
      case 'add':
        return mine ? null : 'take_first';
      case 'join':
        return this.mayJoin(shown) ? null : 'nothing_to_join';
      case 'split':
        return this.joinedWith(shown).length > 0 ? null : 'not_joined';
      case 'note':
        return null;
    }
  }

  joinedWith(shown: Shown): string[] {
    const { contact, joined, ended = [] } = shown.offer;
    return joined.filter((other) => other !== contact && !ended.includes(other));
  }

  private mayJoin({ offer }: Shown): boolean {
    const apart = (contact: string) => contact !== offer.contact && !offer.joined.includes(contact);
    // A test is never one event with what is real.
    const test = isTest(offer);
    if (offer.candidates.some(({ contact }) => apart(contact))) return true;
    for (const other of this.offers.values()) if (apart(other.offer.contact) && isTest(other.offer) === test) return true;
    return false;
  }

  /** Contacts that may be the same event: what the engine proposes, the likeliest first, then every other one on the page, nearest in time. */
  joinable({ offer }: Shown): Candidate[] {
    const known = new Set([offer.contact, ...offer.joined]);
    const proposed = offer.candidates.filter(({ contact }) => !known.has(contact)).sort((a, b) => b.score - a.score);
    for (const { contact } of proposed) known.add(contact);
    const rest: Candidate[] = [];
    for (const { offer: other } of this.offers.values()) {
      if (known.has(other.contact) || isTest(other) !== isTest(offer)) continue;
      known.add(other.contact);
      const secs = Math.round((other.received - offer.received) / 1e6);
      rest.push({ contact: other.contact, incident: other.incident, score: 0, because: [], distance_m: -1, secs });
    }
    rest.sort((a, b) => Math.abs(a.secs) - Math.abs(b.secs));
    return [...proposed, ...rest];
  }

  /** A command was said: its offer stays chosen while its group changes, and waits for the answer. */
  said(id: string, asked: Asked): void {
    this.chosenId = id;
    this.touch(id, (shown) => (shown.asked = asked));
  }

  // --- the link ---

  linkLost(): void {
    [this.linked, this.caughtUp] = [false, false];
    // What was asked may or may not have been done; the engine says so on return.
    for (const id of this.offers.keys()) this.touch(id, (shown) => ([shown.asked, shown.old, shown.rings] = [null, true, false]));
  }

  // --- what the engine says ---

  heard(hears: Hears, now: Micros): Says[] {
    switch (hears.t) {
      case 'signed_in':
        [this.seat, this.engineTables, this.linked, this.caughtUp] = [hears.seat, hears.tables, true, false];
        this.read.clear();
        this.declared.clear();
        for (const id of this.offers.keys()) this.touch(id, (shown) => ([shown.old, shown.asked] = [true, null]));
        return [];
      case 'caught_up':
        this.caughtUp = true;
        for (const [id, shown] of this.offers) if (shown.old) this.forget(id);
        return [];
      case 'time':
        return [];
      case 'offer':
        return this.offered(hears.offer);
      case 'confirmed':
        return this.each(hears.contact, ({ offer }) => (offer.confirmed = true));
      case 'changed':
        this.each(hears.contact, ({ offer }) => {
          offer.place = hears.place ?? placeNow(offer, hears.decision);
          offer.decision = hears.decision;
          offer.claims = hears.claims ?? offer.claims;
        });
        this.remarks.push({ is: 'changed' });
        return [];
      case 'taken':
        return this.touch(hears.offer, (shown) => {
          [shown.asked, shown.transferTo, shown.lost, shown.rings, shown.takenAt] = [null, null, null, false, now];
          [shown.offer.held_by, shown.offer.alarm] = [hears.by, false];
        });
      case 'accepted':
        return this.touch(hears.offer, (shown) => {
          [shown.asked, shown.lost, shown.rings, shown.acceptedAt] = [null, null, false, now];
          [shown.offer.held_by, shown.offer.accepted] = [hears.by, true];
        });
      case 'dispatched':
        return this.touch(hears.offer, (shown) => ([shown.asked, shown.offer.dispatched, shown.dispatchedAt] = [null, true, now]));
      case 'informed':
        return this.each(hears.contact, (shown) => {
          if (shown.asked === 'informing') shown.asked = null;
          shown.offer.may_inform = false;
          shown.informedAt = now;
        });
      case 'declared':
        this.declared.set(hears.event.id, hears.event);
        if (this.caughtUp) this.remarks.push({ is: 'declared', event: hears.event });
        return [];
      case 'event_over':
        this.declared.delete(hears.event);
        return [];
      case 'said':
        return this.line(hears.contact, hears.said);
      case 'conversation':
        this.conversations.set(hears.contact, hears.said);
        return this.each(hears.contact, () => {});
      case 'delivered':
        this.conversations.set(hears.contact, this.conversation(hears.contact).map((said) =>
          (said.number === hears.number ? { ...said, delivery: hears.delivery } : said)));
        return this.each(hears.contact, () => {});
      case 'waiting':
        return this.touch(hears.offer, (shown) => {
          shown.asked = null;
          shown.lost = { why: hears.why, by: shown.offer.held_by };
          if (hears.why !== 'declined') {
            [shown.offer.held_by, shown.offer.accepted, shown.takenAt, shown.acceptedAt] = [null, false, null, null];
          }
        });
      case 'withdrawn':
      case 'closed':
        this.forget(hears.offer);
        return [];
      case 'hung_up':
        return this.each(hears.contact, (shown) => (shown.hungUp = hears.why));
      case 'alert':
        return this.touch(hears.offer, (shown) => {
          if (hears.why === 'all_call') shown.offer.alarm = true;
          shown.rings = !shown.offer.decision.quiet && this.duty !== 'auditor';
          if (shown.offer.alarm) this.remarks.push({ is: 'alarm', shown });
        });
      case 'called_back':
        return this.touch(hears.offer, (shown) => {
          shown.asked = null;
          if (shown.offer.callback) shown.offer.callback.outcome = hears.outcome;
        });
      case 'proposed':
        this.touch(hears.offer, (shown) => (shown.transferTo = hears.to));
        this.remarks.push({ is: 'proposed', to: hears.to });
        return [];
      case 'noted':
        return this.each(hears.contact, ({ offer }) => addNote(offer.notes, hears.note));
      case 'related':
        this.related.set(hears.contact, hears.candidates);
        return this.each(hears.contact, ({ offer }) => (offer.candidates = hears.candidates));
      case 'shares':
        return this.each(hears.contact, ({ offer }) => (offer.shares = hears.shares));
      case 'joined':
        return this.joined(hears.contact, hears.incident, hears.contacts);
      case 'members_ended':
        return this.each(hears.contact, ({ offer }) => (offer.ended = hears.ended));
      case 'split':
        return this.joined(hears.contact, hears.incident, [hears.contact]);
      case 'refused':
        if (hears.offer) this.touch(hears.offer, (shown) => (shown.asked = null));
        this.remarks.push({ is: 'refused', why: hears.why });
        return [];
    }
  }

  private offered(offer: Offer): Says[] {
    const known = this.offers.get(offer.id);
    const asked = offer.rings !== false && offer.role !== 'neighbour' && !this.isAnothersFirst(offer);
    const isNew = known === undefined || known.old;
    const rings = isNew ? offer.held_by === null && !offer.accepted && asked && !offer.decision.quiet : known.rings && !offer.held_by;
    const shown: Shown = {
      offer, rings,
      hungUp: known?.hungUp ?? null,
      transferTo: known?.transferTo ?? null,
      lost: offer.held_by ? null : (known?.lost ?? null),
      takenAt: known?.takenAt ?? null,
      acceptedAt: known?.acceptedAt ?? null,
      dispatchedAt: known?.dispatchedAt ?? null,
      informedAt: known?.informedAt ?? null,
      asked: null,
      old: false,
    };
    if (offer.candidates.length === 0) offer.candidates = this.related.get(offer.contact) ?? [];
    this.offers.set(offer.id, shown);
    this.changed(offer.id);
    if (known === undefined && this.caughtUp && asked && !offer.held_by) this.remarks.push({ is: offer.alarm ? 'alarm' : 'new', shown });
    return [{ t: 'shown', offer: offer.id }];
  }

  /** A repeat caller whom another seat knows: it rings here only when that seat has had its time. */
  private isAnothersFirst(offer: Offer): boolean {
    const { repeat } = offer;
    if (!repeat?.held_by || same(repeat.held_by, this.seat)) return false;
    return repeat.until > 0 || offer.role === 'repeat';
  }

  /** The contact belongs to this incident now, with these; with the others it had before it does not any more. */
  private joined(contact: string, incident: string, contacts: string[]): Says[] {
    const members = new Set([contact, ...contacts]);
    for (const { offer } of this.offers.values()) {
      const before = offer.joined;
      if (members.has(offer.contact)) {
        offer.joined = [...members];
        // The others say their own name of it; a contact that is alone has no incident with them.
        if (offer.contact === contact || members.size > 1) offer.incident = incident;
        offer.candidates = offer.candidates.filter((candidate) => !members.has(candidate.contact));
      } else if (before.includes(contact)) offer.joined = before.filter((other) => other !== contact);
      else continue;
      this.changed(offer.id);
    }
    return [];
  }

  private forget(id: string): void {
    const contact = this.offers.get(id)?.offer.contact;
    this.offers.delete(id);
    this.changed(id);
    if (!contact || [...this.offers.values()].some(({ offer }) => offer.contact === contact)) return;
    for (const of of [this.related, this.conversations, this.unread]) of.delete(contact);
  }

  private touch(id: string, change: (shown: Shown) => unknown): Says[] {
    const shown = this.offers.get(id);
    if (shown) {
      change(shown);
      this.changed(id);
    }
    return [];
  }

  private each(contact: string, change: (shown: Shown) => unknown): Says[] {
    for (const shown of this.offers.values()) if (shown.offer.contact === contact) this.touch(shown.offer.id, change);
    return [];
  }

  private changed(id: string): void {
    this.dirty.add(id);
    this.sorted = null;
  }
}

/** Where a new decision was not told with its place, the old words are kept only while they can still be true. */
function placeNow({ place }: Offer, { area, rung }: Decision): Place {
  return area === place.area && rung === place.rung ? place : { area, rung, near: null };
}

function addNote(notes: Note[], note: Note): void {
  if (!notes.some((known) => known.at === note.at && known.text === note.text && same(known.by, note.by))) notes.push(note);
}

/** The claim that the place in words is taken from: the best by trust, in the order the engine ranks them. */
const TRUST = ['device_fix', 'by_reference', 'ecall', 'civic', 'makani', 'serving_cell'];

export function bestClaim(claims: Claim[]): Claim | undefined {
  const rank = (claim: Claim) => (TRUST.includes(claim.source) ? TRUST.indexOf(claim.source) : TRUST.length);
  return claims.filter((claim) => claim.center !== null).sort((a, b) => rank(a) - rank(b))[0];
}

export function isTest(offer: Offer): boolean {
  return offer.test || offer.role === 'test' || offer.decision.test;
}
