// Which key was meant. The letters are those on the keycaps: with an Arabic layout the key that says T still takes.

import { digitOf } from './view/dialog';

/** A lower-case Latin letter, a digit, `?`, or the name of a key such as `ArrowDown`. */
export function meant(event: KeyboardEvent): string {
  const { key, code } = event;
  if (key === '?' || key === '\u061f') return '?';
  const digit = digitOf(key);
  if (digit !== null) return String(digit);
  if (/^[a-zA-Z]$/.test(key)) return key.toLowerCase();
  if (key.length === 1 || event.altKey) {
    const letter = /^Key([A-Z])$/.exec(code)?.[1];
    if (letter) return letter.toLowerCase();
    const number = /^Digit([0-9])$/.exec(code)?.[1];
    if (number && event.altKey) return number;
    if (code === 'Slash' && event.shiftKey && event.altKey) return '?';
  }
  return key;
}

/** A person is typing there: letters are letters. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));
}
