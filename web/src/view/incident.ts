// Everything about the chosen contact, and what can be done with it.

import { attribute, el, key, show, text } from '../dom';
import { bestClaim, isTest, type Act, type Desk, type Shown } from '../desk';
import type { Candidate } from '../protocol';
import * as say from '../say';
import type { Ground } from '../say';
import { age, code, digits, distance, isolated, list, percent, plain, seatName, shortId, timeOfDay, words } from '../words';
import { Conversation } from './conversation';
import { Sections, type Line, type Section } from './sections';
import { waitOf } from './queue';

/** What a button of its own does. Services are added by digits, and what is written has a field. */
export type Command = Exclude<Act, 'add' | 'write'>;

/** Acts with the key that is drawn on their button, in the order of a contact's life. */
export const ACTS: { act: Command; key: string }[] = [
  { act: 'take', key: 't' }, { act: 'accept', key: 'a' }, { act: 'dispatched', key: 'u' }, { act: 'decline', key: 'd' }, { act: 'release', key: 'r' },
  { act: 'inform', key: 'i' }, { act: 'transfer', key: 'f' }, { act: 'note', key: 'n' }, { act: 'join', key: 'j' }, { act: 'split', key: 'x' },
  { act: 'callback', key: 'b' }, { act: 'close', key: 'c' },
];

/** Services that a digit adds, in the order of the tables from 1: as in the terminal console. */
export const SERVICES_BY_KEY = 5;

interface Button {
  node: HTMLButtonElement;
  label: HTMLElement;
}

export class Incident {
  readonly node: HTMLElement;
  private readonly title = el('h2', { id: 'incident-title' });
  private readonly shape = el('i', { class: 'shape' });
  private readonly clock = el('b', { class: 'clock' });
  private readonly state = el('span', { class: 'state' });
  private readonly test = el('p', { class: 'banner test' });
  private readonly quiet = el('p', { class: 'banner quiet' });
  private readonly lost = el('p', { class: 'banner lost' });
  private readonly nothing = el('p', { class: 'empty' });
  private readonly stages = el('p', { class: 'stages' });
  private readonly acts = new Map<string, Button>();
  private readonly services: HTMLElement;
  private readonly servicesLabel = el('span', { class: 'label', id: 'add-label' });
  private readonly serviceButtons = new Map<string, Button>();
  private readonly sections = new Sections();
  private readonly whole: HTMLElement;
  private readonly bar: HTMLElement;
  private chosen = '';

  constructor(
    private readonly act: (act: Command) => void, private readonly addService: (service: string) => void, readonly conversation: Conversation,
  ) {
    this.bar = el('div', { class: 'acts', role: 'group' });
    for (const { act, key: letter } of ACTS) {
      const label = el('span', {});
      const node = el('button', { type: 'button', class: `act ${act}`, 'aria-keyshortcuts': letter }, key(letter), label);
      node.addEventListener('click', () => this.act(act));
      this.acts.set(act, { node, label });
      this.bar.append(node);
    }
    this.services = el('div', { class: 'add', role: 'group', 'aria-labelledby': 'add-label' }, this.servicesLabel);
    const head = el('div', { class: 'head' }, el('span', { class: 'wait' }, this.shape, this.clock), this.title, this.state);
    const body = el('div', { class: 'body', tabindex: '0', role: 'group', 'aria-labelledby': 'incident-title' }, this.conversation.node, this.sections.node);
    this.whole = el('div', { class: 'whole' }, head, this.stages, this.test, this.quiet, this.lost, this.bar, this.services, body);
    this.node = el('section', { class: 'incident', 'aria-labelledby': 'incident-title' }, this.nothing, this.whole);
  }

  draw(ground: Ground): void {
    const { desk } = ground;
    const shown = desk.chosen();
    show(this.nothing, !shown);
    show(this.whole, !!shown);
    text(this.nothing, words().panel.nothing);
    if (!shown) return;
    if (this.chosen !== shown.offer.id) {
      this.chosen = shown.offer.id;
      this.sections.node.parentElement?.scrollTo(0, 0);
    }
    this.head(ground, shown);
    this.buttons(ground, shown);
    this.conversation.draw(ground, shown);
    this.sections.draw(sections(ground, shown));
  }

  private head(ground: Ground, shown: Shown): void {
    const { desk, tables, now } = ground;
    const { offer } = shown;
    const waited = now - desk.since(shown);
    const waits = offer.held_by === null && !offer.accepted;
    this.shape.dataset['wait'] = waits ? waitOf(waited) : 'none';
    this.whole.className = `whole ${desk.group(shown)}${isTest(offer) ? ' test' : ''}`;
    text(this.clock, age(waited));
    const priority = offer.decision.priority === null ? null : words().priority(digits(offer.decision.priority));
    text(this.title, list([say.service(offer.service), say.typeName(tables, offer.decision), priority]));
    text(this.state, say.state(shown, desk));
    text(this.stages, stages(ground, shown));
    banner(this.test, isTest(offer) ? words().panel.test : '');
    banner(this.quiet, offer.decision.quiet ? words().manner.quiet : '');
    banner(this.lost, say.lost(shown));
  }

