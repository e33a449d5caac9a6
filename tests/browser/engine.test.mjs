// Several seats against the real engine: what one does, the others see.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Engine, NAJDA } from './engine.mjs';
import { accessible, figures, must, open, picture, test, until } from './harness.mjs';

if (!existsSync(NAJDA)) throw new Error(`${NAJDA} is not there: build it with cargo build --release, or name another in NAJDA`);

/** The page at a seat, signed in by a link. With PAGE=dist the page is the one in web/dist, whatever the binary holds. */
async function sit(t, engine, seat, options = {}) {
  const page = await open(t, engine.url, { path: await engine.invite(seat, options.role), fresh: process.env.PAGE === 'dist', ...options });
  await until(page, () => document.querySelector('.seat-page')?.getAttribute('aria-busy') === 'false');
  return page;
}

/** A crash on the line between Dubai and Sharjah: police and ambulance are needed, and Sharjah's police may be the right one. */
const CRASH = { lat: 25.292, lon: 55.3743, 'uncertainty-m': 600, text: 'two cars crashed and people are injured and bleeding', dialled: '999', lang: 'en' };

const row = (page, words) => page.locator('.row').filter({ hasText: words });
const inGroup = (page, words, group) => page.locator(`.group.${group} .row`).filter({ hasText: words }).first().waitFor();
const gone = (page, words) => until(page, (wanted) => ![...document.querySelectorAll('.row')].some((it) => it.textContent.includes(wanted)), words);
const choose = (page, words) => row(page, words).first().click();

test('two services and a neighbour: take, accept, add a service, note, join, split, hand over, close, each by its key', async (t) => {
  const engine = await Engine.start(t);
  const police = await sit(t, engine, 'DU-POL/1');
  const ambulance = await sit(t, engine, 'DU-AMB/1', { lang: 'ar' });
  const neighbour = await sit(t, engine, 'SH-POL/1');
  const fire = await sit(t, engine, 'DU-FIR/1');
  await engine.send({ id: 'crash-1', line: '+971500000101', ...CRASH });
  const words = 'two cars crashed';
  for (const page of [police, ambulance]) await inGroup(page, words, 'waiting');
  await inGroup(neighbour, words, 'told');
  must((await row(fire, words).count()) === 0, 'civil defence was not asked');
  // Each service takes its own share, and sees its own.
  await police.keyboard.press('t');
  await inGroup(police, words, 'mine');
  await ambulance.keyboard.press('t');
  await inGroup(ambulance, words, 'mine');
  await police.keyboard.press('a');
  await until(police, () => document.querySelector('.row.mine .state')?.textContent === 'ACCEPTED');
  await ambulance.keyboard.press('a');
  await until(ambulance, () => document.querySelector('.row.mine .state')?.textContent === 'مقبول');
  // A service added by one key is asked at once.
  await police.keyboard.press('3');
  await inGroup(fire, words, 'waiting');
  await police.getByText('Civil defence ✓').waitFor();
  // A note is read by every service.
  await police.keyboard.press('n');
  await police.keyboard.type('use the service road');
  await police.keyboard.press('Enter');
  for (const page of [police, ambulance, fire]) await page.locator('.about.notes').getByText('use the service road').waitFor();
  // Somebody else calls about it: proposed, joined by a person, split again.
  await engine.send({ id: 'crash-2', line: '+971500000102', ...CRASH, lat: 25.2922, text: 'an accident near the mall, cars crashed, people injured and bleeding' });
  const second = 'near the mall';
  await inGroup(police, second, 'waiting');
  await choose(police, second);
  await police.locator('.about.candidates').waitFor();
  await picture(police, 'engine-candidates');
  await police.keyboard.press('j');
  await police.keyboard.press('1');
  for (const page of [police, ambulance]) {
    await choose(page, second);
    await page.locator('.about.joined').waitFor();
  }
  await picture(ambulance, 'engine-joined-ar');
  await police.keyboard.press('x');
  for (const page of [police, ambulance]) await until(page, () => !document.querySelector('.about.joined'));
  // It is Sharjah's: handed over with a reason, held until taken there.
  await choose(police, words);
  await police.keyboard.press('f');
  await police.locator('#room-filter').fill('SH-POL sharjah police central op');
  await police.keyboard.press('Enter');
  await police.keyboard.type('the cars stand in Al Nahda, Sharjah');
  await police.keyboard.press('Enter');
  await row(police, words).locator('.badge.lost').first().waitFor();
  await inGroup(police, words, 'mine');
  await until(neighbour, (wanted) => [...document.querySelectorAll('.row')].some((it) => it.textContent.includes(wanted) && it.closest('.others')), words);
  await choose(neighbour, words);
  await neighbour.keyboard.press('t');
  await inGroup(neighbour, words, 'mine');
  await until(police, (wanted) => ![...document.querySelectorAll('.row.mine')].some((it) => it.textContent.includes(wanted)), words);
  await neighbour.keyboard.press('a');
  await until(neighbour, () => document.querySelector('.row.mine .state')?.textContent === 'ACCEPTED');
  await choose(fire, words);
  await fire.keyboard.press('t');
  await inGroup(fire, words, 'mine');
  await fire.keyboard.press('a');
  await until(fire, () => document.querySelector('.row.mine .state')?.textContent === 'ACCEPTED');
  await choose(ambulance, words);
  for (const page of [neighbour, fire, ambulance]) {
    await page.keyboard.press('c');
    await page.waitForSelector('.dialog[open] #reason');
    await page.keyboard.press('Enter');
  }
  for (const page of [police, neighbour, fire, ambulance]) await gone(page, words);
  await accessible(police, 'the desk of the engine');
});

