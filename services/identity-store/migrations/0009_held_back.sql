-- Who left beyond the guard against mass deactivation in a tenant that has it hold, until an operator releases them; of a
-- deleted user also its last name and the labels it held. And how many a tenant has.
CREATE TABLE held_back (
    tenant TEXT {binary} NOT NULL,
    user_id {blob} NOT NULL,
    since BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    deleted_name TEXT,
    labels TEXT NOT NULL,
    PRIMARY KEY (tenant, user_id)
) {rows by key};
ALTER TABLE tenants ADD COLUMN held_back BIGINT NOT NULL DEFAULT 0;
