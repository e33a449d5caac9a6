// A seat at work: the link brings what happens, the desk keeps it, the views show it, the keys act on it.

import { Desk, OUTCOMES, bestClaim, same, type Remark, type Shown } from './desk';
import { el, text } from './dom';
import { isTyping, meant } from './keyboard';
import { Clock, Link } from './link';
import { prefer, prefs } from './prefs';
import type { Hears, Me, Says, Tables } from './protocol';
import * as say from './say';
import { Sound } from './sound';
import { Dialog } from './view/dialog';
import { Help } from './view/help';
import { Conversation, WRITE_KEY } from './view/conversation';
import { ACTS, Incident, SERVICES_BY_KEY, candidateLine, type Command } from './view/incident';
import { MapView } from './view/map';
import { Queue } from './view/queue';
import { Sheet } from './view/sheet';
import { Top, type TopAct } from './view/top';
import { whoAmI } from './view/signin';
import { digits, seatName, words } from './words';
import { en } from './words/en';

const TICK_MS = 500;
/** The map is drawn after the words. */
const MAP_MS = 120;
const MAP_IDLE_MS = 1_000;
/** A key pressed this soon after another contact came up by itself was meant for the one before. */
const CAME_UP_MS = 500;
/** How long the word about a sound check that worked stays. */
const CHECK_SHOWN_MS = 6_000;

interface Around {
  loadTables: () => Promise<Tables>;
  spoken: () => void;
  left: (why: string) => void;
}

export class SeatPage {
  readonly node = el('div', { class: 'seat-page' });
  private readonly desk: Desk;
  private readonly clock = new Clock();
  private readonly sound = new Sound((checked) => this.soundChanged(checked));
  private readonly top = new Top((act) => this.topAct(act));
  private readonly queue = new Queue((id) => this.choose(id), () => this.later());
  private readonly conversation = new Conversation((contact, typed) => this.write(contact, typed), () => this.keepChosen(), () => this.toQueue());
  private readonly incident = new Incident((act) => this.act(act), (service) => this.addService(service), this.conversation);
  /** What was written last, until the engine has taken it. */
  private signedIn = '';
  private written: { contact: string; text: string } | null = null;
  private readonly map = new MapView((id) => this.choose(id));
  private readonly dialog = new Dialog(() => this.later());
  private readonly help = new Help(() => this.all(), () => this.signInAgain());
  private readonly sheet = new Sheet(() => this.later());
  private readonly skip = el('a', { class: 'skip', href: '#queue' });
  private readonly status = el('p', { class: 'status', role: 'status', 'aria-live': 'polite' });
  private link: Link | null = null;
  private readonly says: Says[] = [];
  private drawAll = true;
  private drawing = 0;
  private mapTimer = 0;
  private ringTimer = 0;
  private ticker = 0;
  private checkShown = 0;
  private asking = false;
  /** What the panel shows, and when that last changed without the person's doing. */
  private seen: string | null = null;
  private cameUpAt = -CAME_UP_MS;
  /** When this session's first words came, until its first page is painted. */
  private sessionAt: number | null = null;

  constructor(me: Me, private tables: Tables, private readonly around: Around) {
    this.desk = new Desk(me.seat, me.role);
    const main = el('main', { class: 'desk' }, this.queue.node, this.incident.node, this.map.node);
    this.node.append(this.skip, this.top.node, this.top.banners, main, el('footer', {}, this.status), this.dialog.node, this.help.node, this.sheet.node);
  }