test('a caller who writes is answered and reads it, an auditor sees it, and a supervisor declares an event around it', async (t) => {
  const engine = await Engine.start(t);
  const police = await sit(t, engine, 'DU-POL/1', { lang: 'ar' });
  const chief = await sit(t, engine, 'SH-POL/chief', { role: 'supervisor' });
  const auditor = await sit(t, engine, 'huda', { role: 'auditor' });
  const gateway = engine.stay(t, { id: 'text-1', door: 'sms', line: '+971500000301', lat: 25.2, lon: 55.3, text: 'a thief is in my house I hide in the bathroom', lang: 'en' });
  const words = 'in the bathroom';
  await inGroup(police, words, 'waiting');
  await inGroup(auditor, words, 'waiting');
  await auditor.keyboard.press('t');
  await until(auditor, () => document.querySelector('.status').textContent.includes('an auditor sees everything'));
  await police.keyboard.press('t');
  await inGroup(police, words, 'mine');
  await police.keyboard.press('w');
  await police.keyboard.type('Which floor?');
  await police.keyboard.press('Enter');
  await police.locator('.log .ours.delivered').getByText('Which floor?').waitFor();
  await auditor.locator('.log .ours').getByText('Which floor?').waitFor();
  must(gateway.text.includes('"text":"Which floor?"'), gateway.text);
  await police.keyboard.press('Escape');
  await chief.keyboard.press('e');
  await chief.fill('#event-en', 'Robberies in Deira');
  await chief.selectOption('#event-where', 'AE-DU');
  await chief.locator('#event-en').press('Enter');
  for (const page of [police, chief, auditor]) await page.locator('.banner.event').getByText('Robberies in Deira').waitFor();
  await row(police, words).locator('.badge.event').waitFor();
  await accessible(police, 'a conversation of the engine');
  await picture(police, 'engine-conversation-ar');
  await police.keyboard.press('a');
  await until(police, () => document.querySelector('.act.dispatched')?.getAttribute('aria-disabled') === null);
  await police.keyboard.press('u');
  await until(police, () => document.querySelector('.row.mine .state')?.textContent === 'الوحدات في الطريق');
  await engine.revoke('huda');
  await auditor.getByText('Your session has ended').waitFor();
});

test('two seats of one room: one takes, the other sees whose it is; a seat that vanishes is taken over by one key', async (t) => {
  const engine = await Engine.start(t);
  const [first, second] = [await sit(t, engine, 'DU-POL/1'), await sit(t, engine, 'DU-POL/2')];
  await engine.send({ id: 'a', line: '+971500000201', lat: 25.2, lon: 55.3, text: 'somebody broke the window of a shop', lang: 'en' });
  await inGroup(second, 'window of a shop', 'waiting');
  await first.keyboard.press('t');
  await inGroup(first, 'window of a shop', 'mine');
  await inGroup(second, 'window of a shop', 'others');
  await second.getByText('DU-POL/1').first().waitFor();
  await first.close();
  await row(second, 'window of a shop').locator('.badge.lost').waitFor();
  await second.keyboard.press('t');
  await inGroup(second, 'window of a shop', 'mine');
});

