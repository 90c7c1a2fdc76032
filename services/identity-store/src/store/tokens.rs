//! Bearer tokens: what is kept of them, and whether one is good.

use std::time::Duration;

use domain::access_token::{Presented, Scope};
use domain::clock::Timestamp;
use domain::id::TenantId;
use domain::token::{BearerToken, Kept, TokenHash, TokenId};
use domain::token_age::Ageing;
use sql::{Row, Statement, Value, params};

use super::audit::Record;
use super::{Store, list_from_db, list_to_db, time};
use crate::failure::Failure;
use crate::model::{Actor, IssuedAccessToken, IssuedToken, TokenRecord, VerifiedToken};

/// The most good tokens a tenant may have: enough for rotation everywhere it matters.
const MOST: i64 = 5;
/// The shortest and the longest life of an access token.
const ACCESS_SHORTEST: Duration = Duration::from_mins(1);
const ACCESS_LONGEST: Duration = Duration::from_hours(6);
const DAY: Duration = Duration::from_hours(24);
/// How coarsely last use is recorded, so that a busy token does not write.
const HOUR: Duration = Duration::from_hours(1);

impl Store {
    /// Makes a token that lives `days` days. It is there this once.
    pub async fn issue_token(
        &self,
        tenant: &TenantId,
        scopes: &[String],
        days: u32,
        note: &str,
    ) -> Result<IssuedToken, Failure> {
        self.keep_token(tenant, BearerToken::generate(), scopes, days, note).await
    }

