-- name: register_host
-- Keep a host that says it is there, or says so again.
INSERT INTO hosts VALUES ($name, $at, $at, NULL, $snapshot, $own_pids, $own_ram_bytes)
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, left_at = NULL, snapshot = excluded.snapshot,
    own_pids = excluded.own_pids, own_ram_bytes = excluded.own_ram_bytes

-- name: hear_host
-- Keep what a known host has now; null when no host has that name.
UPDATE hosts
SET seen_at = $at, left_at = $left_at, snapshot = $snapshot, own_pids = $own_pids, own_ram_bytes = $own_ram_bytes
WHERE name = $name
RETURNING name

-- name: list_hosts
-- Every host that ever registered.
SELECT name, registered_at, seen_at, left_at, snapshot, own_pids, own_ram_bytes FROM hosts ORDER BY name
