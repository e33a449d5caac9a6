// The language of the page now, and everything that is written by it: digits, times, distances, isolated names.

import type { Micros, Names, Point, Seat } from '../protocol';
import { prefs } from '../prefs';
import { ar } from './ar';
import { en, type Words } from './en';

export type { Words } from './en';

export function words(): Words {
  return prefs.lang === 'ar' ? ar : en;
}

export function name(names: Names): string {
  return (prefs.lang === 'ar' ? names.ar : names.en) || names.en || names.ar;
}

/** Digits as the person reads them. Numbers to be dialled, codes and coordinates stay as they are. */
export function digits(text: string | number): string {
  if (prefs.lang !== 'ar' || !prefs.easternDigits) return String(text);
  return String(text).replace(/[0-9]/g, (digit) => String.fromCharCode(0x660 + Number(digit)));
}

/** First-strong isolate: a name keeps its own direction and turns nothing else around (Unicode UAX 9). */
export function isolated(text: string): string {
  return `\u2068${plain(text)}\u2069`;
}

/** Codes, numbers and coordinates run from left to right in every language. */
export function code(text: string): string {
  return `\u2066${plain(text)}\u2069`;
}

/** What a caller wrote, without controls: it cannot reorder the page. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, ' ').trim();
}

/** Seconds below a minute, then minutes and hours. */
export function age(micros: Micros): string {
  const secs = Math.max(0, Math.floor(micros / 1e6));
  if (secs < 60) return words().secs(digits(secs));
  const two = (n: number) => String(n).padStart(2, '0');
  const [hours, minutes] = [Math.floor(secs / 3600), Math.floor(secs / 60) % 60];
  return code(digits(hours > 0 ? `${hours}:${two(minutes)}:${two(secs % 60)}` : `${minutes}:${two(secs % 60)}`));
}

/** The time of day in the room. */
export function timeOfDay(at: Micros, offsetMinutes: number): string {
  return digits(new Date(at / 1000 + offsetMinutes * 60_000).toISOString().slice(11, 19));
}

/** ISO 8601. Its hyphens would turn Arabic-Indic digits around. */
export function day(at: Micros, offsetMinutes: number): string {
  return new Date(at / 1000 + offsetMinutes * 60_000).toISOString().slice(0, 10);
}

export function distance(metres: number): string {
  const { m, km } = words().place;
  return isolated(metres < 1_000 ? m(digits(Math.round(metres))) : km(digits((metres / 1_000).toFixed(1))));
}

export function percent(part: number): string {
  return digits(Math.round(part * 100));
}

export function coordinates([lat, lon]: Point): string {
  return code(`${Math.abs(lat).toFixed(5)}\u00a0${lat < 0 ? 'S' : 'N'}\u00a0${Math.abs(lon).toFixed(5)}\u00a0${lon < 0 ? 'W' : 'E'}`);
}

export function seatName(seat: Seat): string {
  // An auditor is of no room.
  return code(seat.dispatcher ? `${seat.dispatcher}/${seat.seat}` : seat.seat);
}

/** Enough of a contact's id to say it aloud: its end, for the start is the time. */
export function shortId(contact: string): string {
  return code(contact.replace(/-/g, '').slice(-6));
}

export function list(parts: (string | null | undefined | false)[], between = words().dir === 'rtl' ? '، ' : ', '): string {
  return parts.filter(Boolean).join(between);
}
