#!/usr/bin/env python3
"""Measures how far the drawn boundaries are from the official layer, and what the declared accuracies make of it.

The official layer may be used for tests only, so it is not in the repository: it is read from a folder beside it. Without it the
script says so and ends. Nothing it reads is written anywhere.

    venv/bin/pip install shapely==2.2.0 numpy pyproj
    venv/bin/python accuracy.py [--points 200000] [--seed 1] [--places] [--worst]

The rule that is judged: the owner of a point is the strongest area overlay that holds it, else the land polygon, else the nearest
coast (own or foreign) within `coast_m`; a foreign polygon or a nearer foreign coast is outside. Another area is in doubt when a
border edge between it and the owner, or the outline of an overlay between the two, is within the declared accuracy plus the claim's
radius; at sea also when its coast is not farther than the owner's by more than both accuracies plus twice the radius. A wrong owner
is silent when the true one is not in doubt and the result is not outside.
"""

import argparse
import collections
import csv
import json
import sys
from pathlib import Path

import numpy as np
import shapely
from pyproj import Transformer
from shapely import STRtree
from shapely.geometry import LineString, Point, Polygon, shape
from shapely.ops import unary_union

HERE = Path(__file__).resolve().parent
OFFICIAL = HERE / "../../../shared/data/uae"
COAST_M = 22_224
GAP_M = 300
PACK_M = 1_500
FOREIGN = ["BH", "IR", "OM", "QA", "SA"]
to_metres = Transformer.from_crs(4326, 32640, always_xy=True)


def metres(geometry):
    return shapely.transform(geometry, to_metres.transform, interleaved=False)


def rows(file):
    path = HERE / file
    if not path.exists():
        return []
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def layer(path, key):
    return {f["properties"][key]: shape(f["geometry"]) for f in json.loads(path.read_text(encoding="utf-8"))["features"]}


class Pack:
    """The shipped geometry in metres, with its border edges by pair."""

    def __init__(self):
        land = {**layer(HERE / "boundaries/land.geojson", "area"), **layer(HERE / "boundaries/foreign.geojson", "country")}
        self.names = sorted(land)
        self.land = {name: metres(geometry) for name, geometry in land.items()}
        owners = collections.defaultdict(set)
        for name, geometry in land.items():
            for polygon in geometry.geoms:
                for ring in (polygon.exterior, *polygon.interiors):
                    at = list(ring.coords)
                    for a, b in zip(at, at[1:]):
                        owners[min(a, b), max(a, b)].add(name)
        edges = collections.defaultdict(list)
        for (a, b), who in owners.items():
            pair = tuple(sorted(who, key=lambda n: (n in FOREIGN, n)))
            edges[pair if len(pair) == 2 else (pair[0], "coast")].append(metres(LineString([a, b])))
        self.edges = edges
        self.borders = {}
        self.accuracy()
        self.overlays = []
        for row in rows("overlays.csv"):
            if row["kind"] == "area":
                kind, _, rest = row["shape"].partition(" ")
                if kind == "circle":
                    lat, lon, radius = map(float, rest.split())
                    geometry = metres(Point(lon, lat)).buffer(radius, 64)
                else:
                    geometry = metres(Polygon([tuple(map(float, pair.split())) for pair in rest.split(",")]))
                self.overlays.append((int(row["precedence"]), row["id"], row["area"], geometry, int(row["accuracy_m"] or PACK_M), row["told"].split(), row["flag"]))
        self.overlays.sort(key=lambda o: (-o[0], o[1]))

    def accuracy(self):
        """Groups the edges of each pair by accuracy: {pair: [(accuracy_m, tree of edges)]}."""
        declared = collections.defaultdict(list)
        for row in rows("borders.csv"):
            within = None
            if row["within"]:
                lat, lon, radius = map(float, row["within"].split())
                within = metres(Point(lon, lat)).buffer(radius)
            pair = tuple(sorted((row["area_a"], row["area_b"]), key=lambda n: (n == "coast", n in FOREIGN, n)))
            declared[pair].append((within, int(row["accuracy_m"])))
        unused = set(declared)
        for pair, lines in self.edges.items():
            unused.discard(pair)
            groups = collections.defaultdict(list)
            for line in lines:
                found = [m for within, m in declared[pair] if within is None or within.intersects(line)]
                groups[max(found, default=PACK_M)].append(line)
            self.borders[pair] = sorted(groups.items())
        for pair in unused:
            if declared[pair]:
                print("borders.csv names a border that is not drawn:", pair)

    def coast_accuracy(self, name):
        return max((m for m, _ in self.borders.get((name, "coast"), [])), default=PACK_M)

    def owners(self, points):
        """(owner or "outside", how, base owner below overlays) for each point."""
        tree = STRtree(points)
        owner = np.full(len(points), "", dtype=object)
        how = np.full(len(points), "", dtype=object)
        for name in self.names:
            found = tree.query(self.land[name], predicate="contains")
            owner[found] = name
            how[found] = "land"
        rest = np.nonzero(owner == "")[0]
        self.distance = {}
        if len(rest):
            some = np.array(points)[rest]
            names = self.names
            table = np.full((len(rest), len(names)), np.inf)
            for column, name in enumerate(names):
                for polygon in self.land[name].geoms:
                    shapely.prepare(polygon)
                table[:, column] = shapely.distance(self.land[name], some)
            near = table.argmin(axis=1)
            for i, index in enumerate(rest):
                d = table[i, near[i]]
                owner[index] = names[near[i]] if d <= COAST_M else "outside"
                how[index] = "coast"
                self.distance[index] = {n: table[i, c] for c, n in enumerate(names) if table[i, c] < 4 * COAST_M}
        base = owner.copy()
        self.told = [set() for _ in points]
        self.flagged = np.zeros(len(points), dtype=bool)
        for _, _, area, geometry, _, told, flag in reversed(self.overlays):
            for index in tree.query(geometry, predicate="contains"):
                owner[index] = area
                how[index] = "overlay"
                self.told[index] = set(told)
                self.flagged[index] = bool(flag)
        for name in FOREIGN:
            owner[owner == name] = "outside:" + name
        return owner, how, base

    def doubts(self, points, owner, how, base, radius, strict=True):
        """The set of other owners in doubt, for each point."""
        out = [set(told) for told in self.told]
        tree = STRtree(points)
        own = [o.removeprefix("outside:") for o in owner]
        most = float(np.max(radius))
        for pair, groups in self.borders.items():
            if pair[1] == "coast":
                continue
            for accuracy, lines in groups:
                near, at = tree.query(lines, predicate="dwithin", distance=accuracy + most)
                lines = np.array(lines)
                distance = shapely.distance(lines[near], np.array(points)[at])
                for index, d in zip(at, distance):
                    if d <= accuracy + radius[index] and (own[index] in pair or not strict):
                        out[index].update(pair)
        for _, _, area, geometry, accuracy, _, _ in self.overlays:
            for index in tree.query(geometry.boundary, predicate="dwithin", distance=accuracy + most):
                if geometry.boundary.distance(points[index]) <= accuracy + radius[index]:
                    out[index].update((area, base[index].removeprefix("outside:")))
        for index, distances in self.distance.items():
            o = own[index] if how[index] == "coast" else None
            if o in distances:
                reach = self.coast_accuracy(o) + 2 * radius[index]
                out[index].update(n for n, d in distances.items() if d <= distances[o] + reach + self.coast_accuracy(n))
        for index, o in enumerate(own):
            out[index].discard(o)
            out[index].discard("outside")
        return out


