-- Ids are 16 bytes, times microseconds since the Unix epoch, flags 0 or 1, what is compared without regard to case is
-- stored folded by the program. Every row but the database's own belongs to a tenant, and every key begins with it.

-- The database's own row: the life it is in.
CREATE TABLE meta (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch {blob} NOT NULL
);

-- A tenant's row is also the lock that every change of the tenant takes first.
CREATE TABLE tenants (
    id TEXT {binary} NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    ground_version BIGINT NOT NULL,
    feed_floor BIGINT NOT NULL,
    user_count BIGINT NOT NULL,
    group_count BIGINT NOT NULL,
    settings TEXT NOT NULL,
    catalogue_wanted BIGINT NOT NULL,
    catalogue_served BIGINT NOT NULL,
    catalogue_fence BIGINT NOT NULL,
    catalogue_read_at BIGINT
);

-- The newest complete copy of what Fluent recognises, as one document: it is read whole and replaced whole.
CREATE TABLE catalogues (
    tenant TEXT {binary} NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
);

-- A logical role and the Fluent roles it stands for (a list in JSON).
CREATE TABLE rules (
    tenant TEXT {binary} NOT NULL,
    logical_role TEXT {binary} NOT NULL,
    target_roles TEXT NOT NULL,
    PRIMARY KEY (tenant, logical_role)
) {rows by key};

CREATE TABLE users (
    tenant TEXT {binary} NOT NULL,
    id {blob} NOT NULL,
    user_name TEXT NOT NULL,
    user_name_folded TEXT {binary} NOT NULL,
    external_id TEXT {binary},
    active BIGINT NOT NULL,
    document {blob} NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX users_by_name ON users (tenant, user_name_folded);
CREATE INDEX users_by_external_id ON users (tenant, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE user_emails (
    tenant TEXT {binary} NOT NULL,
    folded TEXT {binary} NOT NULL,
    user_id {blob} NOT NULL,
    PRIMARY KEY (tenant, folded, user_id)
) {rows by key};

-- The names of users who are gone, for as long as the feed speaks of them.
CREATE TABLE deleted_users (
    tenant TEXT {binary} NOT NULL,
    id {blob} NOT NULL,
    user_name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
) {rows by key};

CREATE TABLE groups (
    tenant TEXT {binary} NOT NULL,
    id {blob} NOT NULL,
    display_name TEXT NOT NULL,
    display_name_folded TEXT {binary} NOT NULL,
    external_id TEXT {binary},
    document {blob} NOT NULL,
    member_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX groups_by_name ON groups (tenant, display_name_folded);
CREATE INDEX groups_by_external_id ON groups (tenant, external_id) WHERE external_id IS NOT NULL;

-- Who is in a group, from the revision `added` up to, not including, the revision `removed`.
CREATE TABLE members (
    tenant TEXT {binary} NOT NULL,
    group_id {blob} NOT NULL,
    member_id {blob} NOT NULL,
    added BIGINT NOT NULL,
    removed BIGINT,
    is_group BIGINT NOT NULL,
    PRIMARY KEY (tenant, group_id, member_id, added)
) {rows by key};
CREATE INDEX members_by_member ON members (tenant, member_id, group_id) WHERE removed IS NULL;
CREATE INDEX members_nested ON members (tenant, group_id, member_id) WHERE is_group = 1;
CREATE INDEX members_gone ON members (tenant, removed) WHERE removed IS NOT NULL;

-- The labels on users (holder_kind 0) and groups (1).
CREATE TABLE labels (
    tenant TEXT {binary} NOT NULL,
    holder {blob} NOT NULL,
    label TEXT {binary} NOT NULL,
    holder_kind BIGINT NOT NULL,
    PRIMARY KEY (tenant, holder, label)
) {rows by key};
CREATE INDEX labels_by_text ON labels (tenant, label);

-- Every way a holder's labels can be read, to find the holders of labels that name something.
CREATE TABLE label_readings (
    tenant TEXT {binary} NOT NULL,
    holder {blob} NOT NULL,
    context_type TEXT {binary} NOT NULL,
    context TEXT {binary} NOT NULL,
    role TEXT {binary} NOT NULL,
    holder_kind BIGINT NOT NULL,
    PRIMARY KEY (tenant, holder, context_type, context, role)
) {rows by key};
CREATE INDEX label_readings_by_role ON label_readings (tenant, role);
CREATE INDEX label_readings_by_context ON label_readings (tenant, context_type, context);

-- What the pusher last made of each user.
CREATE TABLE outcomes (
    tenant TEXT {binary} NOT NULL,
    user_id {blob} NOT NULL,
    epoch {blob} NOT NULL,
    revision BIGINT NOT NULL,
    state TEXT NOT NULL,
    reasons TEXT NOT NULL,
    fluent_user_id TEXT NOT NULL,
    pushed_at BIGINT NOT NULL,
    effective_roles TEXT NOT NULL,
    PRIMARY KEY (tenant, user_id)
) {rows by key};

CREATE TABLE tokens (
    id TEXT {binary} NOT NULL PRIMARY KEY,
    tenant TEXT {binary} NOT NULL,
    hash {blob} NOT NULL,
    scopes TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX tokens_by_tenant ON tokens (tenant, created_at, id);

-- Who changed what. `revision` is null for what is no change of the tenant's data, such as issuing a token.
CREATE TABLE audit (
    tenant TEXT {binary} NOT NULL,
    id {blob} NOT NULL,
    at BIGINT NOT NULL,
    revision BIGINT,
    token_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    object TEXT NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {rows by key};

-- What was committed, in order. The parts of one revision are parts of one change.
CREATE TABLE feed (
    tenant TEXT {binary} NOT NULL,
    revision BIGINT NOT NULL,
    part BIGINT NOT NULL,
    at BIGINT NOT NULL,
    takes_away BIGINT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (tenant, revision, part)
) {rows by key};
