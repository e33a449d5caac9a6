// The map: borders of the areas, named places, the uncertainty area of every stated place, and the other open contacts as small
// marks. It draws what the tables hold and asks nobody for pictures. All it shows is also said in words.

import L from 'leaflet';

import { attribute, el, text } from '../dom';
import { bestClaim, isTest, type Desk, type Shown } from '../desk';
import { nearestPlace } from '../geo';
import type { Claim, Point, Tables } from '../protocol';
import type { Ground } from '../say';
import { distance, list, name, plain, words } from '../words';

const COLOURS = { border: '#8b98a5', claim: '#ffd33d', chosen: '#ffffff', other: '#8cb4ff', waits: '#ffab70', test: '#d2a8ff', ground: '#10151c' };
/** A claim's line, by its source: never by colour alone. */
const DASHES: Record<string, string> = { serving_cell: '10 8', by_reference: '14 4', civic: '2 6', makani: '2 6', ecall: '14 4 2 4' };
/** Nobody needs to see closer than the accuracy of what is drawn. */
const ZOOM_MAX = 17;
/** What stands of a stated place on the map: its dot and the label under it. */
const PIN_PX = { width: 190, height: 34 };
const LABEL_PX = { width: 7.5, height: 18, gap: 6 };

export class MapView {
  readonly node: HTMLElement;
  private readonly title = el('h2', { id: 'map-title' });
  private readonly where = el('p', { class: 'map-where' });
  private readonly box = el('div', { class: 'map-box', dir: 'ltr', role: 'region' });
  private readonly legend = el('p', { class: 'legend' });
  private readonly credit = el('p', { class: 'credit' });
  private pictures: L.TileLayer | null = null;
  private map: L.Map | null = null;
  private zoom: L.Control.Zoom | null = null;
  private readonly canvas = L.canvas({ padding: 0.3 });
  private readonly borders = L.layerGroup();
  private readonly claims = L.layerGroup();
  private readonly others = L.layerGroup();
  private readonly labels = L.layerGroup();
  private tables: Tables | null = null;
  private seen = '';
  private marks = '';
  private focus: L.LatLngBounds | null = null;
  private pins: Point[] = [];
  private atCountry = true;

  constructor(private readonly choose: (id: string) => void) {
    this.node = el('section', { class: 'map', 'aria-labelledby': 'map-title' }, this.title, this.box, this.where, this.legend, this.credit);
  }

  /** The page changed size or language, or has other tables. */
  refresh(tables: Tables): void {
    const said = words().map;
    text(this.title, said.title);
    attribute(this.box, 'aria-label', said.label);
    this.legend.replaceChildren(...(['claim', 'other', 'test', 'border'] as const).map((kind) =>
      el('span', { class: `legend-${kind}` }, el('i', {}), said.legend[kind])));
    if (!this.map) this.map = this.newMap();
    if (this.zoom) this.map.removeControl(this.zoom);
    this.zoom = L.control.zoom({ zoomInTitle: said.zoomIn, zoomOutTitle: said.zoomOut }).addTo(this.map);
    this.map.invalidateSize();
    if (this.tables !== tables) {
      this.tables = tables;
      this.drawBorders(tables);
      this.drawTiles(tables);
      this.country();
    }
    [this.seen, this.marks] = ['', ''];
    this.drawLabels();
  }

  draw(ground: Ground): void {
    if (!this.map || !this.tables) return;
    const shown = ground.desk.chosen();
    const seen = JSON.stringify([shown?.offer.contact, shown?.offer.claims, words().locale]);
    if (seen !== this.seen) {
      this.seen = seen;
      this.drawClaims(shown);
    }
    const marks = ground.desk.list().map((other) => `${other.offer.id}${ground.desk.group(other)}`).join() + seen;
    if (marks !== this.marks) {
      this.marks = marks;
      this.drawOthers(ground.desk, shown);
    }
  }