    /// Keeps a token that its holder has already: for a development set-up with a fixed one. The same token again only
    /// gets its new life.
    pub async fn keep_token(
        &self,
        tenant: &TenantId,
        token: BearerToken,
        scopes: &[String],
        days: u32,
        note: &str,
    ) -> Result<IssuedToken, Failure> {
        const LOCK: &str = "SELECT id FROM tenants WHERE id = $1 {for update}";
        const GOOD: &str = "SELECT COUNT(*) FROM tokens \
             WHERE tenant = $1 AND id <> $2 AND expires_at > $3 AND revoked_at IS NULL";
        const INSERT: &str = "INSERT INTO tokens (id, tenant, hash, scopes, note, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, \
             scopes = excluded.scopes, note = excluded.note, expires_at = excluded.expires_at, revoked_at = NULL \
             WHERE tokens.tenant = excluded.tenant";
        let scopes = sound_scopes(scopes)?;
        if !(1..=365).contains(&days) {
            return Err(Failure::Invalid { field: "days", expected: "it must be 1 to 365".into() });
        }
        if note.chars().count() > 200 || note.chars().any(char::is_control) {
            let expected = "it must be at most 200 characters, none of them a control character".into();
            return Err(Failure::Invalid { field: "note", expected });
        }
        let now = self.clock.now();
        let expires_at = now.plus(DAY * days);
        let hash = token.hash(&self.peppers.current);
        let (tenant, id, note) = (tenant.clone(), token.id().clone(), note.to_owned());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    tx.row(LOCK, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
                    let good = tx.row(GOOD, params![tenant.as_str(), id.as_str(), now.0]).await?;
                    if good.ok_or(Failure::Internal)?.int(0)? >= MOST {
                        return Err(Failure::TooManyTokens);
                    }
                    let insert = Statement::new(
                        INSERT,
                        params![
                            id.as_str(),
                            tenant.as_str(),
                            hash.as_bytes(),
                            list_to_db(scopes.iter().map(String::as_str)),
                            note,
                            now.0,
                            expires_at.0,
                        ],
                    );
                    let written = tx.batch(vec![insert, audit(&tenant, now, "token.issue", &id)]).await?;
                    if written.first() == Some(&1) { Ok(()) } else { Err(Failure::TokenInvalid) }
                })
            })
            .await?;
        Ok(IssuedToken { token, expires_at })
    }

    /// A tenant's tokens in the order they were made, never their secrets.
    pub async fn list_tokens(&self, tenant: &TenantId) -> Result<Vec<TokenRecord>, Failure> {
        const LIST: &str = "SELECT id, scopes, note, created_at, expires_at, revoked_at, last_used_at FROM tokens \
             WHERE tenant = $1 ORDER BY created_at, id LIMIT 1000";
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    super::standing(tx, &tenant).await?;
                    tx.rows(LIST, params![tenant.as_str()]).await?.iter().map(record).collect()
                })
            })
            .await
    }

    /// The good tokens of all tenants that an operator should hear of, each with its tenant.
    pub async fn ageing_tokens(&self) -> Result<Vec<(TenantId, TokenId, Ageing)>, Failure> {
        const AGEING: &str = "SELECT tenant, id, created_at, expires_at FROM tokens \
             WHERE revoked_at IS NULL AND expires_at > $1 AND (expires_at <= $2 OR created_at <= $3) \
             ORDER BY tenant, id LIMIT 10000";
        let now = self.clock.now();
        let (ends_by, made_before) = Ageing::horizon(now);
        let values = params![now.0, ends_by.0, made_before.0];
        let rows = self
            .database
            .read(move |tx| Box::pin(async move { Ok::<_, Failure>(tx.rows(AGEING, values).await?) }))
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(ageing) = Ageing::of(time(row, 2)?, time(row, 3)?, now) {
                found.push((row.text(0)?.parse()?, row.text(1)?.parse().map_err(|_| Failure::Internal)?, ageing));
            }
        }
        Ok(found)
    }

    /// Ends a token at once. One that is revoked already stays so.
    pub async fn revoke_token(&self, tenant: &TenantId, id: &TokenId) -> Result<(), Failure> {
        const REVOKE: &str = "UPDATE tokens SET revoked_at = COALESCE(revoked_at, $3) WHERE id = $1 AND tenant = $2";
        let (tenant, id, now) = (tenant.clone(), id.clone(), self.clock.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    if tx.execute(REVOKE, params![id.as_str(), tenant.as_str(), now.0]).await? == 0 {
                        return Err(Failure::TokenNotFound);
                    }
                    tx.batch(vec![audit(&tenant, now, "token.revoke", &id)]).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Whether a token is good, one that was issued or one got with such a token. [`Failure::TokenInvalid`] for every one
    /// that is not, whatever is wrong with it, and in the same time: an unknown one is compared with a dummy.
    pub async fn verify_token(&self, text: &str) -> Result<VerifiedToken, Failure> {
        self.verify(&text.parse().map_err(|_| Failure::TokenInvalid)?).await
    }

    /// Makes an access token for the holder of a token that was issued: for what `scopes` say, or all that it may.
    pub async fn issue_access_token(
        &self,
        text: &str,
        scopes: &[String],
        lifetime: Duration,
    ) -> Result<IssuedAccessToken, Failure> {
        let token: BearerToken = text.parse().map_err(|_| Failure::TokenInvalid)?;
        if !(ACCESS_SHORTEST..=ACCESS_LONGEST).contains(&lifetime) {
            return Err(Failure::Invalid { field: "lifetime", expected: "it must be 60 to 21,600 seconds".into() });
        }
        let VerifiedToken { id, tenant, scopes: has, expires_at } = self.verify(&Presented::Issued(token)).await?;
        let wanted = match scopes {
            [] => has,
            scopes => {
                let lacking =
                    || Failure::Invalid { field: "scopes", expected: "the token does not have them all".into() };
                let wanted: Option<Vec<_>> = scopes.iter().map(|scope| Scope::named(scope)).collect();
                let covered = |wanted: &Scope| has.iter().any(|scope| scope.covers(*wanted));
                wanted.filter(|wanted| wanted.iter().all(covered)).ok_or_else(lacking)?
            }
        };
        let ends = self.clock.now().plus(lifetime).min(expires_at);
        let token = self.access_keys.make(&tenant, &id, &wanted, ends);
        Ok(IssuedAccessToken { expires_at: token.ends(), scopes: token.scopes(), token })
    }

    async fn verify(&self, presented: &Presented) -> Result<VerifiedToken, Failure> {
        const FIND: &str =
            "SELECT tenant, hash, scopes, expires_at, revoked_at, last_used_at FROM tokens WHERE id = $1";
        let id = presented.id().clone();
        let sought = id.clone();
        let row = self
            .database
            .read(move |tx| Box::pin(async move { Ok::<_, Failure>(tx.row(FIND, params![sought.as_str()]).await?) }))
            .await?;
        let mut moves = None;
        let same = match presented {
            Presented::Issued(token) => {
                let hash = match &row {
                    Some(row) => TokenHash::from_slice(row.bytes(1)?).ok_or(Failure::Internal)?,
                    None => self.dummy,
                };
                let kept = self.peppers.keep(hash, token);
                moves = (kept == Some(Kept::Second)).then(|| (hash, token.hash(&self.peppers.current)));
                kept.is_some()
            }
            Presented::Access(token) => {
                let tenant = row.as_ref().map_or(Ok("nobody"), |row| row.text(0))?.parse()?;
                self.access_keys.made(&tenant, token)
            }
        };
        let now = self.clock.now();
        let row = row.filter(|_| same).ok_or(Failure::TokenInvalid)?;
        let mut expires_at = time(&row, 3)?;
        let mut scopes = scopes_from_db(row.text(2)?)?;
        if let Presented::Access(token) = presented {
            expires_at = expires_at.min(token.ends());
            let has = std::mem::replace(&mut scopes, token.scopes());
            scopes.retain(|scope| has.iter().any(|has| has.covers(*scope)));
        }
        if row.maybe_int(4)?.is_some() || expires_at <= now {
            return Err(Failure::TokenInvalid);
        }
        if let Some((from, to)) = moves {
            self.move_over(&id, from, to);
        }
        if row.maybe_int(5)?.is_none_or(|used| now.since(Timestamp(used)) >= HOUR) {
            self.record_use(&id, now);
        }
        Ok(VerifiedToken { id, tenant: row.text(0)?.parse()?, scopes, expires_at })
    }

    /// Notes that a token was used.
    fn record_use(&self, id: &TokenId, now: Timestamp) {
        const USED: &str = "UPDATE tokens SET last_used_at = $2 WHERE id = $1 \
             AND (last_used_at IS NULL OR last_used_at < $2)";
        self.note(USED, params![id.as_str(), now.0]);
    }

    /// Keeps a token under the pepper in use.
    fn move_over(&self, id: &TokenId, from: TokenHash, to: TokenHash) {
        const MOVE: &str = "UPDATE tokens SET hash = $3 WHERE id = $1 AND hash = $2";
        self.note(MOVE, params![id.as_str(), from.as_bytes(), to.as_bytes()]);
    }

    /// Writes something about a token down without making its holder wait: it is written when it is used again.
    fn note(&self, sql: &'static str, values: Vec<Value>) {
        let database = self.database.clone();
        tokio::spawn(async move {
            let noted = database
                .write(move |tx| Box::pin(async move { Ok::<_, Failure>(tx.execute(sql, values).await?) }))
                .await;
            if let Err(failure) = noted {
                tracing::warn!(%failure, "what was to be noted of a token was not written");
            }
        });
    }
}

/// The scopes asked for, each once.
fn sound_scopes(scopes: &[String]) -> Result<Vec<String>, Failure> {
    if scopes.is_empty() || scopes.iter().any(|scope| Scope::named(scope).is_none()) {
        let known = Scope::ALL.map(|scope| format!("{:?}", scope.as_str())).join(", ");
        return Err(Failure::Invalid { field: "scopes", expected: format!("they must be one or more of {known}") });
    }
    let wanted = Scope::ALL.into_iter().map(Scope::as_str).filter(|known| scopes.iter().any(|scope| scope == known));
    Ok(wanted.map(str::to_owned).collect())
}

fn scopes_from_db(text: &str) -> Result<Vec<Scope>, Failure> {
    Ok(list_from_db(text)?.iter().filter_map(|scope| Scope::named(scope)).collect())
}

fn record(row: &Row) -> Result<TokenRecord, Failure> {
    Ok(TokenRecord {
        id: row.text(0)?.parse().map_err(|_| Failure::Internal)?,
        scopes: scopes_from_db(row.text(1)?)?,
        note: row.text(2)?.to_owned(),
        created_at: time(row, 3)?,
        expires_at: time(row, 4)?,
        revoked_at: row.maybe_int(5)?.map(Timestamp),
        last_used_at: row.maybe_int(6)?.map(Timestamp),
    })
}

fn audit(tenant: &TenantId, at: Timestamp, operation: &'static str, id: &TokenId) -> Statement {
    let actor = &Actor::default();
    Record { tenant, at, revision: None, actor, operation, object: id.to_string() }.write([])
}
