// The keys, the words, and what a person may choose for this browser.

import { el } from '../dom';
import { prefer, prefs } from '../prefs';
import { words } from '../words';

export class Help {
  readonly node = el('dialog', { class: 'dialog help', 'aria-labelledby': 'help-title' });

  /** The languages of the room. */
  languages: string[] = [];

  constructor(private readonly changed: () => void, left: () => void) {
    this.node.addEventListener('close', left);
    this.node.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === '?' || event.key === '؟') this.node.close();
    });
  }

  get isOpen(): boolean {
    return this.node.open;
  }

  open(): void {
    this.fill();
    this.node.showModal();
    this.node.querySelector('button')?.focus();
  }

  private fill(): void {
    const said = words().keys;
    const rows = (list: [string, string][], look: string) =>
      el('dl', { class: look }, ...list.flatMap(([term, meaning]) => [el('dt', {}, look === 'keys' ? kbds(term) : el('b', {}, term)), el('dd', {}, meaning)]));
    const close = el('button', { type: 'button' }, el('kbd', { dir: 'ltr' }, 'Esc'), said.close);
    close.addEventListener('click', () => this.node.close());
    const check = (id: string, label: string, value: boolean, set: (value: boolean) => void) => {
      const box = el('input', { type: 'checkbox', id });
      box.checked = value;
      box.addEventListener('change', () => {
        set(box.checked);
        this.changed();
        this.fill();
        this.node.querySelector<HTMLElement>(`#${id}`)?.focus();
      });
      return el('p', {}, box, el('label', { for: id }, label));
    };
    this.node.replaceChildren(
      el('div', { class: 'dialog-head' }, el('h2', { id: 'help-title' }, said.title), close),
      el('div', { class: 'dialog-body', tabindex: '0', role: 'group', 'aria-labelledby': 'help-title' },
        rows(said.rows, 'keys'),
        el('h3', {}, said.wordsTitle), rows(said.words, 'meanings'), el('p', {}, said.shapes),
        el('h3', {}, said.prefs),
        check('alt-only', said.altOnly, prefs.altOnly, (altOnly) => prefer({ altOnly })),
        check('writes', said.writes, prefs.writes, (writes) => prefer({ writes })),
        ...this.languages.map((language) => check(`speaks-${language}`, said.speaks(words().langs[language] ?? language), !prefs.notSpoken.includes(language),
          (speaks) => prefer({ notSpoken: [...prefs.notSpoken.filter((other) => other !== language), ...(speaks ? [] : [language])] }))),
        check('eastern-digits', said.easternDigits, prefs.easternDigits, (easternDigits) => prefer({ easternDigits }))),
    );
  }
}

function kbds(term: string): HTMLElement {
  return el('span', { dir: 'ltr' }, ...term.split(/\s+/).flatMap((part) => (part === '–' ? [' – '] : [el('kbd', {}, part), ' '])));
}