  /** The chosen contact, then the whole country, in turn. */
  turn(): void {
    if (this.focus && this.atCountry) this.near();
    else this.country();
  }

  private near(): void {
    if (!this.focus) return;
    this.map?.fitBounds(this.focus.pad(0.6), { maxZoom: 13, animate: false });
    this.atCountry = false;
  }

  private country(): void {
    if (!this.tables) return;
    const [west, south, east, north] = this.tables.bbox;
    this.map?.fitBounds([[south, west], [north, east]], { animate: false });
    this.atCountry = true;
  }

  private newMap(): L.Map {
    const map = L.map(this.box, {
      renderer: this.canvas, attributionControl: false, zoomControl: false, maxZoom: ZOOM_MAX, zoomSnap: 0.25, zoomAnimation: false,
      fadeAnimation: false, markerZoomAnimation: false, inertia: false,
    });
    map.setView([24.5, 54.5], 7, { animate: false });
    for (const layer of [this.borders, this.others, this.claims, this.labels]) layer.addTo(map);
    L.control.scale({ imperial: false }).addTo(map);
    map.on('moveend zoomend resize', () => this.drawLabels());
    new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(this.box);
    return map;
  }

  /** Pictures never hide what is ours: they lie under it, and it stays when they do not come. */
  private drawTiles({ tiles }: Tables): void {
    this.pictures?.remove();
    this.pictures = tiles && this.map ? L.tileLayer(tiles.url, { maxZoom: ZOOM_MAX, referrerPolicy: 'no-referrer' }).addTo(this.map) : null;
    text(this.credit, tiles?.words ?? '');
  }

  private drawBorders(tables: Tables): void {
    this.borders.clearLayers();
    for (const border of tables.borders) {
      const inner = border.of.length > 1;
      L.polyline(border.line, { renderer: this.canvas, color: COLOURS.border, weight: inner ? 1.5 : 2, dashArray: inner ? '6 5' : '', interactive: false })
        .addTo(this.borders);
    }
  }

  private drawClaims(shown: Shown | undefined): void {
    this.claims.clearLayers();
    this.focus = null;
    const said = words();
    const best = shown && bestClaim(shown.offer.claims);
    text(this.where, shown && !best ? said.map.noPlace : '');
    this.pins = shown ? shown.offer.claims.flatMap(({ center }) => (center ? [center] : [])) : [];
    if (!shown || !best) return this.country();
    for (const claim of shown.offer.claims) this.drawClaim(claim, claim === best);
    // The name that the words speak of is in the picture.
    const named = this.tables && best.center && nearestPlace(this.tables, best.center);
    if (named) this.focus = (this.focus ?? L.latLngBounds([])).extend([named.lat, named.lon]);
    this.near();
    this.drawLabels();
  }

  private drawClaim(claim: Claim, best: boolean): void {
    const colour = best ? COLOURS.chosen : COLOURS.claim;
    const style = { renderer: this.canvas, color: colour, weight: best ? 3 : 2, dashArray: DASHES[claim.source] ?? '', interactive: false, smoothFactor: 0 };
    const grow = (bounds: L.LatLngBounds) => (this.focus = this.focus ? this.focus.extend(bounds) : bounds);
    if (claim.shape.length > 0) {
      const area = L.polygon(claim.shape, { ...style, fillColor: COLOURS.claim, fillOpacity: best ? 0.16 : 0.06 }).addTo(this.claims);
      grow(area.getBounds());
    }
    if (!claim.center) return;
    const center = L.latLng(claim.center);
    if (claim.shape.length === 0) grow(center.toBounds(Math.max(2_000, claim.reach_m * 2)));
    const source = words().sources[claim.source] ?? claim.source;
    const label = list([source, claim.reach_m > 0 && `± ${distance(claim.reach_m)}`]);
    L.marker(center, { icon: icon(`pin ${best ? 'best' : ''}`, label), interactive: false, keyboard: false, zIndexOffset: best ? 1000 : 500 }).addTo(this.claims);
  }

