-- Changes of catalogue, rules and settings that wait for an operator, at most one of each source: 'read' for what was read
-- in Fluent, 'rules' for the tenant's own table, 'settings'. A dismissed one stays as long as the same is proposed again.
CREATE TABLE pending_grounds (
    tenant TEXT {binary} NOT NULL,
    source TEXT {binary} NOT NULL,
    id TEXT {binary} NOT NULL,
    document TEXT NOT NULL,
    since BIGINT NOT NULL,
    dismissed BIGINT NOT NULL,
    PRIMARY KEY (tenant, source)
) {rows by key};
