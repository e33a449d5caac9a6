// The hand-over sheet: what the next shift must know, from the state of this moment, to read and to print.

import { el } from '../dom';
import { GROUPS, isTest, type Group, type Shown } from '../desk';
import * as say from '../say';
import type { Ground } from '../say';
import { age, code, day, digits, isolated, list, plain, seatName, shortId, timeOfDay, words } from '../words';

/** What only informs is left out: the next seat sees it anyway. */
const ON_SHEET: Group[] = GROUPS.filter((group) => group !== 'told');

export class Sheet {
  readonly node = el('dialog', { class: 'sheet', 'aria-labelledby': 'sheet-title' });

  constructor(left: () => void) {
    this.node.addEventListener('close', left);
    this.node.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === 'h') this.node.close();
      if (event.key === 'p' && !event.ctrlKey && !event.metaKey) window.print();
    });
  }

  get isOpen(): boolean {
    return this.node.open;
  }

  open(ground: Ground, heardAgo: number): void {
    this.fill(ground, heardAgo);
    this.node.showModal();
    this.node.querySelector('button')?.focus();
  }

  private fill(ground: Ground, heardAgo: number): void {
    const said = words().sheet;
    const { desk, tables, now } = ground;
    const offset = tables.utc_offset_minutes;
    const print = el('button', { type: 'button', class: 'next' }, el('kbd', { dir: 'ltr' }, 'p'), said.print);
    print.addEventListener('click', () => window.print());
    const close = el('button', { type: 'button' }, el('kbd', { dir: 'ltr' }, 'Esc'), said.close);
    close.addEventListener('click', () => this.node.close());
    this.node.replaceChildren(
      el('div', { class: 'dialog-head' }, el('h2', { id: 'sheet-title' }, said.title), el('div', { class: 'dialog-foot' }, print, close)),
      el('div', { class: 'paper', tabindex: '0', role: 'group', 'aria-labelledby': 'sheet-title' },
        el('p', {}, el('b', {}, said.of(say.room(tables, desk.seat.dispatcher), code(desk.seat.seat))), ' · ', said.at(code(`${day(now, offset)} ${timeOfDay(now, offset)}`))),
        desk.linked ? null : el('p', { class: 'warning' }, said.oldData(age(heardAgo))),
        ...ON_SHEET.map((group) => this.group(ground, group)),
        el('p', { class: 'signatures' }, el('span', {}, said.handed, ' ______________________'), el('span', {}, said.taken, ' ______________________'))),
    );
  }

  private group(ground: Ground, group: Group): HTMLElement {
    const said = words().sheet;
    const shown = ground.desk.list().filter((it) => ground.desk.group(it) === group);
    const title = el('h3', {}, `${words().groups[group]} (${digits(shown.length)})`);
    if (shown.length === 0) return el('section', {}, title, el('p', {}, said.none));
    const heads = [said.clock, said.what, said.where, said.who, said.notes, said.state].map((head) => el('th', { scope: 'col' }, head));
    return el('section', {}, title,
      el('table', {}, el('thead', {}, el('tr', {}, ...heads)), el('tbody', {}, ...shown.map((it) => this.row(ground, it)))));
  }

  private row(ground: Ground, shown: Shown): HTMLElement {
    const { desk, tables, now } = ground;
    const { offer } = shown;
    const spoken = say.callerWords(offer);
    const notes = offer.notes.map((note) => el('p', {}, `${seatName(note.by)}: `, el('bdi', { dir: 'auto' }, plain(note.text))));
    const what = list([isTest(offer) && words().badges.test, offer.decision.quiet && words().badges.quiet, say.service(offer.service), say.typeName(tables, offer.decision)]);
    const state = list([say.state(shown, desk), say.callback(shown, now), say.lost(shown)]);
    return el('tr', {},
      el('td', {}, age(now - desk.since(shown)), el('br'), el('small', {}, shortId(offer.contact))),
      el('td', {}, what),
      el('td', {}, say.longPlace(offer, tables)),
      el('td', {}, offer.line ? code(offer.line) : words().who.noLine),
      el('td', {}, el('bdi', { dir: 'auto' }, spoken ? isolated(spoken.slice(0, 300)) : words().noWords), ...notes),
      el('td', {}, state));
  }
}