  private drawOthers(desk: Desk, chosen: Shown | undefined): void {
    this.others.clearLayers();
    const drawn = new Set(chosen ? [chosen.offer.contact] : []);
    for (const shown of desk.list()) {
      const { offer } = shown;
      const center = bestClaim(offer.claims)?.center;
      if (!center || drawn.has(offer.contact)) continue;
      drawn.add(offer.contact);
      const group = desk.group(shown);
      const waits = group === 'alarm' || group === 'waiting' || group === 'callback';
      const colour = isTest(offer) ? COLOURS.test : waits ? COLOURS.waits : COLOURS.other;
      const style = { renderer: this.canvas, color: colour, weight: 2, fillColor: colour, fillOpacity: waits ? 0.9 : 0.15, dashArray: isTest(offer) ? '2 3' : '' };
      // What waits is a filled diamond, what somebody holds an empty ring, a test a broken ring.
      const mark = waits && !isTest(offer) ? diamond(center, style) : L.circleMarker(center, { ...style, radius: 5 });
      mark.on('click', () => this.choose(offer.id));
      mark.addTo(this.others);
    }
  }

  /** Names that do not cover each other, the areas' own names first. */
  private drawLabels(): void {
    const { map, tables } = this;
    if (!map || !tables) return;
    this.labels.clearLayers();
    const bounds = map.getBounds();
    const size = map.getSize();
    const taken = this.pins.map((pin): [number, number, number, number] => {
      const { x, y } = map.latLngToContainerPoint(pin);
      return [x - PIN_PX.width / 2, y - LABEL_PX.height / 2, x + PIN_PX.width / 2, y + PIN_PX.height];
    });
    const capitals = new Set(tables.areas.map((area) => area.name.en));
    const places = tables.places.filter((place) => bounds.contains([place.lat, place.lon]));
    places.sort((a, b) => Number(capitals.has(b.name.en)) - Number(capitals.has(a.name.en)));
    for (const place of places) {
      const said = plain(name(place.name));
      const at = map.latLngToContainerPoint([place.lat, place.lon]);
      const wide = said.length * LABEL_PX.width + 14;
      const box: [number, number, number, number] = [at.x - LABEL_PX.gap, at.y - LABEL_PX.height / 2 - 2, at.x + wide, at.y + LABEL_PX.height / 2 + 2];
      if (box[2] > size.x || taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
      taken.push(box);
      L.marker([place.lat, place.lon], { icon: icon(`place ${capitals.has(place.name.en) ? 'capital' : ''}`, said), interactive: false, keyboard: false }).addTo(this.labels);
    }
  }
}

/** A dot with a name beside it. Set as text: names come from tables, and from nobody else, but the rule has no exception. */
function icon(look: string, label: string): L.DivIcon {
  return L.divIcon({ className: `mark ${look}`, html: el('span', {}, el('i', {}), el('bdi', {}, label)), iconSize: [0, 0] });
}

function diamond(center: Point, style: L.PathOptions): L.CircleMarker {
  return new Diamond(center, { ...style, radius: 6 });
}

interface CanvasInside {
  _ctx: CanvasRenderingContext2D;
  _fillStroke(ctx: CanvasRenderingContext2D, layer: L.Path): void;
}

/** A circle marker with corners: Leaflet draws paths by a method that a path may replace. */
class Diamond extends L.CircleMarker {
  protected _updatePath(): void {
    const self = this as unknown as { _renderer: CanvasInside; _point: L.Point; _radius: number; _empty(): boolean };
    if (self._empty()) return;
    const { _ctx: ctx } = self._renderer;
    const [{ x, y }, r] = [self._point, self._radius];
    ctx.beginPath();
    ctx.moveTo(x, y - r);
    ctx.lineTo(x + r, y);
    ctx.lineTo(x, y + r);
    ctx.lineTo(x - r, y);
    ctx.closePath();
    self._renderer._fillStroke(ctx, this);
  }
}
