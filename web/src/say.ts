// An offer in words: the same facts as the terminal console gives, as short sentences of the person's language.

import type { Claim, Decision, DeclaredEvent, Names, Offer, Tables } from './protocol';
import { bestClaim, type Desk, type Shown } from './desk';
import { nearest } from './geo';
import { age, code, coordinates, digits, distance, isolated, list, name, percent, plain, seatName, shortId, timeOfDay, words } from './words';
import { types } from './words/types';

/** Within this a direction would say more than is known: names stand for about a kilometre. */
const HERE_M = 1_000;

/** What the sentences need besides the offer. */
export interface Ground {
  tables: Tables;
  desk: Desk;
  now: number;
}

export function areaName(tables: Tables, id: string | null): string {
  if (!id) return words().place.areaUnknown;
  const area = tables.areas.find((area) => area.id === id);
  return area ? isolated(name(area.name)) : code(id);
}

export function roomName(tables: Tables, id: string): string {
  const room = tables.rooms.find((room) => room.id === id);
  return room ? isolated(name(room.name)) : code(id);
}

export function room(tables: Tables, id: string): string {
  const known = tables.rooms.find((room) => room.id === id);
  return known ? `${isolated(name(known.name))} (${code(id)})` : code(id);
}

export function service(id: string): string {
  return words().services[id] ?? isolated(id);
}

export function typeName(tables: Tables, decision: Decision): string {
  const { incident_type: type } = decision;
  return type ? typeWords(tables, type) : words().noType;
}

function typeWords(tables: Tables, type: string): string {
  const stated = tables.types.find(({ code }) => code === type)?.name;
  if (stated) return isolated(name(stated));
  const known = types[type];
  return known ? isolated(known[words().locale === 'ar' ? 1 : 0]) : code(type);
}

export function lang(id: string): string {
  return words().langs[id] ?? code(id);
}

/** What the caller said, cleaned of controls, one piece after the other. */
export function callerWords(offer: Offer): string {
  const events = offer.signals.filter(({ kind }) => kind === 'event').map(({ value }) => String(value));
  return [...offer.words, ...events].map(plain).filter(Boolean).join(' / ');
}

// --- where ---

export function near(at: { name: Names; distance_m: number; direction: string }): string {
  const { place, directions } = words();
  const said = isolated(name(at.name));
  return at.distance_m < HERE_M ? place.at(said) : place.near(distance(at.distance_m), directions[at.direction] ?? at.direction, said);
}

export function shortPlace(offer: Offer, tables: Tables): string {
  const { place } = offer;
  if (place.near) return list([near(place.near), otherArea(offer, tables)]);
  if (place.area) return areaName(tables, place.area);
  const makani = offer.claims.find((claim) => claim.makani)?.makani;
  return makani ? `${words().place.makani} ${code(spaced(makani))}` : words().place.unknown;
}

/** The area's name, unless the place is called the same. */
function otherArea({ place }: Offer, tables: Tables): string | null {
  const area = tables.areas.find(({ id }) => id === place.area);
  return place.near && area?.name.en === place.near.name.en && place.near.distance_m < HERE_M ? null : areaName(tables, place.area);
}

/** The place in words alone; what each claim says of it follows. */
export function mainPlace(offer: Offer, tables: Tables): string {
  const { place } = offer;
  const decided = place.rung === bestClaim(offer.claims)?.source ? null : words().place.knownBy(words().sources[place.rung] ?? place.rung);
  return list([place.near && near(place.near), otherArea(offer, tables), decided]);
}

export function longPlace(offer: Offer, tables: Tables): string {
  const { place } = offer;
  const best = bestClaim(offer.claims);
  const makani = offer.claims.find((claim) => claim.makani)?.makani;
  return list([
    areaName(tables, place.area),
    place.near && near(place.near),
    makani && `${words().place.makani} ${code(spaced(makani))}`,
    best?.center && coordinates(best.center),
    best && best.reach_m > 0 && words().place.within(distance(best.reach_m)),
    words().place.knownBy(words().sources[place.rung] ?? place.rung),
  ]);
}

/** One stated place: source, whose, where, how exact, how old. */
export function claim(claim: Claim, tables: Tables, named: boolean): string {
  const { place } = words();
  const at = named && claim.center && nearest(tables, claim.center);
  return list([
    at && near(at),
    claim.makani && `${place.makani} ${code(spaced(claim.makani))}`,
    claim.center && coordinates(claim.center),
    claim.reach_m > 0 && place.within(distance(claim.reach_m)),
    claim.age_secs > 0 ? place.old(age(claim.age_secs * 1e6)) : place.fresh,
    place.sure(percent(claim.confidence)),
    place.whose[claim.whose],
  ]);
}

function spaced(makani: string): string {
  return makani.length === 10 ? `${makani.slice(0, 5)} ${makani.slice(5)}` : makani;
}

// --- who ---

export function who(offer: Offer, { now, tables }: Ground): string {
  const said = words().who;
  const parts: (string | null)[] = [words().doors[offer.door] ?? isolated(offer.door)];
  parts.push(offer.line ? said.line(code(offer.line)) : said.noLine);
  const language = offer.lang ?? offer.decision.lang;
  if (language) parts.push(isText(offer) ? words().manner.wrote(lang(language)) : said.speaks(lang(language)));
  for (const signal of offer.signals) parts.push(signalWords(signal));
  parts.push(said.ago(age(now - offer.received)), said.at(code(timeOfDay(offer.received, tables.utc_offset_minutes))));
  return list(parts);
}

