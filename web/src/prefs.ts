// What a person chose for this browser. Nothing of a caller is ever kept here.

export interface Prefs {
  lang: 'en' | 'ar';
  easternDigits: boolean;
  altOnly: boolean;
  /** Languages of the room that are not spoken at this seat. */
  notSpoken: string[];
  /** This seat answers callers who write. */
  writes: boolean;
}

const KEY = 'najda-console';

function load(): Prefs {
  const start: Prefs = { lang: navigator.language.startsWith('ar') ? 'ar' : 'en', easternDigits: false, altOnly: false, notSpoken: [], writes: true };
  try {
    return { ...start, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>) };
  } catch {
    return start;
  }
}

export const prefs: Prefs = load();

export function prefer(change: Partial<Prefs>): void {
  Object.assign(prefs, change);
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // A browser that keeps nothing still works for this shift.
  }
}