  private buttons({ desk, tables }: Ground, shown: Shown): void {
    attribute(this.bar, 'aria-label', words().actions);
    const others = desk.group(shown) === 'others' || shown.lost !== null;
    for (const { act } of ACTS) {
      const button = this.acts.get(act);
      if (!button) continue;
      text(button.label, act === 'take' && others ? words().acts.takeOver : words().acts[act]);
      const why = desk.whyNot(act);
      enable(button.node, why === null ? null : words().whyNot[why]);
      button.node.classList.toggle('next', isNext(act, shown, desk));
    }
    show(this.services, desk.group(shown) === 'mine');
    text(this.servicesLabel, words().acts.add);
    tables.services.slice(0, SERVICES_BY_KEY).forEach((service, at) => {
      let button = this.serviceButtons.get(service);
      if (!button) {
        const label = el('span', {});
        const node = el('button', { type: 'button', class: 'service-button', 'aria-keyshortcuts': String(at + 1) }, key(String(at + 1)), label);
        node.addEventListener('click', () => this.addService(service));
        button = { node, label };
        this.serviceButtons.set(service, button);
        this.services.append(node);
      }
      const asked = shown.offer.decision.services.some((assigned) => assigned.service === service);
      text(button.label, `${say.service(service)}${asked ? ' ✓' : ''}`);
      const why = desk.whyNot('add');
      enable(button.node, asked ? words().panel.asked : why === null ? null : words().whyNot[why]);
    });
  }
}

function banner(node: HTMLElement, said: string): void {
  show(node, said !== '');
  text(node, said);
}

/** A button that cannot be used now stays where it is, can be reached, and says why. */
function enable(node: HTMLButtonElement, why: string | null): void {
  attribute(node, 'aria-disabled', why === null ? null : 'true');
  attribute(node, 'title', why);
}

/** What a person would do next with it: drawn strongest. */
function isNext(act: Act, shown: Shown, desk: Desk): boolean {
  if (desk.whyNot(act) !== null) return false;
  const group = desk.group(shown);
  if (group !== 'mine') return act === 'take' && group !== 'others';
  if (desk.awaitsCallback(shown)) return act === 'callback';
  return !shown.offer.accepted ? act === 'accept' : shown.offer.dispatched ? act === 'close' : act === 'dispatched';
}

function stages({ desk, now, tables }: Ground, shown: Shown): string {
  const said = words().panel;
  const { offer } = shown;
  const time = (at: number) => code(timeOfDay(at, tables.utc_offset_minutes));
  const parts = [`${said.stages.received} ${time(offer.received)}`];
  if (shown.takenAt !== null) parts.push(`${said.stages.taken} ${time(shown.takenAt)}`);
  if (shown.acceptedAt !== null) parts.push(`${said.stages.accepted} ${time(shown.acceptedAt)}`);
  if (shown.dispatchedAt !== null) parts.push(`${said.stages.dispatched} ${time(shown.dispatchedAt)}`);
  if (shown.informedAt !== null) parts.push(`${said.stages.informed} ${time(shown.informedAt)}`);
  if (offer.held_by === null && desk.group(shown) === 'waiting' && offer.take_by > 0) {
    parts.push(offer.take_by > now ? said.nextIn(age(offer.take_by - now)) : said.nextDue);
  }
  parts.push(said.incident(code(offer.incident)), said.contact(shortId(offer.contact)));
  return parts.join(' · ');
}

// --- the sections ---

function sections(ground: Ground, shown: Shown): Section[] {
  const said = words().panel;
  const { offer } = shown;
  const { tables, now } = ground;
  const { decision } = offer;
  const lines = (...texts: string[]): Line[] => texts.filter(Boolean).map((text) => ({ text }));
  const warn = (...texts: string[]): Line[] => texts.filter(Boolean).map((text) => ({ text, look: 'warning' }));
  const spoken = say.callerWords(offer);
  return [
    { id: 'words', title: said.words, lines: ground.desk.conversation(offer.contact).length > 0 ? [] : [spoken ? { text: spoken, own: true, look: 'words' } : { text: words().noWords, look: 'dim' }] },
    { id: 'event', title: words().badges.event, lines: event(ground, shown) },
    { id: 'callback', title: said.callback, lines: warn(say.callback(shown, now)) },
    { id: 'manner', title: said.manner, lines: warn(...say.manner(shown).slice(decision.quiet ? 1 : 0)) },
    { id: 'transfer', title: said.transfer, lines: warn(shown.transferTo ? said.proposed(say.room(tables, shown.transferTo)) : '') },
    { id: 'again', title: said.again, lines: warn(say.repeat(shown, now)) },
    { id: 'joined', title: said.joined, lines: joined(ground, shown) },
    { id: 'candidates', title: said.candidates, lines: offer.candidates.map((candidate) => candidateLine(ground, candidate)) },
    { id: 'where', title: said.where, lines: [{ text: say.mainPlace(offer, tables), look: 'strong' }, ...claims(ground, shown)] },
    { id: 'who', title: said.who, lines: lines(say.who(offer, ground)) },
    { id: 'services', title: said.services, lines: services(ground, shown) },
    { id: 'neighbours', title: said.neighbours, lines: neighbours(ground, shown) },
    { id: 'odd', title: said.odd, lines: warn(say.odd(decision.discrepancies)) },
    { id: 'notes', title: said.notes, lines: notes(ground, shown) },
    { id: 'record', title: said.record, lines: lines(record(ground, shown)) },
    { id: 'because', title: said.because, lines: decision.reasons.length ? [{ text: say.because(decision.reasons, tables), look: 'dim' }] : [] },
  ];
}

