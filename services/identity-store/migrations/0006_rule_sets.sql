-- Rule sets are read whole and replaced whole, each one document in the JSON format of Fluent's own setting. `source` is
-- 'own' for the tenant's table and 'fluent' for Fluent's setting, whose id is then kept too. Nothing was ever written to
-- the rows they replace.
DROP TABLE rules;
CREATE TABLE rule_sets (
    tenant TEXT {binary} NOT NULL,
    source TEXT {binary} NOT NULL,
    document TEXT NOT NULL,
    setting_id TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, source)
) {rows by key};

-- What is wrong with Fluent's setting as last read, for as long as it is.
CREATE TABLE rule_faults (
    tenant TEXT {binary} NOT NULL PRIMARY KEY,
    fault TEXT NOT NULL,
    since BIGINT NOT NULL
) {rows by key};
