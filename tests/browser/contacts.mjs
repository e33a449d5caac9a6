// Contacts for the mock: invented callers at real places of the Emirates. Nothing here is anybody's number.

import { near } from './tables.mjs';

let made = 0;

/** A circle as a polygon, as the engine draws every shape for the page. */
export function circle([lat, lon], metres) {
  const ring = [];
  for (let at = 0; at <= 32; at += 1) {
    const angle = (at / 32) * 2 * Math.PI;
    ring.push([lat + (metres / 111_195) * Math.cos(angle), lon + ((metres / 111_195) * Math.sin(angle)) / Math.cos((lat * Math.PI) / 180)]);
  }
  return [ring];
}

/** The piece of a ring that a mast's sector covers. */
export function sector([lat, lon], inner, outer, from, to) {
  const at = (metres, degrees) => {
    const angle = (degrees * Math.PI) / 180;
    return [lat + (metres / 111_195) * Math.cos(angle), lon + ((metres / 111_195) * Math.sin(angle)) / Math.cos((lat * Math.PI) / 180)];
  };
  const steps = Array.from({ length: 17 }, (_, step) => from + ((to - from) * step) / 16);
  const ring = [...steps.map((degrees) => at(outer, degrees)), ...steps.reverse().map((degrees) => at(inner, degrees))];
  return [[...ring, ring[0]]];
}

export function claim(center, reach, source = 'device_fix', more = {}) {
  return { whose: 'caller', source, age_secs: 0, confidence: 0.95, makani: null, center, reach_m: reach, shape: reach > 0 ? circle(center, reach) : [], ...more };
}

/** An offer to Dubai Police unless told otherwise. `secs` ago it came. */
export function offer(now, { secs = 0, at = [25.1972, 55.2744], reach = 25, ...more } = {}) {
  made += 1;
  const contact = more.contact ?? `01930000-0000-7000-8000-${String(made).padStart(12, '0')}`;
  const service = more.service ?? 'police';
  const room = more.responsible ?? 'DU-POL';
  const area = more.area === undefined ? 'AE-DU' : more.area;
  const claims = more.claims ?? (at ? [claim(at, reach)] : []);
  const rung = claims[0]?.source ?? 'nothing';
  const decision = {
    services: [{ service, dispatcher: room, area, probability: 0.998, lead: true, chain: [room, 'AZ-POL'] }],
    neighbours: [], area, incident_type: null, priority: 1, rung, discrepancies: [], reasons: ['no_evidence', `claim: ${rung}`, `owner: ${area}`],
    lang: null, interpreter: false, text: false, quiet: false, caller: null, test: false, tables_version: 'mock-tables-1', ...more.decision,
  };
  const { area: _area, decision: _decision, ...rest } = more;
  return {
    id: `${contact}/${service}`, contact, service, incident: `0-${made}`, role: 'responsible', responsible: room, take_by: now - secs * 1e6 + 10e6, confirmed: true,
    held_by: null, accepted: false, alarm: false, callback: null, repeat: null, received: now - secs * 1e6, door: 'sip-voice', line: `+9715000${String(10_000 + made)}`,
    lang: null, test: false, words: [], signals: [{ kind: 'dialled', value: '990' }], claims, place: { area, near: at ? near(at) : null, rung }, decision,
    notes: [], joined: [contact], candidates: [], ...rest,
  };
}

