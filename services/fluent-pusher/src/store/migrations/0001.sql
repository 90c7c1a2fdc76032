CREATE TABLE push_positions (
    tenant TEXT {binary} NOT NULL,
    epoch {blob} NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant)
) {rows by key};

CREATE TABLE push_work (
    tenant TEXT {binary} NOT NULL,
    -- The folded user name: Fluent's accounts are told apart by name.
    account TEXT {binary} NOT NULL,
    -- The user who bears the name, and how the feed last spelled it.
    user_id {blob} NOT NULL,
    user_name TEXT NOT NULL,
    -- What is wanted: the account as of this revision or later.
    desired_epoch {blob} NOT NULL,
    desired_revision BIGINT NOT NULL,
    -- Whether the user had another account, lost it to the next bearer of that name, and waits for an operator.
    renamed BIGINT NOT NULL,
    -- The feed's word that the user is deleted or inactive. Confirmed before it is acted on.
    gone BIGINT NOT NULL,
    -- How urgent: 2 if the account may have to be closed, 1 if something may have to be taken away, else 0; and since
    -- when it is one of the first two (microseconds since the Unix epoch).
    revokes BIGINT NOT NULL,
    revokes_since BIGINT,
    -- When it is next due; null once what is wanted is reached, or has failed for good.
    due_at BIGINT,
    attempts BIGINT NOT NULL,
    -- Which instance works on it, until when, under which number.
    lease_owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    -- Why a person should look at it.
    attention TEXT,
    detail TEXT,
    -- An outcome that identity-store has not been told yet.
    report {blob},
    PRIMARY KEY (tenant, account)
) {rows by key};

CREATE INDEX push_work_due ON push_work (tenant, revokes DESC, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX push_work_user ON push_work (tenant, user_id);
CREATE INDEX push_work_report ON push_work (tenant) WHERE report IS NOT NULL;
CREATE INDEX push_work_attention ON push_work (tenant) WHERE attention IS NOT NULL;

CREATE TABLE push_ledger (
    tenant TEXT {binary} NOT NULL,
    account TEXT {binary} NOT NULL,
    -- Null once the account was given up for another, after a rename.
    user_id {blob},
    -- The name as the account bears it, exactly.
    user_name TEXT NOT NULL,
    -- Null while it is being made.
    fluent_id TEXT,
    -- creating, ours or parked; and since when (microseconds since the Unix epoch).
    standing TEXT NOT NULL,
    since BIGINT NOT NULL,
    -- adopt, replace or keep; and the folded user name it was decided for.
    decision TEXT,
    decided_for TEXT,
    -- What adoption took away, as JSON.
    lost TEXT,
    PRIMARY KEY (tenant, account)
) {rows by key};

CREATE INDEX push_ledger_user ON push_ledger (tenant, user_id);

CREATE TABLE push_leases (
    tenant TEXT {binary} NOT NULL,
    owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    -- When the last complete read was begun.
    read_at BIGINT NOT NULL,
    PRIMARY KEY (tenant)
) {rows by key};
