//! Users and groups by the million, written as rows straight into the database, as if they had been hired long ago: what
//! the feed and the audit trail said of them is forgotten.

use anyhow::{Context as _, Result};
use rusqlite::Connection;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::person;

/// Members of each of the groups that users are spread over.
pub(super) const TEAM: usize = 1_000;

/// The id of the `n`th user.
pub(super) fn user(n: usize) -> Uuid {
    Uuid::from_u128(0x0199 << 112 | n as u128)
}

/// The id of the `n`th group.
pub(super) fn group(n: usize) -> Uuid {
    Uuid::from_u128(0x01AA << 112 | n as u128)
}

/// The name of the `n`th user.
pub(super) fn name(n: usize) -> String {
    format!("user-{n}")
}

/// What differs between the engines.
struct Dialect {
    /// The numbers from `$from` to `$to`, as a table `numbers (n)`.
    numbers: &'static str,
    /// An id that begins so and ends with a number.
    id: fn(&str, &str) -> String,
    /// A text as bytes.
    bytes: fn(&str) -> String,
    /// What follows a load, so that the planner knows of it.
    end: &'static str,
}

const SQLITE: Dialect = Dialect {
    numbers: "WITH RECURSIVE numbers (n) AS (SELECT $from UNION ALL SELECT n + 1 FROM numbers WHERE n < $to)",
    id: |begins, n| format!("unhex(printf('{begins}%028x', {n}))"),
    bytes: |text| format!("CAST({text} AS BLOB)"),
    end: "",
};
const POSTGRES: Dialect = Dialect {
    numbers: "WITH numbers AS (SELECT n FROM generate_series($from, $to) AS series (n))",
    id: |begins, n| format!("decode('{begins}' || lpad(to_hex({n}), 28, '0'), 'hex')"),
    bytes: |text| format!("convert_to({text}, 'UTF8')"),
    end: "VACUUM (ANALYZE) users, user_emails, outcomes, groups, members",
};

impl Dialect {
    /// The statements that make users `from` to `to` (not included), each in a group of [`TEAM`].
    fn hire(&self, tenant: &str, from: usize, to: usize) -> Vec<String> {
        let numbers = self.numbers.replace("$from", &from.to_string()).replace("$to", &(to - 1).to_string());
        let (user, team) = ((self.id)("0199", "n"), (self.id)("01aa", &format!("(n / {TEAM})")));
        let document = (self.bytes)(&format!("replace('{}', '#', 'user-' || n)", person::document("#")));
        let teams = (self.bytes)("'{\"displayName\":\"team-' || n || '\"}'");
        let (first, last) = (from.div_ceil(TEAM), to.div_ceil(TEAM));
        let groups = self.numbers.replace("$from", &first.to_string()).replace("$to", &(last - 1).to_string());
        let mut statements = vec![
            format!(
                "INSERT INTO users (tenant, id, user_name, user_name_folded, external_id, active, document, created_at, \
                 modified_at, version, stamp) {numbers} SELECT '{tenant}', {user}, 'user-' || n, 'user-' || n, \
                 'ext-user-' || n, 1, {document}, 0, 0, 1, 1 FROM numbers"
            ),
            format!(
                "INSERT INTO user_emails (tenant, folded, user_id) {numbers} \
                 SELECT '{tenant}', 'user-' || n || '@example.com', {user} FROM numbers"
            ),
            format!(
                "INSERT INTO outcomes (tenant, user_id, epoch, revision, state, reasons, fluent_user_id, pushed_at, \
                 effective_roles) {numbers} SELECT '{tenant}', {user}, (SELECT epoch FROM meta), 1, 'provisioned', '[]', \
                 '' || n, 0, '[]' FROM numbers"
            ),
            format!(
                "INSERT INTO members (tenant, group_id, member_id, added, is_group) {numbers} \
                 SELECT '{tenant}', {team}, {user}, 1, 0 FROM numbers"
            ),
            format!("UPDATE tenants SET user_count = user_count + {} WHERE id = '{tenant}'", to - from),
        ];
        if first < last {
            statements.push(self.teams(tenant, &groups, &teams, last - first));
        }
        statements
    }

    fn teams(&self, tenant: &str, numbers: &str, document: &str, count: usize) -> String {
        let id = (self.id)("01aa", "n");
        format!(
            "INSERT INTO groups (tenant, id, display_name, display_name_folded, external_id, document, member_count, \
             created_at, modified_at, version, stamp) {numbers} SELECT '{tenant}', {id}, 'team-' || n, 'team-' || n, NULL, \
             {document}, {TEAM}, 0, 0, 1, 1 FROM numbers; \
             UPDATE tenants SET group_count = group_count + {count} WHERE id = '{tenant}'"
        )
    }

    /// The statements that make a group of the first `members` users.
    fn crowd(&self, tenant: &str, n: usize, members: usize) -> Vec<String> {
        let numbers = self.numbers.replace("$from", "0").replace("$to", &(members - 1).to_string());
        let (id, user) = ((self.id)("01aa", &n.to_string()), (self.id)("0199", "n"));
        let document = (self.bytes)(&format!("'{{\"displayName\":\"crowd-{members}\"}}'"));
        vec![
            format!(
                "INSERT INTO groups (tenant, id, display_name, display_name_folded, external_id, document, member_count, \
                 created_at, modified_at, version, stamp) VALUES ('{tenant}', {id}, 'crowd-{members}', \
                 'crowd-{members}', NULL, {document}, {members}, 0, 0, 1, 1)"
            ),
            format!(
                "INSERT INTO members (tenant, group_id, member_id, added, is_group) {numbers} \
                 SELECT '{tenant}', {id}, {user}, 1, 0 FROM numbers"
            ),
            format!("UPDATE tenants SET group_count = group_count + 1 WHERE id = '{tenant}'"),
        ]
    }
}

/// Makes users 0 to `count`, in teams.
pub(super) async fn hire(database: &str, tenant: &str, count: usize) -> Result<()> {
    run(database, |dialect| dialect.hire(tenant, 0, count)).await
}

/// Makes the `n`th group, of the first `members` users.
pub(super) async fn crowd(database: &str, tenant: &str, n: usize, members: usize) -> Result<()> {
    run(database, |dialect| dialect.crowd(tenant, n, members)).await
}

async fn run(database: &str, statements: impl Fn(&Dialect) -> Vec<String>) -> Result<()> {
    if let Some(path) = database.strip_prefix("sqlite:") {
        let (path, script) = (path.to_owned(), statements(&SQLITE).join(";"));
        return tokio::task::spawn_blocking(move || sqlite(&path, &script)).await?;
    }
    let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
    let driver = tokio::spawn(connection);
    client.batch_execute("SET synchronous_commit = off").await?;
    client.batch_execute(&statements(&POSTGRES).join(";")).await.context("loading rows")?;
    client.batch_execute(POSTGRES.end).await?;
    drop(client);
    Ok(driver.await??)
}

fn sqlite(path: &str, script: &str) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(20))?;
    connection.pragma_update(None, "cache_size", -1_000_000)?;
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {script}; COMMIT")).context("loading rows")?;
    // As a store does by and by: what was written leaves the log.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{group, user};

    #[test]
    fn ids_are_those_that_the_statements_write() {
        assert_eq!(user(255).to_string(), "01990000-0000-0000-0000-0000000000ff");
        assert_eq!(group(16).to_string(), "01aa0000-0000-0000-0000-000000000010");
    }
}
