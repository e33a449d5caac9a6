// The page starts here: who sits at it, and then the seat or the field for an invitation.

import 'leaflet/dist/leaflet.css';
import './style.css';

import type { Me, Tables } from './protocol';
import { SeatPage } from './seat';
import { SignIn, inviteOfLink, whoAmI } from './view/signin';
import { words } from './words';

const page = document.getElementById('page') as HTMLElement;
const RETRY_MS = 2_000;

const signIn = new SignIn((me) => void sit(me), speak);
let seat: SeatPage | null = null;

function speak(): void {
  document.documentElement.lang = words().locale;
  document.documentElement.dir = words().dir;
}

async function start(): Promise<void> {
  speak();
  const invite = inviteOfLink();
  if (invite) {
    stand('');
    return signIn.with(invite);
  }
  try {
    const me = await whoAmI();
    if (me) return await sit(me);
    stand('');
  } catch {
    stand(words().signIn.unreachable);
    window.setTimeout(() => void start(), RETRY_MS);
  }
}

/** Nobody is signed in. */
function stand(why: string): void {
  seat?.end();
  seat = null;
  document.title = words().signIn.title;
  signIn.draw(why);
  page.replaceChildren(signIn.node);
  signIn.focus();
}

async function sit(me: Me): Promise<void> {
  const tables = await loadTables();
  seat?.end();
  seat = new SeatPage(me, tables, {
    loadTables,
    spoken: speak,
    left: (why) => stand(why),
  });
  page.replaceChildren(seat.node);
  seat.start();
}

async function loadTables(): Promise<Tables> {
  const answer = await fetch('/console/tables.json');
  if (!answer.ok) throw new Error(`the engine answered ${answer.status}`);
  return (await answer.json()) as Tables;
}

void start();
