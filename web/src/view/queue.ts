// The queue: every offer on one list, in groups, the oldest first. Rows are kept and only what changed in them is written.

import { attribute, children, el, show, text } from '../dom';
import { GROUPS, isTest, type Desk, type Group, type Shown } from '../desk';
import { callerWords, isText, service, shortPlace, state, typeName, type Ground } from '../say';
import { age, digits, words } from '../words';

/** Waits from which a clock has its second and its third shape, in microseconds; as in the terminal console. */
const WAIT_LONG = 5e6;
const WAIT_TOO_LONG = 10e6;
/** Rows drawn in one piece of work; the rest follow in the next ones, so that keys and clocks never wait. */
const ROWS_AT_ONCE = 24;

export type Wait = 'fresh' | 'long' | 'too-long';

export function waitOf(micros: number): Wait {
  return micros >= WAIT_TOO_LONG ? 'too-long' : micros >= WAIT_LONG ? 'long' : 'fresh';
}

export function waitWords(wait: Wait): string {
  const { waits } = words();
  return wait === 'fresh' ? waits.fresh : wait === 'long' ? waits.long : waits.tooLong;
}

interface Row {
  node: HTMLElement;
  part: Record<'shape' | 'wait' | 'state' | 'service' | 'type' | 'badges' | 'place' | 'words' | 'bell', HTMLElement>;
  badges: string;
}

const template = document.createElement('template');
template.innerHTML = '<div class="row" role="option"><span class="wait"><i class="shape"></i><b></b><i class="bell"></i></span><span class="what">'
  + '<span class="service"></span> <span class="type"></span></span><span class="badges"></span>'
  + '<span class="state"></span><span class="place"></span><bdi class="words" dir="auto"></bdi></div>';

export class Queue {
  readonly node: HTMLElement;
  private readonly box: HTMLElement;
  private readonly empty: HTMLElement;
  private readonly heading: HTMLElement;
  private readonly groups = new Map<Group, { node: HTMLElement; head: HTMLElement; label: HTMLElement; count: HTMLElement; hint: HTMLElement; rows: HTMLElement }>();
  private readonly rows = new Map<string, Row>();
  private readonly waiting = new Set<string>();
  private chosenRow: Row | null = null;
  private later = 0;

  constructor(choose: (id: string) => void, private readonly again: () => void) {
    this.heading = el('h2', { id: 'queue-title' });
    this.box = el('div', { id: 'queue', role: 'listbox', tabindex: '0', 'aria-labelledby': 'queue-title' });
    this.empty = el('p', { class: 'empty' });
    for (const group of GROUPS) {
      const [label, count, hint] = [el('span', { class: 'label' }), el('b'), el('span', { class: 'hint' })];
      const head = el('div', { class: 'group-head', id: `group-${group}`, role: 'presentation' }, el('i', { class: 'shape' }), label, count, hint);
      const rows = el('div', { role: 'group', 'aria-labelledby': `group-${group}` });
      this.groups.set(group, { node: el('div', { class: `group ${group}`, role: 'presentation', hidden: true }, head, rows), head, label, count, hint, rows });
    }
    this.box.append(...[...this.groups.values()].map(({ node }) => node));
    this.box.addEventListener('click', (event) => {
      const id = (event.target as Element).closest<HTMLElement>('.row')?.dataset['offer'];
      if (id) choose(id);
    });
    this.node = el('section', { class: 'queue', 'aria-labelledby': 'queue-title' }, this.heading, this.empty, this.box);
  }

  /** Draws what is dirty. `all`: the words or the tables changed. */
  draw(ground: Ground, dirty: ReadonlySet<string>, all: boolean): void {
    const { desk } = ground;
    const list = desk.list();
    text(this.heading, words().queue);
    text(this.empty, words().emptyQueue);
    show(this.empty, list.length === 0);
    show(this.box, list.length > 0);
    this.rowsOf(ground, list, dirty, all);
    this.arrange(desk, list);
    this.mark(desk.chosen());
  }

  private rowsOf(ground: Ground, list: Shown[], dirty: ReadonlySet<string>, all: boolean): void {
    const present = new Set(list.map((shown) => shown.offer.id));
    for (const id of this.rows.keys()) if (!present.has(id)) this.rows.delete(id);
    this.waiting.forEach((id) => present.has(id) || this.waiting.delete(id));
    if (all) list.forEach((shown) => this.waiting.add(shown.offer.id));
    let drawn = 0;
    for (const shown of list) {
      const { id } = shown.offer;
      const row = this.rows.get(id);
      if (row && !dirty.has(id) && !this.waiting.has(id)) continue;
      if (drawn >= ROWS_AT_ONCE) {
        this.waiting.add(id);
        continue;
      }
      drawn += 1;
      this.waiting.delete(id);
      this.fill(ground, shown, row ?? this.newRow(id));
    }
    if (this.waiting.size > 0 && this.later === 0) {
      this.later = window.setTimeout(() => {
        this.later = 0;
        this.again();
      });
    }
  }

