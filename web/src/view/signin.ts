// The page before a session: one field for the one-time invitation. The cookie that it buys is out of reach of any script.

import { attribute, el, text } from '../dom';
import { prefer, prefs } from '../prefs';
import type { Me } from '../protocol';
import { words } from '../words';

const INVITE = /^#invite=([\w.~%-]+)$/;

/** The invitation of a link, taken out of the address so that it is neither kept in the history nor shown on a screen. */
export function inviteOfLink(): string | null {
  const found = INVITE.exec(window.location.hash)?.[1];
  if (!found) return null;
  window.history.replaceState(null, '', window.location.pathname);
  try {
    return decodeURIComponent(found);
  } catch {
    return found;
  }
}

export class SignIn {
  readonly node: HTMLElement;
  private readonly title = el('h1', {});
  private readonly label = el('label', { for: 'invite' });
  private readonly input = el('input', { type: 'text', id: 'invite', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', dir: 'ltr', 'aria-describedby': 'invite-hint' });
  private readonly hint = el('p', { id: 'invite-hint', class: 'hint' });
  private readonly error = el('p', { class: 'error', role: 'alert' });
  private readonly go = el('button', { type: 'button', class: 'next' });
  private readonly language = el('button', { type: 'button', class: 'language' });
  private busy = false;

  constructor(private readonly done: (me: Me) => void, private readonly spoken: () => void) {
    this.go.addEventListener('click', () => void this.send());
    this.input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.isComposing) void this.send();
    });
    this.language.addEventListener('click', () => {
      prefer({ lang: prefs.lang === 'ar' ? 'en' : 'ar' });
      this.spoken();
      this.draw();
    });
    this.node = el('main', { class: 'sign-in' }, el('div', { class: 'card' }, this.title, this.label, this.input, this.hint, this.error, this.go, this.language));
  }

  draw(why = ''): void {
    const said = words().signIn;
    text(this.title, said.title);
    text(this.label, said.invite);
    text(this.hint, said.hint);
    text(this.go, this.busy ? said.going : said.go);
    text(this.language, words().other);
    attribute(this.language, 'lang', prefs.lang === 'ar' ? 'en' : 'ar');
    text(this.error, why);
  }

  focus(): void {
    this.input.focus();
  }

  async with(invite: string): Promise<void> {
    this.input.value = invite;
    await this.send();
  }

  private async send(): Promise<void> {
    const invite = this.input.value.trim();
    if (this.busy) return;
    if (!invite) return this.draw(words().signIn.empty);
    this.busy = true;
    this.draw();
    const why = await this.ask(invite);
    this.busy = false;
    this.draw(why);
  }

  /** What went wrong, in words; nothing when it went well. */
  private async ask(invite: string): Promise<string> {
    const said = words().signIn;
    try {
      const answer = await fetch('/console/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ invite }) });
      if (!answer.ok) {
        const { error, remedy } = (await answer.json().catch(() => ({}))) as { error?: string; remedy?: string };
        return said.refused(error ?? String(answer.status), remedy ?? '');
      }
      this.input.value = '';
      const me = await whoAmI();
      if (!me) return said.ended;
      this.done(me);
      return '';
    } catch {
      return said.unreachable;
    }
  }
}

/** The seat of this browser's session; null without one. */
export async function whoAmI(): Promise<Me | null> {
  const answer = await fetch('/console/me', { cache: 'no-store' });
  if (answer.status === 401) return null;
  if (!answer.ok) throw new Error(`the engine answered ${answer.status}`);
  return (await answer.json()) as Me;
}
