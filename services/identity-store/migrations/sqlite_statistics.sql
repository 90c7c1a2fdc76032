-- SQLite alone. Without statistics it takes a tenant for a handful of rows, and would rather read all of them than look
-- up ids. What every deployment has in common is the opposite, few tenants with many rows, so that is what it is told:
-- for each index, how many rows there are, then how many have the same first column, the same first two, and so on.
-- Fixed numbers give fixed plans.
ANALYZE meta;
DELETE FROM sqlite_stat1 WHERE tbl IN ('users', 'user_emails', 'deleted_users', 'groups', 'members', 'labels',
    'label_readings', 'group_labels', 'outcomes', 'tokens', 'audit', 'feed');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('users', 'sqlite_autoindex_users_1', '1000000 500000 1'),
    ('users', 'users_by_name', '1000000 500000 1'),
    ('users', 'users_by_external_id', '1000000 500000 1'),
    ('users', 'users_inactive', '10000 5000 1'),
    ('users', 'users_inactive_by_name', '10000 5000 1'),
    ('user_emails', 'user_emails', '1000000 500000 2 1'),
    ('deleted_users', 'deleted_users', '100000 50000 1'),
    ('groups', 'sqlite_autoindex_groups_1', '10000 5000 1'),
    ('groups', 'groups_by_name', '10000 5000 1'),
    ('groups', 'groups_by_external_id', '10000 5000 1'),
    ('members', 'members', '10000000 5000000 1000 2 1'),
    ('members', 'members_by_member', '10000000 5000000 10 1'),
    ('members', 'members_nested', '20000 10000 5 1'),
    ('members', 'members_gone', '1000000 500000 100'),
    ('labels', 'labels', '1000000 500000 3 1'),
    ('labels', 'labels_by_text', '1000000 500000 1000'),
    ('label_readings', 'label_readings', '1000000 500000 3 3 2 1'),
    ('label_readings', 'label_readings_by_role', '1000000 500000 200'),
    ('label_readings', 'label_readings_by_context', '1000000 500000 200000 50'),
    ('group_labels', 'group_labels', '10000 5000 2000 1'),
    ('outcomes', 'outcomes', '1000000 500000 1'),
    ('tokens', 'sqlite_autoindex_tokens_1', '100 1'),
    ('tokens', 'tokens_by_tenant', '100 50 2 1'),
    ('audit', 'audit', '1000000 500000 1'),
    ('feed', 'feed', '1000000 500000 1 1'),
    ('feed', 'feed_taking_away', '100000 50000 1 1');
ANALYZE sqlite_schema;
