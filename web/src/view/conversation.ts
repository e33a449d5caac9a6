// What a caller who writes and the person who answers have said, and the field to answer in.
//
// What is being written stays with its contact: another contact that comes up has a field of its own, so no line goes to the wrong
// caller. A line is never cut on its way; the field says how much still fits.

import { attribute, el, key, show, text } from '../dom';
import type { Shown } from '../desk';
import { SAID_BYTES_MAX, type Said } from '../protocol';
import type { Ground } from '../say';
import { code, digits, plain, seatName, timeOfDay, words } from '../words';
import { ar } from '../words/ar';
import { en } from '../words/en';
import { bytes, digitOf } from './dialog';

export const WRITE_KEY = 'w';

export class Conversation {
  readonly node: HTMLElement;
  private readonly title = el('h3', { id: 'conversation-title' });
  private readonly log = el('div', { class: 'log', tabindex: '0', role: 'log', 'aria-labelledby': 'conversation-title' });
  private readonly form = el('div', { class: 'write' });
  private readonly label = el('label', { for: 'write-text' });
  private readonly labelText = el('span', {});
  private readonly input = el('textarea', { id: 'write-text', rows: '2', dir: 'auto', 'aria-describedby': 'write-left', 'aria-keyshortcuts': WRITE_KEY });
  private readonly left = el('p', { class: 'hint', id: 'write-left' });
  private readonly phrases = el('div', { class: 'phrases', role: 'group' });
  private readonly why = el('p', { class: 'hint' });
  private readonly drafts = new Map<string, string>();
  private contact = '';
  private drawn = '';
  private phrased = '';

  /** `say` sends a line and says whether it is on its way; `typing` is told before the first letter. */
  constructor(private readonly say: (contact: string, text: string) => boolean, private readonly typing: () => void, private readonly leave: () => void) {
    this.label.append(key(WRITE_KEY), this.labelText);
    this.form.append(this.label, this.input, this.left, this.phrases);
    this.node = el('section', { class: 'conversation', 'aria-labelledby': 'conversation-title', hidden: true }, this.title, this.log, this.form, this.why);
    this.input.addEventListener('focus', () => this.typing());
    this.input.addEventListener('input', () => this.count());
    this.input.addEventListener('keydown', (event) => this.pressed(event));
  }

  draw(ground: Ground, shown: Shown): void {
    const { desk } = ground;
    const { contact } = shown.offer;
    const said = desk.conversation(contact);
    const isText = desk.writes(shown);
    show(this.node, isText);
    if (!isText) return;
    if (contact !== this.contact) this.turnTo(contact);
    text(this.title, words().panel.conversation);
    this.lines(ground, said);
    const why = desk.whyNot('write');
    const mayWrite = why === null || why === 'no_link' || why === 'answer_awaited';
    show(this.form, mayWrite);
    show(this.why, !mayWrite);
    text(this.why, mayWrite ? '' : words().panel.mayNotWrite(words().whyNot[why]));
    text(this.labelText, words().acts.write);
    this.quick(shown);
    this.count();
  }

  /** Goes to the field, if there is one. */
  focus(): boolean {
    if (this.node.hidden || this.form.hidden) return false;
    this.input.focus();
    return true;
  }

  /** The engine would not have it: nothing that was typed is lost. */
  refused(contact: string, typed: string): void {
    if (contact === this.contact && this.input.value === '') this.input.value = typed;
    else if (!this.drafts.get(contact)) this.drafts.set(contact, typed);
    this.count();
  }

  private turnTo(contact: string): void {
    if (this.input.value) this.drafts.set(this.contact, this.input.value);
    this.contact = contact;
    this.input.value = this.drafts.get(contact) ?? '';
    this.drafts.delete(contact);
    this.drawn = '';
  }

  private lines(ground: Ground, said: Said[]): void {
    const drawn = JSON.stringify([words().locale, said]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const panel = words().panel;
    this.log.replaceChildren(...said.map((line) => {
      const who = line.by ? seatName(line.by) : panel.caller;
      const state = line.by && line.delivery !== 'delivered' ? panel.delivery[line.delivery] : '';
      return el('div', { class: `said ${line.by ? 'ours' : 'theirs'} ${line.delivery}` },
        el('span', { class: 'by' }, `${who} `, code(timeOfDay(line.at, ground.tables.utc_offset_minutes))),
        el('bdi', { dir: 'auto' }, plain(line.text)),
        line.by ? el('span', { class: 'delivery' }, state || panel.delivery.delivered) : null);
    }));
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** Usual lines, in the caller's language where the page has it: what is on the button is what is sent. */
  private quick(shown: Shown): void {
    const lang = shown.offer.lang ?? shown.offer.decision.lang;
    const list = lang === 'ar' || (lang === null && words().locale === 'ar') ? ar.phrases : en.phrases;
    const drawn = `${this.contact} ${list[0]} ${words().locale}`;
    if (drawn === this.phrased) return;
    this.phrased = drawn;
    attribute(this.phrases, 'aria-label', words().panel.phrases);
    this.phrases.replaceChildren(...list.map((phrase, at) => {
      const node = el('button', { type: 'button', class: 'phrase' }, key(`Alt ${at + 1}`), el('bdi', { dir: 'auto' }, phrase));
      node.addEventListener('click', () => this.send(phrase));
      return node;
    }));
  }

  private pressed(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.isComposing) return;
    const digit = event.altKey ? (digitOf(event.key) ?? digitOf(event.code.replace(/^Digit/, ''))) : null;
    const phrase = digit === null ? null : this.phrases.children[digit - 1];
    if (phrase instanceof HTMLButtonElement) phrase.click();
    else if (event.key === 'Enter' && !event.shiftKey) this.send(this.input.value);
    else if (event.key === 'Escape') this.leave();
    else return;
    event.preventDefault();
  }

  private send(typed: string): void {
    const line = typed.trim();
    if (!line || bytes(line) > SAID_BYTES_MAX) return this.count();
    if (this.say(this.contact, line) && this.input.value.trim() === line) this.input.value = '';
    this.count();
  }

  private count(): void {
    const left = SAID_BYTES_MAX - bytes(this.input.value.trim());
    text(this.left, left < 0 ? words().panel.tooLong(digits(-left)) : words().panel.writeHint);
    this.left.classList.toggle('error', left < 0);
    attribute(this.input, 'aria-invalid', left < 0 ? 'true' : null);
  }
}
