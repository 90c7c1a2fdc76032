-- Inactive users in order of their names, and counted as they come and go: however many they are, a page of them costs the
-- same.
CREATE INDEX users_inactive_by_name ON users (tenant, user_name_folded) WHERE active = 0;
ALTER TABLE tenants ADD COLUMN inactive_count BIGINT NOT NULL DEFAULT 0;
UPDATE tenants SET inactive_count =
    (SELECT COUNT(*) FROM users WHERE users.tenant = tenants.id AND users.active = 0);