  /** Every group's rows in the order of the list; groups without rows are not shown. */
  private arrange(desk: Desk, list: Shown[]): void {
    const wanted = new Map<Group, { nodes: HTMLElement[]; count: number }>();
    for (const shown of list) {
      const group = desk.group(shown);
      const row = this.rows.get(shown.offer.id);
      const of = wanted.get(group) ?? { nodes: [], count: 0 };
      of.count += 1;
      if (row) of.nodes.push(row.node);
      wanted.set(group, of);
    }
    for (const [group, view] of this.groups) {
      const of = wanted.get(group);
      show(view.node, of !== undefined);
      children(view.rows, of?.nodes ?? []);
      text(view.label, words().groups[group]);
      text(view.count, digits(of?.count ?? 0));
      text(view.hint, words().groupHints[group]);
    }
  }

  private mark(chosen: Shown | undefined): void {
    const row = chosen ? (this.rows.get(chosen.offer.id) ?? null) : null;
    if (row === this.chosenRow) return;
    if (this.chosenRow) attribute(this.chosenRow.node, 'aria-selected', 'false');
    if (row) attribute(row.node, 'aria-selected', 'true');
    attribute(this.box, 'aria-activedescendant', row?.node.id ?? null);
    this.chosenRow = row;
  }

  /** Whether the row of an offer is on the page, and not still to be drawn. */
  holds(id: string): boolean {
    return this.rows.has(id) && !this.waiting.has(id);
  }

  /** Brings the chosen row into view, when a person chose it. */
  reveal(): void {
    this.chosenRow?.node.scrollIntoView({ block: 'nearest' });
  }

  /** Clocks move without anything else. */
  tick({ desk, now }: Ground): void {
    for (const shown of desk.list()) {
      const row = this.rows.get(shown.offer.id);
      if (row) this.clock(row, shown, desk, now);
    }
  }

  private clock(row: Row, shown: Shown, desk: Desk, now: number): void {
    const waited = now - desk.since(shown);
    text(row.part.wait, age(waited));
    const group = desk.group(shown);
    const waits = group === 'alarm' || group === 'waiting' || group === 'callback';
    const wait = waits ? waitOf(waited) : 'none';
    if (row.part.shape.dataset['wait'] !== wait) {
      row.part.shape.dataset['wait'] = wait;
      row.node.dataset['wait'] = wait;
      text(row.part.shape, waits ? waitWords(waitOf(waited)) : '');
    }
  }

  private newRow(id: string): Row {
    const node = template.content.firstElementChild!.cloneNode(true) as HTMLElement;
    node.id = `row-${id}`;
    node.dataset['offer'] = id;
    attribute(node, 'aria-selected', 'false');
    const of = (selector: string) => node.querySelector<HTMLElement>(selector)!;
    const row: Row = {
      node, badges: '',
      part: {
        shape: of('.shape'), wait: of('.wait b'), state: of('.state'), service: of('.service'), type: of('.type'),
        badges: of('.badges'), place: of('.place'), words: of('.words'), bell: of('.bell'),
      },
    };
    this.rows.set(id, row);
    return row;
  }

  private fill(ground: Ground, shown: Shown, row: Row): void {
    const { desk, tables, now } = ground;
    const { offer } = shown;
    const { part, node } = row;
    const group = desk.group(shown);
    node.className = `row ${group}${isTest(offer) ? ' test' : ''}${shown.rings ? ' rings' : ''}${shown.old ? ' old' : ''}`;
    // The group's heading says it already of what waits.
    text(part.state, shown.asked || group === 'mine' || group === 'others' ? state(shown, desk) : '');
    text(part.service, service(offer.service));
    text(part.type, typeName(tables, offer.decision));
    text(part.place, shortPlace(offer, tables));
    text(part.words, callerWords(offer).slice(0, 160) || words().noWords);
    part.words.classList.toggle('none', callerWords(offer) === '');
    this.badges(row, shown, desk);
    this.clock(row, shown, desk, now);
  }

  private badges(row: Row, shown: Shown, desk: Desk): void {
    const said = words().badges;
    const { offer } = shown;
    const badges: [string, string][] = [];
    if (isTest(offer)) badges.push(['test', said.test]);
    if (shown.rings) badges.push(['rings', said.rings]);
    if (offer.event) badges.push(['event', said.event]);
    if (offer.decision.quiet) badges.push(['quiet', said.quiet]);
    if (shown.lost) badges.push(['lost', said[shown.lost.why]]);
    if (shown.hungUp) badges.push(['gone', words().gone[shown.hungUp]]);
    if (offer.repeat) badges.push(['again', said.again]);
    const unread = desk.unreadOf(offer.contact);
    if (unread > 0) badges.push(['wrote', said.wrote(digits(unread))]);
    else if (isText(offer)) badges.push(['text', said.text]);
    if (offer.joined.some((contact) => contact !== offer.contact)) badges.push(['joined', said.joined]);
    else if (offer.candidates.length > 0) badges.push(['alike', said.alike]);
    if (shown.old) badges.push(['old', said.old]);
    const now = badges.flat().join('|');
    if (now === row.badges) return;
    row.badges = now;
    row.part.badges.replaceChildren(...badges.map(([kind, label]) => el('span', { class: `badge ${kind}` }, label)));
  }
}
