// The engine as far as one page can tell: it serves the built page under the real policy, and speaks the console's protocol over a
// WebSocket. A test says what happens (`offer`, `send`, `cut`), and sees what the page said. What needs two seats is tested against
// the real engine.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

import { tables } from './tables.mjs';

export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
  + "media-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const dist = fileURLToPath(new URL('../../web/dist/', import.meta.url));
const FILES = { '/': ['index.html', 'text/html; charset=utf-8'], '/console.js': ['console.js', 'text/javascript'], '/console.css': ['console.css', 'text/css'] };
const TIME_MS = 2_000;

export class Mock {
  /** What the page said since the last `forget`. */
  says = [];
  offers = new Map();
  invites = new Set(['good-invite']);
  signedIn = false;
  /** Answers commands as an engine would; a test may answer itself. */
  answers = true;
  /** No page can connect while the link is cut. */
  isCut = false;
  seat = { dispatcher: 'DU-POL', seat: '1' };
  role = 'dispatcher';
  /** Lines of each contact that came by text. */
  conversations = new Map();
  events = new Map();
  #socket = null;
  #seq = 0;
  #waiters = [];

  static async start() {
    const mock = new Mock();
    mock.server = createServer((request, response) => mock.#serve(request, response));
    mock.sockets = new WebSocketServer({ server: mock.server, path: '/console/ws' });
    mock.sockets.on('connection', (socket) => mock.#connected(socket));
    mock.server.on('connection', (socket) => mock.isCut && socket.destroy());
    await new Promise((resolve) => mock.server.listen(0, '127.0.0.1', resolve));
    mock.url = `http://127.0.0.1:${mock.server.address().port}`;
    mock.timer = setInterval(() => mock.send({ t: 'time', now: mock.now() }), TIME_MS);
    return mock;
  }

  async end() {
    clearInterval(this.timer);
    this.#socket?.terminate();
    this.sockets.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  now() {
    return Date.now() * 1000;
  }

  // --- what a test does ---

  /** A new contact, or one that changed. */
  offer(offer) {
    this.offers.set(offer.id, offer);
    this.send({ t: 'offer', offer });
    return offer;
  }

  /** A caller writes, or somebody answers. */
  line(contact, text, by = null, delivery = by ? 'pending' : 'delivered') {
    const said = this.conversations.get(contact) ?? [];
    const line = { number: said.length + 1, at: this.now(), by, text, delivery };
    this.conversations.set(contact, [...said, line]);
    this.send({ t: 'said', contact, said: line });
    return line;
  }

  send(message) {
    if (this.#socket) this.#socket.send(JSON.stringify({ seq: (this.#seq += 1), ...message }));
  }

  /** A number is left out: the page must notice. */
  skipOne() {
    this.#seq += 1;
  }

  cut() {
    this.isCut = true;
    this.#socket?.terminate();
    this.#socket = null;
  }

  /** As an engine does when the seat signs in on another screen. */
  displace() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1011, 'closed by the engine');
  }

  restore() {
    this.isCut = false;
  }

  forget() {
    this.says = [];
  }

  /** The next thing the page says, or has said, of this kind. */
  async said(kind, fits = () => true) {
    const found = () => this.says.find((says) => says.t === kind && fits(says));
    return found() ?? this.#until(found, `the page says ${kind}`);
  }

  #until(found, what) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`never: ${what}; it said ${JSON.stringify(this.says.slice(-5))}`)), 10_000);
      this.#waiters.push(() => {
        const it = found();
        if (it === undefined) return false;
        clearTimeout(timer);
        resolve(it);
        return true;
      });
    });
  }

  // --- what an engine does ---

  #serve(request, response) {
    const { pathname } = new URL(request.url, 'http://x');
    const json = (status, body, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    };
    const file = FILES[pathname];
    if (file) {
      response.writeHead(200, { 'content-type': file[1], 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
      return response.end(readFileSync(`${dist}${file[0]}`));
    }
    if (pathname === '/console/me') return this.signedIn ? json(200, { seat: this.seat, role: this.role }) : json(401, { error: 'no session', remedy: 'sign in' });
    if (pathname === '/console/tables.json') return json(200, tables);
    if (pathname === '/console/session' && request.method === 'DELETE') {
      this.signedIn = false;
      return json(200, {});
    }
    if (pathname === '/console/session') return this.#invited(request, json);
    return json(404, { error: 'not found', remedy: '' });
  }

  async #invited(request, json) {
    let body = '';
    for await (const piece of request) body += piece;
    if (!this.invites.delete(JSON.parse(body).invite)) {
      return json(401, { error: 'the invitation is unknown or was used', remedy: 'Ask the operations desk for a new one.' });
    }
    this.signedIn = true;
    return json(200, {}, { 'set-cookie': 'najda=mock; HttpOnly; SameSite=Strict; Path=/' });
  }

  #connected(socket) {
    if (this.isCut || !this.signedIn) return socket.terminate();
    this.#socket = socket;
    this.#seq = 0;
    socket.on('message', (data) => {
      const says = JSON.parse(String(data));
      this.says.push(says);
      this.#answer(says);
      this.#waiters = this.#waiters.filter((waiter) => !waiter());
    });
    return undefined;
  }

  #answer(says) {
    if (says.t === 'sign_in') {
      this.send({ t: 'signed_in', seat: this.seat, tables: tables.version, now: this.now() });
      for (const event of this.events.values()) this.send({ t: 'declared', event });
      for (const offer of this.offers.values()) this.send({ t: 'offer', offer });
      for (const [contact, said] of this.conversations) this.send({ t: 'conversation', contact, said });
      this.send({ t: 'caught_up' });
    }
    if (!this.answers) return;
    const offer = this.offers.get(says.offer);
    const by = this.seat;
    const contacts = (wanted) => [...this.offers.values()].filter(({ contact }) => contact === wanted);
    switch (says.t) {
      case 'take':
        offer.held_by = by;
        return this.send({ t: 'taken', offer: says.offer, by });
      case 'accept':
        offer.accepted = true;
        return this.send({ t: 'accepted', offer: says.offer, by });
      case 'inform':
        offer.may_inform = false;
        return this.send({ t: 'informed', contact: offer.contact, by });
      case 'dispatched':
        offer.dispatched = true;
        return this.send({ t: 'dispatched', offer: says.offer, by });
      case 'say':
        return this.line(says.contact, says.text, by);
      case 'declare': {
        const event = {
          id: `0-${800 + this.events.size}`, at: this.now(), by, area: says.area.area ?? null, center: says.area.lat === undefined ? null : [says.area.lat, says.area.lon],
          radius_m: says.area.radius_m ?? 0, words: says.words, types: says.types, until: says.until,
        };
        this.events.set(event.id, event);
        return this.send({ t: 'declared', event });
      }
      case 'end_event':
        this.events.delete(says.event);
        return this.send({ t: 'event_over', event: says.event, by });
      case 'release':
        [offer.held_by, offer.accepted] = [null, false];
        return this.send({ t: 'waiting', offer: says.offer, why: 'released' });
      case 'decline':
        return this.send({ t: 'waiting', offer: says.offer, why: 'declined' });
      case 'transfer':
      case 'close':
        this.offers.delete(says.offer);
        return this.send(says.t === 'close' ? { t: 'closed', offer: says.offer, by } : { t: 'withdrawn', offer: says.offer });
      case 'called_back':
        offer.callback.outcome = says.outcome;
        return this.send({ t: 'called_back', offer: says.offer, by, outcome: says.outcome });
      case 'note': {
        const note = { at: this.now(), by, text: says.text };
        for (const it of contacts(says.contact)) it.notes.push(note);
        return this.send({ t: 'noted', contact: says.contact, note });
      }
      case 'join': {
        const joined = [says.with, says.contact];
        for (const it of joined.flatMap(contacts)) it.joined = joined;
        return this.send({ t: 'joined', contact: says.contact, incident: '0-900', contacts: joined, by });
      }
      case 'split':
        return this.send({ t: 'split', contact: says.contact, incident: '0-901', by });
      case 'add_service': {
        const [first] = contacts(says.contact);
        const { decision } = first;
        decision.services = [...decision.services, { service: says.service, dispatcher: 'DU-AMB', area: 'AE-DU', probability: 1, lead: false, chain: ['DU-AMB'] }];
        return this.send({ t: 'changed', contact: says.contact, revision: 2, decision });
      }
      default:
        return undefined;
    }
  }
}
