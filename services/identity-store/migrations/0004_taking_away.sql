-- What takes access away overtakes everything else: its newest revision is told with the head, and its entries are found
-- without a look at the others.
ALTER TABLE tenants ADD COLUMN taken_away BIGINT NOT NULL DEFAULT 0;
CREATE INDEX feed_taking_away ON feed (tenant, revision, part) WHERE takes_away = 1;
UPDATE tenants SET taken_away =
    COALESCE((SELECT MAX(revision) FROM feed WHERE feed.tenant = tenants.id AND takes_away = 1), 0);