def places(pack, which=lambda row: row["decisive"] == "1", show=True):
    table = [r for r in csv.DictReader((OFFICIAL / "places.csv").open(encoding="utf-8")) if which(r)]
    points = [metres(Point(float(r["lon"]), float(r["lat"]))) for r in table]
    radius = np.array([float(r["coord_unc_m"]) for r in table])
    owner, how, base = pack.owners(points)
    counts = collections.Counter()
    for strict in (True, False):
        doubts = pack.doubts(points, owner, how, base, radius, strict)
        for r, o, h, d in zip(table, owner, how, doubts):
            ours = r["true_country"] in ("AE", "AE-WATER", "DISPUTED")
            truth = r["true_emirate"] if ours else "outside"
            outside = o.startswith("outside")
            right = o == truth or (outside and not ours)
            unsure = bool(d)
            known = truth in d or (not ours and any(n in FOREIGN for n in d))
            counts[strict, "rows"] += 1
            counts[strict, "right and sure"] += right and not unsure
            counts[strict, "unsure"] += unsure
            counts[strict, "outside though ours"] += outside and ours
            silent = not right and not known and not (outside and ours)
            counts[strict, "silently wrong"] += silent
            counts[strict, "more than 3 in doubt"] += len(d) > 3
            counts[strict, "wrong owner"] += not right
            if show and strict and (silent or not right or len(d) > 3 or unsure):
                print(r["id"], r["name_en"][:30], r["lat"], r["lon"], f"±{r['coord_unc_m']}", "true", truth, "owner", o, h, sorted(d), "SILENT" if silent else "WRONG" if not right else "")
    for strict in (True, False):
        print("places,", "edges of the owner only:" if strict else "edges of any pair:", {k: int(v) for (s, k), v in counts.items() if s == strict})
    return counts


def random_points(geometry, count, rng):
    x0, y0, x1, y1 = geometry.bounds
    shapely.prepare(geometry)
    found = []
    while len(found) < count:
        some = shapely.points(rng.uniform(x0, x1, count), rng.uniform(y0, y1, count))
        found += list(some[shapely.contains(geometry, some)])
    return found[:count]


