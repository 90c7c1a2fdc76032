-- How many users left lately, counted by the minute: see domain::departures.
ALTER TABLE tenants ADD COLUMN departures TEXT NOT NULL DEFAULT '';