  start(): void {
    document.addEventListener('keydown', this.onKey);
    document.addEventListener('pointerdown', this.onTouch);
    document.addEventListener('visibilitychange', this.onReturn);
    window.addEventListener('beforeunload', this.onLeave);
    const room = this.tables.rooms.find(({ id }) => id === this.desk.seat.dispatcher);
    this.signedIn = JSON.stringify(this.signIn());
    const url = `${window.location.protocol === 'https:' ? 'wss:' : 'ws:'}//${window.location.host}/console/ws`;
    this.help.languages = room?.languages ?? [];
    this.link = new Link(url, () => this.signIn(), {
      heard: (hears) => this.heard(hears),
      state: (state) => {
        if (state === 'lost' || state === 'displaced') {
          this.desk.linkLost();
          this.sound.fall();
        }
        this.rings();
        this.all();
      },
      failed: () => void this.stillHere(),
    });
    this.ticker = window.setInterval(() => this.tick(), TICK_MS);
    this.all();
    document.getElementById('queue')?.focus();
  }

  /** What this seat says of itself. */
  private signIn(): Says {
    const room = this.tables.rooms.find(({ id }) => id === this.desk.seat.dispatcher);
    return { t: 'sign_in', languages: spoken(room?.languages), text: prefs.writes && (room?.text ?? true) };
  }

  /** The person may have said that other languages are spoken here. */
  private signInAgain(): void {
    const now = JSON.stringify(this.signIn());
    if (now !== this.signedIn) this.link?.say(this.signIn());
    this.signedIn = now;
    this.later();
  }

  end(): void {
    document.removeEventListener('keydown', this.onKey);
    document.removeEventListener('pointerdown', this.onTouch);
    document.removeEventListener('visibilitychange', this.onReturn);
    window.removeEventListener('beforeunload', this.onLeave);
    window.clearInterval(this.ticker);
    window.clearTimeout(this.mapTimer);
    window.clearTimeout(this.ringTimer);
    window.cancelAnimationFrame(this.drawing);
    this.sound.ring('no');
    this.link?.end();
  }

  // --- what is heard ---

  private heard(hears: Hears): void {
    const start = performance.now();
    if (hears.t === 'signed_in' || hears.t === 'time') this.clock.heard(hears.now);
    if (hears.t === 'signed_in') this.sessionAt = start;
    const wasLost = hears.t === 'caught_up' && this.desk.list().some((shown) => shown.old);
    this.says.push(...this.desk.heard(hears, this.clock.now()));
    if (hears.t === 'signed_in' && hears.tables !== this.tables.version) void this.newTables();
    if (wasLost) this.remark(words().remarks.linkBack);
    this.settle(hears);
    for (const remark of this.desk.remarks.splice(0)) this.remark(this.said(remark));
    this.rings();
    if (hears.t === 'caught_up' || hears.t === 'signed_in') this.all();
    else if (hears.t !== 'time') this.later();
    measure('najda:heard', start);
  }

  /** A line that the engine refuses goes back into its field. */
  private settle(hears: Hears): void {
    const { written } = this;
    if (written === null) return;
    if (hears.t === 'said' && same(hears.said.by, this.desk.seat)) this.written = null;
    else if (hears.t === 'refused' && hears.offer === null) {
      this.written = null;
      this.conversation.refused(written.contact, written.text);
    }
  }

  private said(remark: Remark): string {
    const said = words().remarks;
    switch (remark.is) {
      case 'changed':
        return said.changed;
      case 'proposed':
        return said.proposed(say.room(this.tables, remark.to));
      case 'refused':
        return said.refused(words().refusals[remark.why] ?? remark.why);
      case 'wrote':
        return said.wrote(remark.text.slice(0, 120));
      case 'declared':
        return words().events.told(say.event(this.ground, remark.event));
      case 'new':
        return said.fresh(say.summary(remark.shown, this.tables));
      case 'alarm':
        return said.alarm(say.summary(remark.shown, this.tables));
    }
  }

  private async newTables(): Promise<void> {
    try {
      this.tables = await this.around.loadTables();
      this.map.refresh(this.tables);
      this.all();
    } catch {
      // The old names serve until the next sign-in asks again.
    }
  }

