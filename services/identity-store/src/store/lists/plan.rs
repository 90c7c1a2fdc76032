//! How the database finds what lists and look-ups ask for: what tests assert and benchmarks print.

use domain::id::{TenantId, UserId};
use scim::schema::Schemas;
use sql::params;

use super::super::filter::Criterion;
use super::super::users;
use super::order::Order;
use super::walk::Walk;
use super::{Listed, Store};
use crate::failure::Failure;
use crate::model::{Group, ListRequest, User};

impl Store {
    /// The database's plan for the statement that a list of users begins with, a line each.
    pub async fn plan_users(&self, tenant: &TenantId, wanted: &ListRequest) -> Result<Vec<String>, Failure> {
        self.plan_list::<User>(tenant, wanted).await
    }

    /// The database's plan for the statement that a list of groups begins with, a line each.
    pub async fn plan_groups(&self, tenant: &TenantId, wanted: &ListRequest) -> Result<Vec<String>, Failure> {
        self.plan_list::<Group>(tenant, wanted).await
    }

    /// The database's plan for a look-up of one user with its groups, a line each.
    pub async fn plan_user(&self, tenant: &TenantId, id: UserId) -> Result<Vec<String>, Failure> {
        let (sql, values) = (users::get(true), params![tenant.as_str(), id.as_bytes()]);
        Ok(self.database.read(move |tx| Box::pin(async move { tx.explain(sql, values).await })).await?)
    }

    async fn plan_list<T: Listed>(&self, tenant: &TenantId, wanted: &ListRequest) -> Result<Vec<String>, Failure> {
        let ListRequest { filter, sort, start, count, base_url } = wanted;
        let schema = T::schema(Schemas::BUILT_IN);
        let (order, criterion) =
            (Order::of(sort.as_ref(), T::KIND, schema)?, Criterion::parse(filter, T::KIND, schema)?);
        let count = *count as usize;
        let reach = criterion.reach();
        let walk = Walk { tenant, criterion, reach, order, start, count, base_url, kept: None, with_groups: false };
        let (sql, values) = walk.first::<T>()?;
        Ok(self.database.read(move |tx| Box::pin(async move { tx.explain(&sql, values).await })).await?)
    }
}