test('an engine that is killed comes back, and every seat shows what it showed', async (t) => {
  const engine = await Engine.start(t);
  const seats = ['DU-POL/1', 'DU-AMB/1', 'SH-POL/1'];
  const pages = [];
  for (const seat of seats) pages.push(await sit(t, engine, seat));
  const [police, ambulance] = pages;
  await engine.send({ id: 'a', line: '+971500000301', ...CRASH });
  await engine.send({ id: 'b', line: '+971500000302', ...CRASH, text: 'a lorry lies on its side, crash, two injured' });
  await inGroup(police, 'a lorry lies', 'waiting');
  await choose(police, 'two cars');
  await police.keyboard.press('t');
  await inGroup(police, 'two cars', 'mine');
  await police.keyboard.press('j');
  await police.keyboard.press('1');
  await police.locator('.about.joined').waitFor();
  await police.keyboard.press('n');
  await police.keyboard.type('closing the ramp');
  await police.keyboard.press('Enter');
  await choose(ambulance, 'two cars');
  await ambulance.locator('.about.notes').getByText('closing the ramp').waitFor();
  await ambulance.locator('.about.joined').waitFor();
  // Everything is in somebody's hands, so that no clock moves anything meanwhile.
  for (const page of [police, ambulance]) {
    for (const words of ['two cars', 'a lorry lies']) {
      await choose(page, words);
      if ((await page.locator('.group.mine .row').filter({ hasText: words }).count()) === 0) await page.keyboard.press('t');
      await inGroup(page, words, 'mine');
    }
  }
  for (const page of pages) await until(page, () => document.querySelectorAll('.row .badge.joined').length === 2 && document.querySelectorAll('.group.waiting .row').length === 0);
  await until(pages[2], () => document.querySelectorAll('.group.others .row').length === 2);
  const state = (page) => page.evaluate(() => [...document.querySelectorAll('.row')].map((it) =>
    [it.dataset.offer, it.closest('.group').classList[1], it.querySelector('.state').textContent, it.querySelectorAll('.badge.joined').length]).sort());
  const before = await Promise.all(pages.map(state));
  await engine.kill();
  for (const page of pages) await until(page, () => document.querySelector('.seat-page').classList.contains('lost'));
  await engine.run();
  const back = Date.now();
  for (const page of pages) await until(page, () => !document.querySelector('.seat-page').classList.contains('lost') && document.querySelector('.seat-page').getAttribute('aria-busy') === 'false');
  const same = async (page, at) => until(page, (wanted) => JSON.stringify([...document.querySelectorAll('.row')].map((it) =>
    [it.dataset.offer, it.closest('.group').classList[1], it.querySelector('.state').textContent, it.querySelectorAll('.badge.joined').length]).sort()) === wanted, JSON.stringify(before[at]));
  for (const [at, page] of pages.entries()) await same(page, at);
  figures.push(`engine killed and started again: every seat showed what it had shown ${Date.now() - back} ms after the engine was ready`);
  await choose(police, 'two cars');
  await police.locator('.about.notes').getByText('closing the ramp').waitFor();
});

test('one seat on two screens: the newer works, the older says so and takes it back by one key', async (t) => {
  const engine = await Engine.start(t);
  const [older, newer] = [await sit(t, engine, 'DU-POL/1'), await sit(t, engine, 'DU-POL/1')];
  // Each tries once more; then they stand still instead of throwing each other out for ever.
  await Promise.race([older, newer].map((page) => until(page, () => document.querySelector('.link').dataset.state === 'displaced')));
  const out = (await older.locator('.link').getAttribute('data-state')) === 'displaced' ? older : newer;
  await out.locator('p.banner.lost').getByText('opened on another screen').first().waitFor();
  await accessible(out, 'displaced');
  await out.keyboard.press('Enter');
  await until(out, () => document.querySelector('.link').dataset.state === 'open');
});

test('an invitation is good once, and a revoked seat is signed out within five seconds', async (t) => {
  const engine = await Engine.start(t);
  const path = await engine.invite('DU-POL/1');
  const page = await open(t, engine.url, { path });
  await page.waitForSelector('.queue');
  const late = await open(t, engine.url, { path });
  await late.getByText('this invitation is used up').waitFor();
  await engine.revoke('DU-POL/1');
  const start = Date.now();
  await page.getByText('Your session has ended').waitFor();
  figures.push(`revoked seat signed out after ${Date.now() - start} ms`);
});

test('the page in the binary is the page of this checkout', async (t) => {
  if (process.env.PAGE === 'dist') return;
  const engine = await Engine.start(t);
  for (const file of ['console.js', 'console.css']) {
    const served = await (await fetch(`${engine.url}/${file}`)).text();
    must(served === readFileSync(fileURLToPath(new URL(`../../web/dist/${file}`, import.meta.url)), 'utf8'), `${file} in the binary is another: build it again`);
  }
});