function event(ground: Ground, { offer }: Shown): Line[] {
  const declared = ground.desk.events(ground.now).find(({ id }) => id === offer.event);
  if (!declared) return [];
  return [{ text: list([say.eventWords(declared), offer.rings === false && words().events.keptFree]) }];
}

function claims({ tables }: Ground, { offer }: Shown): Line[] {
  if (offer.claims.length === 0) return [{ text: words().panel.noClaims, look: 'dim' }];
  const best = bestClaim(offer.claims);
  return offer.claims.map((claim) => ({ lead: words().sources[claim.source] ?? claim.source, text: say.claim(claim, tables, claim !== best) }));
}

function services({ desk, tables }: Ground, { offer }: Shown): Line[] {
  const said = words().panel;
  const mine = new Map(desk.ofContact(offer.contact).map((shown) => [shown.offer.service, shown.offer]));
  return offer.decision.services.map((assigned) => {
    const known = mine.get(assigned.service);
    // What is on this page is the newest; of another room's share, what the engine said last.
    const share = offer.shares?.find((share) => share.service === assigned.service);
    const { held_by, accepted, dispatched } = known ?? share ?? { held_by: null, accepted: false, dispatched: false };
    const far = dispatched ? said.dispatchedBy : accepted ? said.acceptedBy : said.heldBy;
    const held = held_by ? far(seatName(held_by)) : (known ?? share) && said.asked;
    const holder = !known && share?.closed ? said.closed : held;
    const then = assigned.chain.filter((id) => id !== assigned.dispatcher);
    return {
      lead: say.service(assigned.service),
      text: list([
        assigned.lead && said.leads,
        say.room(tables, assigned.dispatcher),
        assigned.probability !== null && assigned.probability < 0.99 && said.sure(percent(assigned.probability)),
        holder,
        known?.held_by || then.length === 0 ? null : said.askedAfter(list(then.map((id) => code(id)))),
      ]),
    };
  });
}

function neighbours({ tables }: Ground, { offer }: Shown): Line[] {
  return offer.decision.neighbours.map((neighbour) => ({
    lead: neighbour.probability === null ? '' : words().panel.sure(percent(neighbour.probability)),
    text: list([say.room(tables, neighbour.dispatcher), words().neighbourWhy[neighbour.why] ?? neighbour.why]),
  }));
}

function joined(ground: Ground, shown: Shown): Line[] {
  const live = ground.desk.joinedWith(shown).map((contact) => ({ text: contactWords(ground, contact) }));
  const ended = (shown.offer.ended ?? []).map((contact): Line => ({ text: list([shortId(contact), words().panel.ended]), look: 'dim' }));
  return [...live, ...ended];
}

export function candidateLine(ground: Ground, candidate: Candidate): Line {
  const said = words().panel;
  const why = candidate.because.map((word) => words().because[word] ?? isolated(word));
  const apart = candidate.distance_m >= 0 ? said.apart(distance(candidate.distance_m), age(Math.abs(candidate.secs) * 1e6)) : said.apartInTime(age(Math.abs(candidate.secs) * 1e6));
  const text = list([contactWords(ground, candidate.contact), apart, ...why]);
  return candidate.score > 0 ? { lead: said.score(percent(candidate.score)), text } : { text };
}

/** Another contact in a few words: what is on this page of it, or its id. */
export function contactWords({ desk, tables }: Ground, contact: string): string {
  const other = desk.ofContact(contact)[0];
  const id = shortId(contact);
  if (!other) return list([id, words().panel.elsewhere]);
  const spoken = say.callerWords(other.offer).slice(0, 80);
  return list([id, say.summary(other, tables), spoken && isolated(spoken)]);
}

function notes({ tables }: Ground, { offer }: Shown): Line[] {
  return offer.notes.map((note) => ({
    lead: `${code(timeOfDay(note.at, tables.utc_offset_minutes))} ${seatName(note.by)}`, text: plain(note.text), own: true,
  }));
}

function record({ desk, tables }: Ground, { offer }: Shown): string {
  const said = words().panel;
  return list([
    offer.responsible !== desk.seat.dispatcher && said.responsible(say.room(tables, offer.responsible)),
    offer.role === 'overflow' && said.overflow,
    offer.role === 'all_call' && said.allCall,
    offer.role === 'neighbour' && said.toldOnly,
    offer.confirmed ? said.confirmed : said.unconfirmed,
  ]);
}

