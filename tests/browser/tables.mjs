// The shipped tables as the console is served them, for a mock that has no engine: rooms, areas, types, places and the outlines.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const pack = fileURLToPath(new URL('../../routing-tables/uae/', import.meta.url));

/** Rows of a CSV file as objects by the names of the first line. Comments start with `#`, quotes may hold commas. */
function rows(file) {
  const lines = readFileSync(`${pack}${file}`, 'utf8').split('\n').filter((line) => line && !line.startsWith('#'));
  const cells = (line) => [...line.matchAll(/("([^"]*)"|[^,]*)(,|$)/g)].map(([, bare, quoted]) => quoted ?? bare);
  const names = cells(lines[0]);
  return lines.slice(1).map((line) => Object.fromEntries(cells(line).map((cell, at) => [names[at], cell])));
}

function outlines() {
  const { features } = JSON.parse(readFileSync(`${pack}boundaries/land.geojson`, 'utf8'));
  const rings = (geometry) => (geometry.type === 'Polygon' ? geometry.coordinates : geometry.coordinates.flat());
  const ring = (area) => (points) => ({ of: [area], line: points.map(([lon, lat]) => [lat, lon]) });
  return features.flatMap(({ properties, geometry }) => rings(geometry).map(ring(properties.area)));
}

const both = (en, ar) => ({ en, ar: ar || en });

export const tables = {
  version: 'mock-tables-1',
  title: both('United Arab Emirates', 'الإمارات العربية المتحدة'),
  country: 'AE',
  utc_offset_minutes: 240,
  bbox: [51.4, 22.6, 56.5, 26.2],
  rooms: rows('dispatchers.csv').map((row) => ({
    id: row.id, service: row.service, name: both(row.name_en, row.name_ar), languages: row.languages.split(' '), text: row.text === 'yes', take_secs: Number(row.take_s),
  })),
  areas: rows('areas.csv').map((row) => ({ id: row.id, name: both(row.name_en, row.name_ar) })),
  types: rows('types.csv').map((row) => ({ code: row.code, priority: Number(row.priority) })),
  places: rows('places.csv').map((row) => ({ name: both(row.name_en, row.name_ar), lat: Number(row.lat), lon: Number(row.lon) })),
  borders: outlines(),
  services: ['police', 'ambulance', 'civil_defence', 'coast_guard', 'search_rescue', 'electricity', 'water', 'police_non_emergency', 'animal_control'],
};

const EARTH_M = 6_371_008.8;

/** The nearest named place, as the engine says it. */
export function near([lat, lon]) {
  const radians = Math.PI / 180;
  let best = null;
  for (const place of tables.places) {
    const [north, east] = [lat - place.lat, (lon - place.lon) * Math.cos(lat * radians)];
    const metres = Math.hypot(north, east) * radians * EARTH_M;
    if (best && metres >= best.distance_m) continue;
    const eighth = Math.round(((Math.atan2(east, north) / radians + 360) % 360) / 45) % 8;
    best = { name: place.name, distance_m: Math.round(metres), direction: ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'][eighth] };
  }
  return best;
}
