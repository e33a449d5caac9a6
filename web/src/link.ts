// The line to the engine: one WebSocket, signed in again whenever it breaks. A gap in the numbers, or silence, is a broken line.

import type { Hears, Micros, Says } from './protocol';

/** The engine speaks every two seconds; silence beyond this is a lost link. */
const SILENCE_MS_MAX = 5_000;
const HEARTBEAT_MS = 1_500;
const RETRY_MS = [200, 500, 1_000, 2_000];
const WATCH_MS = 500;
/** How an engine closes a session because the seat has another one. */
const CLOSED_BY_ENGINE = 1011;
/** Two screens of one seat that both came back at once would throw each other out for ever. */
const DISPLACED_TWICE_MS = 15_000;
const DISPLACED_RETRY_MS = 1_000;

export type LinkState = 'connecting' | 'open' | 'lost' | 'displaced';

export interface LinkEvents {
  heard(hears: Hears): void;
  state(state: LinkState): void;
  /** The link could not be made: perhaps the session has ended. */
  failed(): void;
}

export class Link {
  state: LinkState = 'connecting';
  /** When the engine was last heard, by `performance.now()`. */
  heardAt = performance.now();
  private socket: WebSocket | null = null;
  private seq = 0;
  private tries = 0;
  private saidAt = 0;
  private openedAt = 0;
  private displacedAt = -DISPLACED_TWICE_MS;
  private retry = 0;
  private readonly watch: number;
  private ended = false;

  constructor(
    private readonly url: string,
    private readonly signIn: () => Says,
    private readonly events: LinkEvents,
  ) {
    this.watch = window.setInterval(() => this.look(), WATCH_MS);
    this.connect();
  }

  say(says: Says): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(says));
    this.saidAt = performance.now();
    return true;
  }

  end(): void {
    this.ended = true;
    window.clearInterval(this.watch);
    window.clearTimeout(this.retry);
    this.drop();
  }

  private connect(): void {
    if (this.ended) return;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.seq = 0;
    this.openedAt = performance.now();
    socket.onopen = () => this.say(this.signIn());
    socket.onmessage = (event) => {
      if (this.socket === socket) this.heard(String(event.data));
    };
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      if (code === CLOSED_BY_ENGINE && this.state === 'open') this.displaced();
      else this.lost();
    };
  }

  private heard(text: string): void {
    let hears: Hears;
    try {
      hears = JSON.parse(text) as Hears;
    } catch {
      return this.lost();
    }
    if (hears.seq !== this.seq + 1) return this.lost();
    this.seq = hears.seq;
    this.heardAt = performance.now();
    if (hears.t === 'signed_in') this.tries = 0;
    this.events.heard(hears);
    if (hears.t === 'signed_in') this.enter('open');
    // A page in the background has slow timers, and its lease must not depend on them.
    if (hears.t === 'time' && performance.now() - this.saidAt > HEARTBEAT_MS) this.say({ t: 'heartbeat' });
  }

  private look(): void {
    const now = performance.now();
    const since = this.state === 'open' ? this.heardAt : this.openedAt;
    if (this.socket && now - since > SILENCE_MS_MAX) return this.lost();
    if (this.state === 'open' && now - this.saidAt >= HEARTBEAT_MS) this.say({ t: 'heartbeat' });
  }

  private lost(waitMs = 0): void {
    this.drop();
    this.enter('lost');
    this.events.failed();
    if (this.ended) return;
    const wait = waitMs || RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)] || 2_000;
    this.tries += 1;
    window.clearTimeout(this.retry);
    this.retry = window.setTimeout(() => this.connect(), wait * (0.75 + Math.random() / 2));
  }

  /** The engine ended it: tried once more, and then this screen waits for its person. */
  private displaced(): void {
    const again = performance.now() - this.displacedAt < DISPLACED_TWICE_MS;
    this.displacedAt = performance.now();
    if (!again) return this.lost(DISPLACED_RETRY_MS);
    this.drop();
    this.enter('displaced');
  }

  /** A person wants the seat on this screen. */
  takeBack(): void {
    if (this.state === 'displaced') this.connect();
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private enter(state: LinkState): void {
    if (state === this.state) return;
    this.state = state;
    this.events.state(state);
  }
}

/** The engine's clock, carried on by the page's own between two of its messages. */
export class Clock {
  private offset: Micros = Date.now() * 1000 - performance.now() * 1000;

  heard(now: Micros): void {
    this.offset = now - performance.now() * 1000;
  }

  now(): Micros {
    return Math.round(performance.now() * 1000 + this.offset);
  }
}
