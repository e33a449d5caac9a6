-- One contact, one statement, one commit: whose place, which room, kept, told. Prepared by pgbench.
WITH owner AS (
    SELECT area FROM boundary WHERE ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)) ORDER BY area LIMIT 1
), kept AS (
    INSERT INTO contact (dialled, line, lat, lon, area, dispatcher)
    SELECT '999', '+9715' || :line, :lat, :lon, owner.area, coalesce(room.dispatcher, 'AE-ANY')
    FROM (SELECT 1) AS one LEFT JOIN owner ON true LEFT JOIN room USING (area)
    RETURNING id, dispatcher
)
SELECT pg_notify(dispatcher, id::text) FROM kept;