export function isText(offer: Offer): boolean {
  return offer.door === 'sms' || offer.door === 'app' || offer.decision.text;
}

function signalWords({ kind, value }: { kind: string; value?: unknown }): string | null {
  const said = words().who;
  const simple = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  const field = (name: string): unknown => (value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[name] : undefined);
  switch (kind) {
    case 'dialled':
      return said.dialled(code(simple));
    case 'dtmf':
    case 'menu_key':
      return said.pressed(code(simple || String(field('digit') ?? '')));
    case 'ecall': {
      const people = field('occupants');
      return list([
        field('automatic') === false ? said.crashByHand : said.crash,
        typeof people === 'number' && said.occupants(digits(people)),
        field('fuel_at_risk') === true && said.fuel,
      ]);
    }
    case 'silence':
      return said.silent(age(Number(simple || field('secs') || 0) * 1e6));
    case 'urn':
      return said.urn(code(simple));
    case 'wanted':
      return said.wanted(service(simple));
    case 'call_back':
      return said.callBack;
    case 'verified':
      return value === false ? said.unverified : said.verified;
    default:
      return null;
  }
}

// --- what else is to be known ---

export function odd(codes: string[]): string {
  const one = (discrepancy: string) => {
    const [word = '', country] = discrepancy.split(':');
    const said = words().odd[word] ?? code(word);
    return country ? `${said} ${code(country)}` : said;
  };
  return list(codes.map(one), words().dir === 'rtl' ? '؛ ' : '; ');
}

export function because(reasons: string[], tables: Tables): string {
  const one = (reason: string) => {
    const at = reason.indexOf(': ');
    const [step, what] = at < 0 ? [reason, ''] : [reason.slice(0, at), reason.slice(at + 2)];
    const said = words().steps[step] ?? code(step);
    return what ? `${said} ${reasonWords(step, what, tables)}` : said;
  };
  return reasons.map(one).join(words().dir === 'rtl' ? ' ← ' : ' → ');
}

function reasonWords(step: string, what: string, tables: Tables): string {
  if (step === 'claim') return words().sources[what] ?? isolated(what);
  if (step === 'type') return typeWords(tables, what);
  const area = tables.areas.find(({ id }) => id === what);
  return area ? isolated(name(area.name)) : isolated(what);
}

export function callback(shown: Shown, now: number): string {
  const { callback } = shown.offer;
  if (!callback) return '';
  const said = words().callback;
  const number = callback.number === null ? said.none : shown.offer.decision.quiet ? said.write(code(callback.number)) : said.call(code(callback.number));
  return list([
    said.since(words().gone[callback.why], age(now - callback.since)),
    number,
    callback.outcome && said.done(words().outcomes[callback.outcome]),
  ], words().dir === 'rtl' ? '؛ ' : '; ');
}

export function repeat(shown: Shown, now: number): string {
  const { repeat } = shown.offer;
  if (!repeat) return '';
  const said = words().repeat;
  return list([
    said.same(shortId(repeat.earlier)),
    repeat.held_by && said.held(seatName(repeat.held_by)),
    repeat.until > now && said.first(age(repeat.until - now)),
  ]);
}

export function manner(shown: Shown): string[] {
  const { decision, interpreter } = shown.offer;
  const said = words().manner;
  const parts: string[] = [];
  if (decision.quiet) parts.push(said.quiet);
  if (decision.text) parts.push(said.text);
  if (interpreter ?? decision.interpreter) parts.push(said.interpreter(callerLang(shown.offer)));
  if (shown.hungUp) parts.push(said.gone(words().gone[shown.hungUp]));
  return parts;
}

function callerLang(offer: Offer): string {
  const known = offer.lang ?? offer.decision.lang;
  return known ? lang(known) : '';
}

export function lost(shown: Shown): string {
  if (!shown.lost) return '';
  const { why, by } = shown.lost;
  return words().lost[why](by ? seatName(by) : words().lost.nobody);
}

/** One line for an announcement: service, type, place. */
export function summary(shown: Shown, tables: Tables): string {
  const { offer } = shown;
  return list([service(offer.service), typeName(tables, offer.decision), shortPlace(offer, tables)]);
}

export function state(shown: Shown, desk: Desk): string {
  if (shown.asked) return words().asked[shown.asked];
  const said = words().states;
  const group = desk.group(shown);
  if (group === 'mine') return desk.awaitsCallback(shown) ? said.callback : shown.offer.dispatched ? said.dispatched : shown.offer.accepted ? said.accepted : said.mine;
  if (group === 'others') return shown.offer.held_by ? seatName(shown.offer.held_by) : said.taken;
  return said[group];
}

// --- declared events ---

/** In the page's language where it was said in it. */
export function eventWords({ words: said }: DeclaredEvent): string {
  return isolated(name(said) || said.en || said.ar);
}

export function event({ tables, desk, now }: Ground, declared: DeclaredEvent): string {
  const said = words().events;
  const where = declared.area ? areaName(tables, declared.area) : said.within(distance(declared.radius_m), declared.center ? (nearWords(tables, declared.center)) : '');
  return list([
    eventWords(declared), where, declared.types.length > 0 && declared.types.map((type) => typeWords(tables, type)).join(' / '),
    said.left(age(declared.until - now), code(timeOfDay(declared.until, tables.utc_offset_minutes))), said.contacts(digits(desk.ofEvent(declared.id))), seatName(declared.by),
  ]);
}

function nearWords(tables: Tables, center: [number, number]): string {
  const found = nearest(tables, center);
  return found ? near(found) : coordinates(center);
}
