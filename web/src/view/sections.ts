// A list of titled sections, each of lines of text. Drawn from plain values: what is the same stays as it is, so that a clock in
// one line does not disturb a selection, a scroll position or a screen reader in another.

import { children, el, text } from '../dom';

export interface Line {
  text: string;
  /** Said before the text, stressed. */
  lead?: string;
  /** Words of a person: isolated, in their own direction. */
  own?: boolean;
  look?: 'plain' | 'warning' | 'strong' | 'dim' | 'words';
}

export interface Section {
  id: string;
  title: string;
  lines: Line[];
  folded?: boolean;
}

interface Drawn {
  node: HTMLElement;
  title: HTMLElement;
  body: HTMLElement;
  form: string;
  lines: { lead: HTMLElement | null; body: HTMLElement }[];
}

export class Sections {
  readonly node = el('div', { class: 'sections' });
  private readonly drawn = new Map<string, Drawn>();

  draw(sections: Section[]): void {
    const wanted = sections.filter(({ lines }) => lines.length > 0);
    children(this.node, wanted.map((section) => this.section(section).node));
  }

  private section(section: Section): Drawn {
    const drawn = this.drawn.get(section.id) ?? this.newSection(section.id);
    text(drawn.title, section.title);
    // The form of the lines: only when it changes are nodes made anew.
    const form = section.lines.map(({ lead, own, look }) => `${lead !== undefined ? 1 : 0}${own ? 1 : 0}${look ?? ''}`).join();
    if (form !== drawn.form) {
      drawn.form = form;
      drawn.lines = section.lines.map(({ lead, own }) => ({
        lead: lead === undefined ? null : el('b', {}),
        body: own ? el('bdi', { dir: 'auto' }) : el('span', {}),
      }));
      drawn.body.replaceChildren(...drawn.lines.map((line, at) => {
        const look = section.lines[at]?.look;
        return el('p', look ? { class: look } : {}, line.lead, line.lead ? ' ' : null, line.body);
      }));
    }
    section.lines.forEach((line, at) => {
      const node = drawn.lines[at];
      if (!node) return;
      if (node.lead) text(node.lead, line.lead ?? '');
      text(node.body, line.text);
    });
    return drawn;
  }

  private newSection(id: string): Drawn {
    const title = el('h3', { id: `about-${id}` });
    const body = el('div', { class: 'lines' });
    const node = el('section', { class: `about ${id}`, 'aria-labelledby': `about-${id}` }, title, body);
    const drawn: Drawn = { node, title, body, form: '?', lines: [] };
    this.drawn.set(id, drawn);
    return drawn;
  }
}