/** One evening in Dubai: every group, every badge, both scripts. */
export function evening(now) {
  const [marina, sheikhZayed, sahara, hatta, airport] = [[25.0772, 55.1375], [25.1123, 55.1985], [25.2977, 55.3743], [24.797, 56.117], [25.2528, 55.3644]];
  const seat = (dispatcher, number) => ({ dispatcher, seat: number });
  const fire = offer(now, {
    secs: 3, at: marina, words: ['حريق في الطابق التاسع عشر في مارينا وناس محاصرين'], lang: 'ar', service: 'police', signals: [{ kind: 'dialled', value: '997' }],
    claims: [claim(marina, 18), claim([25.0801, 55.1402], 900, 'serving_cell', { shape: sector([25.0745, 55.1452], 150, 1300, 280, 340), age_secs: 2 })],
    decision: {
      incident_type: 'FHIRIS', priority: 1, discrepancies: ['dialled_service_differs'], lang: 'ar',
      services: [
        { service: 'civil_defence', dispatcher: 'DU-FIR', area: 'AE-DU', probability: 1, lead: true, chain: ['DU-FIR', 'AZ-FIR'] },
        { service: 'police', dispatcher: 'DU-POL', area: 'AE-DU', probability: 1, lead: false, chain: ['DU-POL', 'AZ-POL'] },
        { service: 'ambulance', dispatcher: 'DU-AMB', area: 'AE-DU', probability: 1, lead: false, chain: ['DU-AMB', 'AZ-AMB'] },
      ],
      reasons: ['word: حريق', 'type: FHIRIS', 'claim: device_fix', 'owner: AE-DU', 'plan: FHIRIS'],
    },
  });
  const fireAgain = offer(now, {
    secs: 2, at: [25.0779, 55.1388], reach: 60, words: ['there is smoke coming from a tower in the Marina, people on the balconies'], lang: 'en', line: '+971500000412',
    decision: { incident_type: 'FHIRIS', priority: 1, lang: 'en' },
  });
  fire.candidates = [{ contact: fireAgain.contact, incident: fireAgain.incident, score: 0.91, because: ['near', 'soon', 'same_type'], distance_m: 152, secs: 1 }];
  fireAgain.candidates = [{ ...fire.candidates[0], contact: fire.contact, incident: fire.incident }];
  const crash = offer(now, {
    secs: 96, at: sheikhZayed, words: ['two cars and a truck on Sheikh Zayed Road, one person does not answer'], lang: 'en', held_by: seat('DU-POL', '1'), accepted: true,
    line: '+971500000233', decision: {
      incident_type: 'MVAINJY', priority: 1, lang: 'en',
      services: [
        { service: 'police', dispatcher: 'DU-POL', area: 'AE-DU', probability: 1, lead: true, chain: ['DU-POL', 'AZ-POL'] },
        { service: 'ambulance', dispatcher: 'DU-AMB', area: 'AE-DU', probability: 1, lead: false, chain: ['DU-AMB', 'AZ-AMB'] },
      ],
    },
    notes: [{ at: now - 60e6, by: seat('DU-POL', '1'), text: 'Right lane closed at interchange 4, patrol 212 on its way' }],
  });
  return [
    offer(now, {
      secs: 41, at: airport, reach: 300, alarm: true, role: 'all_call', responsible: 'DU-POL', words: ['my father fell down, he is not breathing properly, please come quickly'], lang: 'en',
      decision: { incident_type: 'CARDIAC', priority: 1, lang: 'en' },
    }),
    fire, fireAgain,
    offer(now, { secs: 12, at: sahara, reach: 450, words: [], role: 'responsible', claims: [claim(sahara, 450, 'serving_cell')],
      decision: {
        neighbours: [{ area: 'AE-SH', dispatcher: 'SH-POL', service: 'police', probability: 0.46, why: 'border' }],
        discrepancies: ['border_uncertain', 'no_words'], services: [{ service: 'police', dispatcher: 'DU-POL', area: 'AE-DU', probability: 0.54, lead: true, chain: ['DU-POL', 'SH-POL'] }],
      } }),
    offer(now, { secs: 7, at: [25.1185, 55.3915], reach: 40, door: 'sms', words: ['someone is in the house, I am hiding in the bathroom, do not call'], lang: 'en', decision: {
      incident_type: 'BURGLARY', priority: 1, quiet: true, text: true, lang: 'en', discrepancies: ['text_only'] } }),
    offer(now, { secs: 1, at: hatta, reach: 30, test: true, role: 'test', words: ['monthly test of the operator'], decision: { test: true } }),
    offer(now, { secs: 75, at: [25.2285, 55.3273], reach: 700, words: [], callback: { why: 'line_dropped', since: now - 52e6, number: '+971500000718', outcome: null },
      line: '+971500000718', decision: { incident_type: '911H', discrepancies: ['no_words'] } }),
    crash,
    offer(now, { secs: 33, at: [25.0657, 55.1713], words: ['पड़ोसी के घर से चीखने की आवाज़ आ रही है'], lang: 'hi', held_by: seat('DU-POL', '1'),
      decision: { incident_type: 'DISORD', priority: 2, lang: 'hi' } }),
    offer(now, { secs: 150, at: [25.1998, 55.2796], words: ['سرقة جوال في المول والشخص ما زال هنا'], lang: 'ar', held_by: seat('DU-POL', '7'), accepted: true,
      decision: { incident_type: 'LARCENY', priority: 2, lang: 'ar' } }),
    offer(now, { secs: 20, at: [25.3241, 55.3917], reach: 220, role: 'neighbour', responsible: 'SH-POL', area: 'AE-SH', words: ['fight outside a café on the corniche'], lang: 'en',
      decision: { incident_type: 'ASSAULT', priority: 1, area: 'AE-SH' } }),
  ];
}

/** So many open offers, spread over the country and over every group. */
export function many(now, count) {
  const groups = [{}, {}, {}, { held_by: { dispatcher: 'DU-POL', seat: '9' }, accepted: true }, { held_by: { dispatcher: 'DU-POL', seat: '1' } }, { role: 'neighbour', responsible: 'SH-POL' }];
  return Array.from({ length: count }, (_, at) => offer(now, {
    secs: count - at, at: [24.2 + ((at * 37) % 150) / 100, 54.3 + ((at * 53) % 190) / 100], words: [`caller ${at} says that something is wrong at the corner of the street`],
    decision: { incident_type: at % 2 ? 'FBLDG' : 'CARDIAC' }, ...groups[at % groups.length],
  }));
}
