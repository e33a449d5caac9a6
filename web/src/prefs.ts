// What a person chose for this browser. Nothing of a caller is ever kept here.

export interface Prefs {
  lang: 'en' | 'ar';
  easternDigits: boolean;
  altOnly: boolean;
}

const KEY = 'najda-console';

function load(): Prefs {
  const start: Prefs = { lang: navigator.language.startsWith('ar') ? 'ar' : 'en', easternDigits: false, altOnly: false };
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