  /** The link could not be kept: is the session still ours? */
  private async stillHere(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      if ((await whoAmI()) === null) this.around.left(words().signIn.ended);
    } catch {
      // No answer says nothing about the session; the link is tried again.
    } finally {
      this.asking = false;
    }
  }

  /** Soon, and once for all that was heard together; not with the frame, for a hidden page draws none and must ring all the same. */
  private rings(): void {
    if (this.ringTimer === 0) this.ringTimer = window.setTimeout(() => this.ringNow());
  }

  private ringNow(): void {
    this.ringTimer = 0;
    const ringing = this.desk.ringing();
    this.sound.ring(ringing.length === 0 ? 'no' : ringing.some(({ offer }) => offer.alarm) ? 'alarm' : 'ring');
  }

  private soundChanged(checked: boolean): void {
    if (checked) this.checkShown = performance.now() + CHECK_SHOWN_MS;
    this.later();
  }

  // --- drawing ---

  private all(): void {
    this.drawAll = true;
    this.later();
  }

  private later(): void {
    if (this.drawing === 0) this.drawing = window.requestAnimationFrame(() => this.draw());
  }

  private get ground(): say.Ground {
    return { tables: this.tables, desk: this.desk, now: this.clock.now() };
  }

  private get topState() {
    return {
      link: this.link?.state ?? ('connecting' as const),
      heardAgo: (performance.now() - (this.link?.heardAt ?? 0)) * 1000,
      sound: this.sound.state,
      soundChecked: performance.now() < this.checkShown,
    };
  }

  private draw(): void {
    const start = performance.now();
    this.drawing = 0;
    const [all, ground] = [this.drawAll, this.ground];
    this.drawAll = false;
    if (all) {
      text(this.skip, words().top.skip);
      this.node.classList.toggle('lost', !this.desk.linked && this.link?.state !== 'connecting');
      this.node.setAttribute('aria-busy', String(!this.desk.caughtUp));
    }
    const dirty = new Set(this.desk.dirty);
    this.desk.dirty.clear();
    this.queue.draw(ground, dirty, all);
    this.incident.draw(ground);
    this.noteSeen();
    this.top.draw(ground, this.topState);
    this.title();
    this.sayShown();
    if (all) this.mapSoon(true);
    else if (dirty.size > 0) this.mapSoon(false);
    measure('najda:draw', start);
    if (this.sessionAt !== null && this.desk.list().some((shown) => !shown.old)) {
      const since = this.sessionAt;
      this.sessionAt = null;
      // After the frame in which it was drawn.
      window.setTimeout(() => measure('najda:first-page', since));
    }
  }

  private noteSeen(): void {
    const now = this.desk.chosen()?.offer.id ?? null;
    if (now !== this.seen && this.seen !== null && !this.desk.isByHand()) this.cameUpAt = performance.now();
    this.seen = now;
  }

  /** Whether the chosen contact is one that the person can have seen before pressing. */
  private isSeen(): boolean {
    if (this.desk.isByHand() || this.seen === null) return true;
    return this.seen === this.desk.chosen()?.offer.id && performance.now() - this.cameUpAt >= CAME_UP_MS;
  }

  /** Says that an offer is shown only when it is: a hidden page draws no frames, and shows nothing. */
  private sayShown(): void {
    for (const says of this.says.splice(0)) {
      if (says.t === 'shown' && this.desk.get(says.offer) && !this.queue.holds(says.offer)) this.says.push(says);
      else this.link?.say(says);
    }
  }

  private mapRefresh = true;

  private mapSoon(refresh: boolean): void {
    this.mapRefresh ||= refresh;
    if (this.mapTimer !== 0) return;
    this.mapTimer = window.setTimeout(() => {
      // When nothing else is to do: the words come first.
      window.requestIdleCallback(() => this.drawMap(), { timeout: MAP_IDLE_MS });
    }, MAP_MS);
  }

  private drawMap(): void {
    const start = performance.now();
    this.mapTimer = 0;
    if (!this.node.isConnected) return;
    if (this.mapRefresh) this.map.refresh(this.tables);
    this.mapRefresh = false;
    this.map.draw(this.ground);
    measure('najda:map', start);
  }

  private tick(): void {
    const start = performance.now();
    const { ground } = this;
    this.queue.tick(ground);
    this.incident.draw(ground);
    this.top.tick(ground, this.topState);
    measure('najda:tick', start);
  }

  private title(): void {
    const waits = this.desk.list().filter((shown) => ['alarm', 'waiting', 'callback'].includes(this.desk.group(shown))).length;
    const title = `${waits > 0 ? `(${digits(waits)}) ` : ''}${this.desk.seat.dispatcher}/${this.desk.seat.seat} · Najda`;
    if (document.title !== title) document.title = title;
  }

  private remark(said: string): void {
    text(this.status, said);
  }

  // --- keys and clicks ---

  private readonly onTouch = (): void => void this.sound.wake();

  private readonly onReturn = (): void => this.later();

  /** A slip of the hand must not close a screen whose person holds somebody's call. */
  private readonly onLeave = (event: Event): void => {
    if (this.desk.list().some((shown) => this.desk.group(shown) === 'mine')) event.preventDefault();
  };

  private readonly onKey = (event: KeyboardEvent): void => {
    void this.sound.wake();
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey) return;
    if (this.dialog.isOpen || this.help.isOpen || this.sheet.isOpen || isTyping(event.target)) return;
    if (this.moved(event)) return event.preventDefault();
    if (event.key === 'Enter' && this.link?.state === 'displaced') return this.link.takeBack();
    if (event.repeat || event.altKey !== prefs.altOnly) return;
    if (this.commanded(meant(event))) event.preventDefault();
  };

  private moved(event: KeyboardEvent): boolean {
    // There the arrows scroll.
    if (event.altKey || (event.target instanceof Element && event.target.closest('.map-box, .incident .body'))) return false;
    switch (event.key) {
      case 'ArrowDown':
        this.desk.step(1);
        break;
      case 'ArrowUp':
        this.desk.step(-1);
        break;
      case 'Home':
        this.desk.first();
        break;
      default:
        return false;
    }
    this.chosen();
    return true;
  }

  private commanded(pressed: string): boolean {
    this.remark('');
    const act = ACTS.find(({ key }) => key === pressed)?.act;
    const service = /^[1-9]$/.test(pressed) && Number(pressed) <= SERVICES_BY_KEY ? this.tables.services[Number(pressed) - 1] : undefined;
    const top = ({ s: 'silence', o: 'soundCheck', l: 'language', e: 'events', h: 'sheet', '?': 'help', q: 'signOut' } as Record<string, TopAct>)[pressed];
    if (act) this.act(act);
    else if (pressed === WRITE_KEY) this.goWrite();
    else if (service) this.addService(service);
    else if (top) this.topAct(top);
    else if (pressed === 'm') this.map.turn();
    else return false;
    return true;
  }

  private choose(id: string): void {
    this.desk.choose(id);
    this.chosen();
  }

  private chosen(): void {
    const contact = this.desk.looked();
    if (contact !== null) this.link?.say({ t: 'read', contact });
    this.rings();
    this.later();
    window.requestAnimationFrame(() => this.queue.reveal());
  }

  private topAct(act: TopAct): void {
    switch (act) {
      case 'help':
        return this.help.open();
      case 'sheet':
        return this.sheet.open(this.ground, this.topState.heardAgo);
      case 'events':
        return this.askEvents();
      case 'language':
        prefer({ lang: prefs.lang === 'ar' ? 'en' : 'ar' });
        this.around.spoken();
        return this.all();
      case 'soundCheck':
        return void this.sound.check();
      case 'silence':
        this.desk.silence();
        this.rings();
        this.remark(words().remarks.silenced);
        return this.later();
      case 'signOut':
        return this.askSignOut();
    }
  }

  // --- declared events ---

  private askEvents(): void {
    if (this.desk.duty !== 'supervisor') return this.remark(words().events.notYours);
    const said = words().events;
    const declared = this.desk.events(this.clock.now());
    if (declared.length === 0) return this.askDeclare();
    this.dialog.choice(said.title, said.choose, [
      { label: said.declare, choose: () => this.askDeclare() },
      ...declared.map((event) => ({ label: say.event(this.ground, event), lead: said.end, choose: () => void this.link?.say({ t: 'end_event', event: event.id }) })),
    ]);
  }

  private askDeclare(): void {
    const said = words().events;
    const shown = this.desk.chosen();
    const best = shown && bestClaim(shown.offer.claims);
    const kind = shown?.offer.decision.incident_type ?? null;
    const areas = this.tables.areas.map(({ id }) => ({ id, label: say.areaName(this.tables, id) }));
    const here = shown && best?.center ? { label: said.around(say.mainPlace(shown.offer, this.tables)) } : null;
    const ofKind = shown && kind ? { code: kind, label: say.typeName(this.tables, shown.offer.decision) } : null;
    this.dialog.event({ areas, here, kind: ofKind }, ({ words: spoken, area, radius_m, minutes, ofType }) => {
      const [lat, lon] = best?.center ?? [0, 0];
      this.link?.say({
        t: 'declare', area: area === null ? { lat, lon, radius_m } : { area }, words: spoken, types: ofType && kind ? [kind] : [], until: this.clock.now() + minutes * 60e6,
      });
    });
  }

  private askSignOut(): void {
    const { dialogs, buttons } = words();
    const held = this.desk.list().filter((shown) => same(shown.offer.held_by, this.desk.seat)).length;
    this.dialog.choice(dialogs.signOut, held > 0 ? dialogs.signOutHint(digits(held)) : '', [{ label: buttons.signOut, choose: () => void this.signOut() }]);
  }

  private async signOut(): Promise<void> {
    this.link?.say({ t: 'sign_out' });
    await fetch('/console/session', { method: 'DELETE' }).catch(() => undefined);
    this.around.left(words().remarks.signedOut);
  }

  // --- commands ---

  private addService(service: string): void {
    if (!this.isSeen()) return this.remark(words().remarks.cameUp);
    const shown = this.desk.chosen();
    const why = this.desk.whyNot('add');
    if (why !== null) return this.remark(words().remarks.cannot(words().acts.add, words().whyNot[why]));
    if (!shown) return;
    if (shown.offer.decision.services.some((assigned) => assigned.service === service)) return this.remark(words().remarks.already(say.service(service)));
    this.link?.say({ t: 'add_service', contact: shown.offer.contact, service });
    this.later();
  }

  // --- writing ---

  private goWrite(): void {
    if (!this.isSeen()) return this.remark(words().remarks.cameUp);
    const why = this.desk.whyNot('write');
    if (why !== null) return this.remark(words().remarks.cannot(words().acts.write, words().whyNot[why]));
    this.conversation.focus();
  }

  /** Who writes to a contact has chosen it: it stays while they type. */
  private keepChosen(): void {
    const shown = this.desk.chosen();
    if (shown) this.choose(shown.offer.id);
  }

  private toQueue(): void {
    document.getElementById('queue')?.focus();
  }

  private write(contact: string, typed: string): boolean {
    const why = this.desk.whyNot('write');
    const isIt = this.desk.chosen()?.offer.contact === contact;
    if (why !== null || !isIt || !this.link?.say({ t: 'say', contact, text: typed })) {
      this.remark(words().remarks.cannot(words().acts.write, words().whyNot[why ?? 'no_link']));
      return false;
    }
    this.written = { contact, text: typed };
    return true;
  }

  private act(act: Command): void {
    if (!this.isSeen()) return this.remark(words().remarks.cameUp);
    const shown = this.desk.chosen();
    const why = this.desk.whyNot(act);
    if (why !== null || !shown) {
      const said = words().whyNot[why ?? 'nothing_chosen'];
      return this.remark(words().remarks.cannot(words().acts[act], said));
    }
    this.desk.choose(shown.offer.id);
    this.rings();
    const { id: offer, contact } = shown.offer;
    const { dialogs } = words();
    switch (act) {
      case 'take':
        return this.command({ t: 'take', offer }, 'taking');
      case 'accept':
        return this.command({ t: 'accept', offer }, 'accepting');
      case 'dispatched':
        return this.command({ t: 'dispatched', offer }, 'dispatching');
      case 'inform':
        return this.command({ t: 'inform', offer }, 'informing');
      case 'release':
        return this.command({ t: 'release', offer }, 'releasing');
      case 'decline':
        return this.dialog.reason(dialogs.decline, dialogs.declineHint, words().declineReasons, null, (reason) =>
          this.command({ t: 'decline', offer, reason: usual('declineReasons', reason) }, 'declining'));
      case 'close':
        return this.dialog.reason(dialogs.close, '', words().closeReasons, words().closeReasons[0] ?? null, (reason) =>
          this.command({ t: 'close', offer, reason: usual('closeReasons', reason) }, 'closing'));
      case 'callback':
        return this.dialog.choice(dialogs.callback, dialogs.callbackHint, OUTCOMES.map((outcome) => ({
          label: words().outcomes[outcome], choose: () => this.command({ t: 'called_back', offer, outcome, reason: '' }, 'calling_back'),
        })));
      case 'transfer':
        return this.dialog.room(dialogs.transfer, this.rooms(shown), words().transferReasons, (to, reason) =>
          this.command({ t: 'transfer', offer, to, reason: usual('transferReasons', reason) }, 'transferring'));
      case 'note':
        return this.dialog.note(dialogs.note, (typed) => this.link?.say({ t: 'note', contact, text: typed }));
      case 'join':
        return this.dialog.choice(dialogs.join, dialogs.joinHint, this.desk.joinable(shown).map((candidate) => ({
          label: candidateLine(this.ground, candidate).text,
          lead: candidateLine(this.ground, candidate).lead ?? '',
          choose: () => this.link?.say({ t: 'join', contact, with: candidate.contact }),
        })));
      case 'split':
        this.link?.say({ t: 'split', contact });
        return;
    }
  }

  private command(says: Says & { offer: string }, asked: Parameters<Desk['said']>[1]): void {
    if (this.desk.whyNot('note') !== null || !this.link?.say(says)) {
      return this.remark(words().remarks.cannot(seatName(this.desk.seat), words().whyNot.no_link));
    }
    this.desk.said(says.offer, asked);
    this.later();
  }

  /** Rooms it can be handed to: the proposed one first, then those of the same service, then all others. */
  private rooms(shown: Shown): { id: string; label: string; find: string }[] {
    const { offer, transferTo } = shown;
    const near = new Set(offer.decision.neighbours.map((neighbour) => neighbour.dispatcher));
    const rank = (id: string, service: string) => (id === transferTo ? 0 : near.has(id) ? 1 : service === offer.service ? 2 : 3);
    const rooms = this.tables.rooms.filter(({ id }) => id !== this.desk.seat.dispatcher);
    rooms.sort((a, b) => rank(a.id, a.service) - rank(b.id, b.service));
    return rooms.map((room) => ({
      id: room.id,
      label: `${say.room(this.tables, room.id)} · ${say.service(room.service)}`,
      find: `${room.id} ${room.name.en} ${room.name.ar} ${room.service}`.toLowerCase(),
    }));
  }
}

/** The languages of this seat: those of its room, less what the person does not speak. */
function spoken(languages: string[] = ['ar', 'en']): string[] {
  return languages.filter((language) => !prefs.notSpoken.includes(language));
}

/** A usual reason goes into the journal in one language, whatever the page speaks. */
function usual(list: 'declineReasons' | 'closeReasons' | 'transferReasons', reason: string): string {
  return en[list][words()[list].indexOf(reason)] ?? reason;
}

/** Seen by whoever observes the page's performance; kept by nobody, for a shift is long. */
function measure(name: string, start: number): void {
  performance.measure(name, { start, end: performance.now() });
  performance.clearMeasures(name);
}
