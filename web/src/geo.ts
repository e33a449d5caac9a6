// Distances and directions for people: nothing is routed by them.

import type { Place, Point, Tables } from './protocol';

const EARTH_M = 6_371_008.8;
const DIRECTIONS = ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'];

export function distanceM([lat1, lon1]: Point, [lat2, lon2]: Point): number {
  const radians = Math.PI / 180;
  const [dLat, dLon] = [(lat2 - lat1) * radians, (lon2 - lon1) * radians];
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(lat1 * radians) * Math.cos(lat2 * radians) * Math.sin(dLon / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

export function direction(from: Point, to: Point): string {
  const north = to[0] - from[0];
  const east = (to[1] - from[1]) * Math.cos((from[0] * Math.PI) / 180);
  const degrees = ((Math.atan2(east, north) * 180) / Math.PI + 360) % 360;
  return DIRECTIONS[Math.round(degrees / 45) % 8] ?? 'N';
}

/** The named place nearest to a point, as people say it. */
export function nearest(tables: Tables, point: Point): Place['near'] {
  const place = nearestPlace(tables, point);
  if (!place) return null;
  const at: Point = [place.lat, place.lon];
  return { name: place.name, distance_m: distanceM(at, point), direction: direction(at, point) };
}

export function nearestPlace(tables: Tables, point: Point): Tables['places'][number] | null {
  let [best, least] = [null as Tables['places'][number] | null, Infinity];
  for (const place of tables.places) {
    const metres = distanceM([place.lat, place.lon], point);
    if (metres < least) [best, least] = [place, metres];
  }
  return best;
}