def study(pack, count, seed, worst):
    rng = np.random.default_rng(seed)
    official = {name: metres(g) for name, g in layer(OFFICIAL / "uae_emirates_cod_full.geojson", "iso_3166_2").items()}
    waters = {name: metres(g) for name, g in layer(OFFICIAL / "uae_waters_derived_12nm.geojson", "iso_3166_2").items()}
    all_land = unary_union(list(official.values()))
    all_water = unary_union(list(waters.values())).difference(all_land)
    # Lagoons that neither layer has are no foreign country: fill every hole but those with drawn foreign land in them.
    foreign = unary_union([pack.land[n] for n in FOREIGN])
    known = unary_union([all_land, all_water]).buffer(50)
    holes = [Polygon(r) for part in getattr(known, "geoms", [known]) for r in part.interiors]
    known = unary_union([known, *(h for h in holes if h.intersection(foreign).area < 0.2 * h.area)])
    abroad = all_land.buffer(5_000).difference(known).intersection(foreign.buffer(5_000))
    for title, points, ours, layers in (
        ("land of the official layer", random_points(all_land, count, rng), True, official),
        ("waters, by the nearest coast of the official layer", random_points(all_water, count // 4, rng), True, waters),
        ("foreign land and waters up to 5 km away", random_points(abroad, count // 4, rng), False, {}),
    ):
        tree = STRtree(points)
        truth = np.full(len(points), "outside", dtype=object)
        for name, geometry in layers.items():
            truth[tree.query(geometry, predicate="contains")] = name
        owner, how, base = pack.owners(points)
        doubts = pack.doubts(points, owner, how, base, np.zeros(len(points)))
        wider = pack.doubts(points, owner, how, base, np.zeros(len(points)), strict=False)
        wrong = [i for i in range(len(points)) if owner[i] != truth[i] and not (owner[i].startswith("outside") and not ours)]
        ours_outside = [i for i in wrong if owner[i].startswith("outside")]
        silent = [i for i in wrong if not owner[i].startswith("outside") and not pack.flagged[i] and truth[i] not in doubts[i]
                  and not (truth[i] == "outside" and any(n in FOREIGN for n in doubts[i]))]
        n = len(points)
        print(f"{title}: {n} points, seed {seed}")
        print(f"  wrong owner {len(wrong)/n:.3%}, of them outside though ours {len(ours_outside)/n:.3%}, silently wrong {len(silent)/n:.4%} ({len(silent)})")
        print(f"  unsure {sum(map(bool, doubts))/n:.2%} (edges of any pair: {sum(map(bool, wider))/n:.2%}), most in doubt {max(map(len, doubts))} ({max(map(len, wider))})")
        by_pair = collections.defaultdict(list)
        back = Transformer.from_crs(32640, 4326, always_xy=True).transform
        for i in wrong:
            o = owner[i].removeprefix("outside:")
            pairs = [p for p in pack.borders if o in p and (truth[i] in p or (truth[i] == "outside" and p[1] in FOREIGN))]
            d = min((line.distance(points[i]) for p in pairs for _, lines in pack.borders[p] for line in lines), default=float("inf"))
            t = truth[i] if truth[i] != "outside" else "abroad"
            by_pair[tuple(sorted((o, t)))].append((d, i))
        print("  pair, wrong points, their distance from the drawn border of the pair in m: p50 p99 p99.9 max, where the worst is")
        for pair, found in sorted(by_pair.items()):
            found.sort()
            d = [x for x, _ in found]
            at = lambda q: d[min(len(d) - 1, int(q * len(d)))]
            lon, lat = back(points[found[-1][1]].x, points[found[-1][1]].y)
            print(f"    {pair[0]:6} {pair[1]:6} {len(d):6} {at(.5):8.0f} {at(.99):8.0f} {at(.999):8.0f} {d[-1]:8.0f}  {lat:.3f} {lon:.3f}")
        if worst:
            cells = collections.Counter()
            for i in silent:
                lon, lat = back(points[i].x, points[i].y)
                cells[owner[i], truth[i], how[i], round(lat * 20) / 20, round(lon * 20) / 20] += 1
            for key, c in cells.most_common(25):
                print("    silent", c, *key)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--places", action="store_true", help="only the labelled places")
    parser.add_argument("--worst", action="store_true", help="also where the silent errors are")
    options = parser.parse_args()
    if not OFFICIAL.exists():
        print("skipped 2 measurements: the official layer is not here")
        return 0
    pack = Pack()
    counts = places(pack)
    if not options.places:
        study(pack, options.points, options.seed, options.worst)
    return 1 if counts[True, "silently wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
