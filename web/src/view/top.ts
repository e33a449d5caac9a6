// The bar on top: whose seat it is, the link and its age, the clock, what waits longest, and the sound.

import { attribute, el, key, show, text } from '../dom';
import { GROUPS, isTest } from '../desk';
import type { LinkState } from '../link';
import { event as say, roomName, type Ground } from '../say';
import type { SoundState } from '../sound';
import { age, digits, isolated, list, seatName, timeOfDay, words } from '../words';
import { waitOf } from './queue';

export interface TopState {
  link: LinkState;
  /** Since the engine was last heard, in microseconds. */
  heardAgo: number;
  sound: SoundState;
  soundChecked: boolean;
}

export type TopAct = 'events' | 'help' | 'sheet' | 'signOut' | 'language' | 'soundCheck' | 'silence';

const BUTTONS: { act: TopAct; key: string }[] = [
  { act: 'silence', key: 's' }, { act: 'soundCheck', key: 'o' }, { act: 'events', key: 'e' }, { act: 'language', key: 'l' }, { act: 'sheet', key: 'h' }, { act: 'help', key: '?' }, { act: 'signOut', key: 'q' },
];

export class Top {
  readonly node: HTMLElement;
  /** What is said while the link is lost, the sound is blocked, or a remark was made: above everything. */
  readonly banners: HTMLElement;
  private readonly seat = el('b', { class: 'seat' });
  private readonly room = el('span', { class: 'room-name' });
  private readonly link = el('span', { class: 'link' }, el('i', { class: 'shape' }), el('b', {}), el('span', { class: 'age' }));
  private readonly longest = el('span', { class: 'longest' }, el('span', {}), el('i', { class: 'shape' }), el('b', {}));
  private readonly counts = el('span', { class: 'counts' });
  private readonly clock = el('time', { class: 'time', dir: 'ltr' });
  private readonly sound = el('span', { class: 'sound' }, el('i', { class: 'shape' }), el('span', {}));
  private readonly buttons = new Map<TopAct, HTMLElement>();
  private readonly lost = el('p', { class: 'banner lost', role: 'alert', hidden: true });
  private readonly lostAge = el('p', { class: 'banner lost', hidden: true, 'aria-hidden': 'true' });
  private readonly soundBanner = el('p', { class: 'banner sound-banner', hidden: true });
  private readonly events = el('ul', { class: 'events', hidden: true });
  private readonly heading = el('h1', { class: 'sr' });
  private counted = '';

  constructor(act: (act: TopAct) => void) {
    const bar = el('div', { class: 'buttons' });
    for (const { act: name, key: letter } of BUTTONS) {
      const label = el('span', {});
      const node = el('button', { type: 'button', class: `top-${name}`, 'aria-keyshortcuts': letter }, key(letter), label);
      node.addEventListener('click', () => act(name));
      this.buttons.set(name, label);
      bar.append(node);
    }
    this.node = el('header', { class: 'top' }, this.heading,
      el('div', { class: 'top-line' }, this.seat, this.link, this.sound, this.clock, bar),
      el('div', { class: 'top-line' }, this.longest, this.counts, this.room));
    this.banners = el('section', { class: 'banners' }, this.lostAge, this.lost, this.soundBanner, this.events);
  }

  draw(ground: Ground, top: TopState): void {
    const said = words().top;
    const { desk, tables } = ground;
    text(this.heading, `${isolated('Najda')} ${said.seat} ${seatName(desk.seat)}`);
    text(this.seat, seatName(desk.seat));
    attribute(this.banners, 'aria-label', said.warnings);
    const duty = said.duties[desk.duty];
    text(this.room, list([desk.seat.dispatcher && roomName(tables, desk.seat.dispatcher), duty]));
    const events = this.buttons.get('events')?.parentElement;
    if (events) show(events, desk.duty === 'supervisor');
    for (const [act, label] of this.buttons) text(label, act === 'language' ? words().other : words().buttons[act]);
    this.drawCounts(ground);
    this.tick(ground, top);
  }

  /** What changes by itself every second. */
  tick(ground: Ground, top: TopState): void {
    const said = words().top;
    const { desk, tables, now } = ground;
    const lost = top.link === 'lost' || !desk.linked;
    this.link.dataset['state'] = top.link;
    const [, state, since] = [...this.link.children];
    if (state) text(state, top.link === 'open' && !desk.caughtUp ? said.catching : said.link[top.link]);
    if (since) text(since, said.age(age(top.heardAgo)));
    text(this.clock, `${timeOfDay(now, tables.utc_offset_minutes)} ${zone(tables.utc_offset_minutes)}`);
    const first = desk.list().find((shown) => !isTest(shown.offer) && ['alarm', 'waiting'].includes(desk.group(shown)));
    const waited = first ? now - desk.since(first) : 0;
    const [label, shape, longest] = [...this.longest.children] as HTMLElement[];
    if (label && shape && longest) {
      text(label, said.longest);
      text(longest, first ? age(waited) : said.nobody);
      shape.dataset['wait'] = first ? waitOf(waited) : 'none';
    }
    this.sound.dataset['state'] = top.sound;
    const heard = this.sound.lastElementChild;
    if (heard) text(heard, said.sound[top.sound]);
    this.drawBanners(ground, top, lost && top.link !== 'connecting');
    this.drawEvents(ground);
  }

  private drawBanners({ tables, now }: Ground, top: TopState, lost: boolean): void {
    const said = words().top;
    show(this.lostAge, lost);
    const at = timeOfDay(now - top.heardAgo, tables.utc_offset_minutes);
    text(this.lostAge, !lost ? '' : top.link === 'displaced' ? said.displaced : said.lost(age(top.heardAgo), at));
    // Said once to a screen reader, not every second.
    show(this.lost, lost);
    this.lost.classList.add('sr');
    text(this.lost, !lost ? '' : top.link === 'displaced' ? said.displaced : said.link.lost);
    const silent = top.sound === 'blocked' ? said.soundBlocked : top.sound === 'none' ? said.soundNone : top.soundChecked ? said.soundHeard : '';
    show(this.soundBanner, silent !== '');
    this.soundBanner.classList.toggle('good', top.sound === 'on');
    text(this.soundBanner, silent);
  }

  /** One line each; a screen reader hears of a new one as a remark. */
  private drawEvents(ground: Ground): void {
    const declared = ground.desk.events(ground.now);
    show(this.events, declared.length > 0);
    attribute(this.events, 'aria-label', words().events.title);
    while (this.events.children.length > declared.length) this.events.lastElementChild?.remove();
    declared.forEach((event, at) => {
      const line = this.events.children[at] ?? this.events.appendChild(el('li', { class: 'banner event' }));
      text(line, `${words().badges.event}: ${say(ground, event)}`);
    });
  }

  private drawCounts({ desk }: Ground): void {
    const count = new Map<string, number>();
    for (const shown of desk.list()) count.set(desk.group(shown), (count.get(desk.group(shown)) ?? 0) + 1);
    const counted = JSON.stringify([[...count], words().locale, digits(1)]);
    if (counted === this.counted) return;
    this.counted = counted;
    this.counts.replaceChildren(...GROUPS.filter((group) => group !== 'alarm' || count.has(group)).map((group) =>
      el('span', { class: `count ${group}` }, words().groups[group], ' ', el('b', {}, digits(count.get(group) ?? 0)))));
    attribute(this.counts, 'data-alarm', count.has('alarm'));
  }
}

function zone(minutes: number): string {
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? '−' : '+'}${hours}${rest ? `:${String(rest).padStart(2, '0')}` : ''}`;
}
