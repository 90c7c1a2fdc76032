//! How many users are inactive, counted anew: a replica of an older version, which writes while others are brought up to
//! date, does not count them.

use domain::id::TenantId;
use sql::params;

use super::Store;
use crate::failure::Failure;

impl Store {
    /// Puts right, for every tenant, what is wrong.
    pub async fn recount(&self) -> Result<(), Failure> {
        for tenant in self.list_tenants().await? {
            if self.is_miscounted(&tenant).await? {
                tracing::info!(%tenant, "its inactive users are counted anew");
                self.count_anew(tenant).await?;
            }
        }
        Ok(())
    }

    async fn is_miscounted(&self, tenant: &TenantId) -> Result<bool, Failure> {
        const BOTH: &str = "SELECT inactive_count, (SELECT COUNT(*) FROM users WHERE tenant = $1 AND active = 0) \
             FROM tenants WHERE id = $1";
        let values = params![tenant.as_str()];
        let row = self
            .database
            .read(move |tx| Box::pin(async move { Ok::<_, Failure>(tx.row(BOTH, values).await?) }))
            .await?;
        row.map_or(Ok(false), |row| Ok(row.int(0)? != row.int(1)?))
    }

    async fn count_anew(&self, tenant: TenantId) -> Result<(), Failure> {
        const LOCK: &str = "SELECT id FROM tenants WHERE id = $1 {for update}";
        const COUNT: &str = "UPDATE tenants SET inactive_count = \
             (SELECT COUNT(*) FROM users WHERE tenant = $1 AND active = 0) WHERE id = $1";
        let write = self.database.write(move |tx| {
            Box::pin(async move {
                // Nobody comes or goes between the count and its commit.
                tx.row(LOCK, params![tenant.as_str()]).await?;
                tx.execute(COUNT, params![tenant.as_str()]).await?;
                Ok::<_, Failure>(())
            })
        });
        write.await
    }
}
