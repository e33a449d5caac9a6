-- What one would build instead: contacts, boundaries cut into small pieces, and the room of each area.
CREATE EXTENSION postgis;
CREATE TABLE boundary (area text NOT NULL, geom geometry(Geometry, 4326) NOT NULL);
INSERT INTO boundary (area, geom)
    SELECT feature->'properties'->>'area', ST_Subdivide(ST_SetSRID(ST_GeomFromGeoJSON(feature->>'geometry'), 4326), 128)
    FROM json_array_elements((:'land')::json->'features') AS feature;
CREATE INDEX boundary_geom ON boundary USING gist (geom);
CREATE TABLE dispatcher (id text, service text, name_en text, name_ar text, room text, site text, areas text, languages text, text text,
    capacity text, uri text, take_s text, overflow text, lat text, lon text, note text);
CREATE TABLE room (area text PRIMARY KEY, dispatcher text NOT NULL);
CREATE TABLE contact (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received timestamptz NOT NULL DEFAULT clock_timestamp(),
    dialled text NOT NULL,
    line text NOT NULL,
    lat double precision NOT NULL,
    lon double precision NOT NULL,
    area text,
    dispatcher text NOT NULL
);
