-- Labels that operators give to groups, by externalId (key_kind 0), by id (1) or by folded displayName (2); a list in
-- JSON. The first of the three that is there is a group's.
CREATE TABLE group_labels (
    tenant TEXT {binary} NOT NULL,
    key_kind BIGINT NOT NULL,
    key TEXT {binary} NOT NULL,
    labels TEXT NOT NULL,
    PRIMARY KEY (tenant, key_kind, key)
) {rows by key};

-- 1 where a label is nothing but the displayName of the group that holds it: whether it counts, the tenant's settings
-- say.
ALTER TABLE labels ADD COLUMN named BIGINT NOT NULL DEFAULT 0;
