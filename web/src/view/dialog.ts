// One question at a time, over the page but not over the queue. Esc leaves it; Enter sends; digits choose at once.

import { attribute, el, key, show, text } from '../dom';
import { EVENT_WORDS_BYTES_MAX, NOTE_BYTES_MAX, REASON_BYTES_MAX } from '../protocol';
import { digits, words } from '../words';

export interface Choice {
  label: string;
  lead?: string;
  choose: () => void;
}

/** What a supervisor has filled in. */
export interface Declaring {
  words: { ar: string; en: string };
  /** An area of the tables, or the circle around the chosen contact. */
  area: string | null;
  radius_m: number;
  minutes: number;
  ofType: boolean;
}

const CHOICES_MAX = 9;

export class Dialog {
  readonly node = el('dialog', { class: 'dialog', 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-hint' });
  private readonly title = el('h2', { id: 'dialog-title' });
  private readonly hint = el('p', { id: 'dialog-hint', class: 'hint' });
  private readonly body = el('div', { class: 'dialog-body' });
  private readonly error = el('p', { class: 'error', role: 'alert' });
  private readonly foot = el('div', { class: 'dialog-foot' });
  private send: () => void = () => {};

  constructor(private readonly left: () => void) {
    this.node.append(this.title, this.hint, this.body, this.error, this.foot);
    this.node.addEventListener('close', () => this.left());
    this.node.addEventListener('keydown', (event) => event.stopPropagation());
  }

  get isOpen(): boolean {
    return this.node.open;
  }

  close(): void {
    this.node.close();
  }

  /** A reason in the person's words, or one of the usual ones by its digit. */
  reason(title: string, hint: string, quick: string[], fallback: string | null, said: (reason: string) => void): void {
    const field = this.reasonField(quick, (reason) => this.done(() => said(reason)), fallback);
    this.open(title, list(hint, words().dialogs.quick(digits(quick.length))), [field.node], field.send, field.input);
  }

  note(title: string, said: (text: string) => void): void {
    const input = el('textarea', { rows: '4', id: 'note-text', 'aria-labelledby': 'dialog-title', dir: 'auto' });
    const left = el('p', { class: 'hint' });
    const send = () => {
      const typed = cut(input.value.trim(), NOTE_BYTES_MAX);
      if (typed) this.done(() => said(typed));
      else this.complain(words().remarks.nothingSaid);
    };
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    input.addEventListener('input', () => text(left, words().dialogs.left(digits(Math.max(0, NOTE_BYTES_MAX - bytes(input.value))))));
    this.open(title, '', [input, left], send, input);
  }

  /** A list to choose from, each under its digit. */
  choice(title: string, hint: string, choices: Choice[]): void {
    const buttons = choices.slice(0, CHOICES_MAX).map((choice, at) => {
      const node = el('button', { type: 'button', class: 'choice' }, key(String(at + 1)),
        el('span', {}, choice.lead ? el('b', {}, choice.lead) : null, choice.lead ? ' ' : null, choice.label));
      node.addEventListener('click', () => this.done(choice.choose));
      return node;
    });
    const box = el('div', { class: 'choices', role: 'group', 'aria-labelledby': 'dialog-title' }, ...buttons);
    box.addEventListener('keydown', (event) => {
      const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
      const to = event.key === 'ArrowDown' ? at + 1 : event.key === 'ArrowUp' ? at - 1 : -1;
      const digit = digitOf(event.key);
      if (digit !== null && buttons[digit - 1]) buttons[digit - 1]?.click();
      else if (to >= 0 && buttons[to]) buttons[to]?.focus();
      else return;
      event.preventDefault();
    });
    this.open(title, hint, [box], null, buttons[0] ?? null);
  }

  /** A room by typing a part of its name, then a reason. */
  room(title: string, rooms: { id: string; label: string; find: string }[], quick: string[], said: (to: string, reason: string) => void): void {
    const labels = words().dialogs;
    const filter = el('input', {
      type: 'text', id: 'room-filter', role: 'combobox', 'aria-controls': 'room-list', 'aria-expanded': 'true', 'aria-autocomplete': 'list', autocomplete: 'off', dir: 'auto',
    });
    const box = el('div', { id: 'room-list', role: 'listbox', class: 'rooms', 'aria-label': title });
    const none = el('p', { class: 'hint', hidden: true }, labels.noRoom);
    let [fitting, at] = [rooms, 0];
    const draw = () => {
      const typed = filter.value.trim().toLowerCase();
      fitting = rooms.filter(({ find }) => typed.split(/\s+/).every((part) => find.includes(part)));
      at = Math.min(at, Math.max(0, fitting.length - 1));
      show(none, fitting.length === 0);
      show(box, fitting.length > 0);
      box.replaceChildren(...fitting.map((room, index) => el('div', { role: 'option', id: `room-${room.id}`, 'aria-selected': String(index === at), class: 'room' }, room.label)));
      attribute(filter, 'aria-activedescendant', fitting[at] ? `room-${fitting[at]?.id}` : null);
      box.children[at]?.scrollIntoView({ block: 'nearest' });
    };
    const field = this.reasonField(quick, (reason) => {
      const room = fitting[at];
      if (room) this.done(() => said(room.id, reason));
      else this.complain(labels.noRoom);
    }, null);
    filter.addEventListener('input', () => {
      at = 0;
      draw();
    });
    filter.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'ArrowDown') at = Math.min(at + 1, fitting.length - 1);
      else if (event.key === 'ArrowUp') at = Math.max(at - 1, 0);
      else if (event.key === 'Enter') field.input.focus();
      else return;
      event.preventDefault();
      draw();
    });
    box.addEventListener('click', (event) => {
      const index = [...box.children].indexOf((event.target as Element).closest('.room') as Element);
      if (index < 0) return;
      at = index;
      draw();
      field.input.focus();
    });
    draw();
    const why = el('h3', {}, labels.transferWhy);
    this.open(title, '', [el('label', { for: 'room-filter' }, labels.transferFilter), filter, none, box, why, field.node, el('p', { class: 'hint' }, labels.quick(digits(quick.length)))], field.send, filter);
    // Only a dialog that is shown can scroll.
    draw();
  }

  /** An event that is declared: words in both languages, where, for how long, and whether it is of one type only. */
  event(choices: { areas: { id: string; label: string }[]; here: { label: string } | null; kind: { code: string; label: string } | null }, said: (it: Declaring) => void): void {
    const labels = words().events;
    const field = (id: string, label: string, input: HTMLElement) => [el('label', { for: id }, label), attributed(input, id)];
    const ar = el('input', { type: 'text', dir: 'rtl', lang: 'ar', autocomplete: 'off' });
    const en = el('input', { type: 'text', dir: 'ltr', lang: 'en', autocomplete: 'off' });
    const where = el('select', {}, choices.here && el('option', { value: '' }, choices.here.label), ...choices.areas.map(({ id, label }) => el('option', { value: id }, label)));
    const km = el('input', { type: 'number', min: '0.1', max: '100', step: '0.1', value: '2', dir: 'ltr' });
    const minutes = el('input', { type: 'number', min: '1', max: '1440', step: '1', value: '60', dir: 'ltr' });
    const kind = el('input', { type: 'checkbox' });
    const send = () => {
      const [arabic, english, left, wide] = [ar.value.trim(), en.value.trim(), Number(minutes.value), Number(km.value)];
      if (!arabic && !english) return this.complain(labels.needWords);
      if ([arabic, english].some((typed) => bytes(typed) > EVENT_WORDS_BYTES_MAX)) return this.complain(labels.tooLong(digits(EVENT_WORDS_BYTES_MAX)));
      if (!(left >= 1 && left <= 1_440) || !(where.value || (wide >= 0.1 && wide <= 100))) return this.complain(labels.badNumber);
      return this.done(() => said({ words: { ar: arabic, en: english }, area: where.value || null, radius_m: Math.round(wide * 1_000), minutes: left, ofType: kind.checked }));
    };
    const body = [
      ...field('event-ar', labels.wordsAr, ar), ...field('event-en', labels.wordsEn, en), ...field('event-where', labels.where, where),
      ...field('event-km', labels.km, km), ...field('event-minutes', labels.minutes, minutes),
      ...(choices.kind ? [el('p', {}, attributed(kind, 'event-kind'), el('label', { for: 'event-kind' }, labels.onlyType(choices.kind.label)))] : []),
    ];
    const form = el('div', { class: 'event-form' }, ...body);
    form.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.isComposing) return;
      event.preventDefault();
      send();
    });
    this.open(labels.declare, labels.hint, [form], send, words().dir === 'rtl' ? ar : en);
  }

  private reasonField(quick: string[], said: (reason: string) => void, fallback: string | null) {
    const input = el('input', { type: 'text', id: 'reason', autocomplete: 'off', dir: 'auto' });
    const send = () => {
      const typed = cut(input.value.trim(), REASON_BYTES_MAX) || fallback;
      if (typed) said(typed);
      else this.complain(words().dialogs.needReason);
    };
    input.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      const digit = digitOf(event.key);
      const usual = digit !== null && input.value === '' ? quick[digit - 1] : undefined;
      if (usual) said(usual);
      else if (event.key === 'Enter') send();
      else return;
      event.preventDefault();
    });
    const buttons = quick.map((reason, at) => {
      const node = el('button', { type: 'button', class: 'choice' }, key(String(at + 1)), el('span', {}, reason));
      node.addEventListener('click', () => said(reason));
      return node;
    });
    const node = el('div', { class: 'reason' }, el('label', { for: 'reason' }, words().dialogs.reason), input, el('div', { class: 'choices' }, ...buttons));
    return { node, input, send };
  }

  private open(title: string, hint: string, body: Node[], send: (() => void) | null, focus: HTMLElement | null): void {
    if (this.node.open) this.node.close();
    text(this.title, title);
    text(this.hint, hint);
    show(this.hint, hint !== '');
    text(this.error, '');
    this.body.replaceChildren(...body);
    this.send = send ?? (() => {});
    const cancel = el('button', { type: 'button' }, key('Esc'), words().dialogs.cancel);
    cancel.addEventListener('click', () => this.close());
    const go = el('button', { type: 'button', class: 'next' }, key('Enter'), words().dialogs.send);
    go.addEventListener('click', () => this.send());
    this.foot.replaceChildren(...(send ? [go, cancel] : [cancel]));
    this.node.showModal();
    (focus ?? cancel).focus();
  }

  private complain(why: string): void {
    text(this.error, why);
  }

  private done(what: () => void): void {
    this.close();
    what();
  }
}

function attributed<E extends HTMLElement>(node: E, id: string): E {
  node.id = id;
  return node;
}

function list(...parts: string[]): string {
  return parts.filter(Boolean).join(' ');
}

/** Arabic-Indic digit keys count as digits. */
export function digitOf(pressed: string): number | null {
  if (/^[0-9]$/.test(pressed)) return Number(pressed);
  if (/^[\u0660-\u0669]$/.test(pressed)) return pressed.charCodeAt(0) - 0x660;
  if (/^[\u06f0-\u06f9]$/.test(pressed)) return pressed.charCodeAt(0) - 0x6f0;
  return null;
}

export function bytes(typed: string): number {
  return new TextEncoder().encode(typed).length;
}

/** What the engine keeps of it: at most so many bytes, never half a character. */
function cut(typed: string, bytesMax: number): string {
  let kept = '';
  let used = 0;
  for (const character of typed) {
    used += bytes(character);
    if (used > bytesMax) break;
    kept += character;
  }
  return kept;
}
