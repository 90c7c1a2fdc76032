//! The contract's methods: who asks, what is asked, the answer.

use std::sync::Arc;

use domain::clock::Clock;
use futures_util::stream::{self, BoxStream, try_unfold};
use futures_util::{StreamExt as _, TryStreamExt as _};
use proto::roles::v1::label_service_server::LabelService;
use proto::roles::v1::role_service_server::RoleService;
use proto::roles::v1::{
    BatchCheckRoleRequest, BatchCheckRoleResponse, BatchGetEffectiveRolesRequest, BatchGetEffectiveRolesResponse,
    CheckRoleRequest, CheckRoleResponse, ExplainRolesRequest, ExplainRolesResponse, GetEffectiveRolesRequest,
    GetEffectiveRolesResponse, ListLabelsRequest, ListLabelsResponse, ListRoleHoldersRequest, ListRoleHoldersResponse,
    MatchLabelsRequest, MatchLabelsResponse, PreviewChangeRequest, PreviewChangeResponse, WatchRolesRequest,
    WatchRolesResponse,
};
use runtime::error::{Error, Reason};
use runtime::peer::{Caller, require_peer};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::authorise::Authoriser;
use crate::convert::labels::List;
use crate::convert::{self, reports};
use crate::holders::Holders;
use crate::preview::Previews;
use crate::resolver::{Answer, Resolver};
use crate::watch::{Watch, Watching};

/// Both services of the contract; clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) authoriser: Arc<Authoriser>,
    pub(crate) resolver: Arc<Resolver>,
    /// The most watches of one tenant.
    pub(crate) watches: usize,
    pub(crate) previews: Arc<Previews>,
    /// Ends what has no end of its own.
    pub(crate) stop: CancellationToken,
    pub(crate) clock: Clock,
}

impl Service {
    /// What `GetEffectiveRoles` answers from.
    pub(crate) async fn effective(&self, request: Request<GetEffectiveRolesRequest>) -> Result<Answer, Error> {
        let caller = Caller::of(&request);
        let GetEffectiveRolesRequest { tenant, user, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let user = convert::who(user)?;
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        self.resolver.sets(&tenant, &[user], freshness).await
    }
}

/// What a streaming method answers.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl RoleService for Service {
    type ListRoleHoldersStream = Answers<ListRoleHoldersResponse>;
    type WatchRolesStream = Answers<WatchRolesResponse>;
    type PreviewChangeStream = Answers<PreviewChangeResponse>;

    async fn get_effective_roles(
        &self,
        request: Request<GetEffectiveRolesRequest>,
    ) -> Result<Response<GetEffectiveRolesResponse>, Status> {
        Ok(Response::new(convert::one(self.effective(request).await?)?))
    }

    async fn batch_get_effective_roles(
        &self,
        request: Request<BatchGetEffectiveRolesRequest>,
    ) -> Result<Response<BatchGetEffectiveRolesResponse>, Status> {
        let caller = Caller::of(&request);
        let BatchGetEffectiveRolesRequest { tenant, users, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let users = convert::whos(users)?;
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let answer = self.resolver.sets(&tenant, &users, freshness).await?;
        Ok(Response::new(convert::batch(answer)?))
    }

    async fn check_role(&self, request: Request<CheckRoleRequest>) -> Result<Response<CheckRoleResponse>, Status> {
        let caller = Caller::of(&request);
        let CheckRoleRequest { tenant, user, grant, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let (user, grant) = (convert::who(user)?, convert::grant(grant)?);
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let answer = self.resolver.sets(&tenant, &[user], freshness).await?;
        Ok(Response::new(convert::check(answer, &grant)?))
    }

    async fn batch_check_role(
        &self,
        request: Request<BatchCheckRoleRequest>,
    ) -> Result<Response<BatchCheckRoleResponse>, Status> {
        let caller = Caller::of(&request);
        let BatchCheckRoleRequest { tenant, checks, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let (users, grants): (Vec<_>, Vec<_>) = convert::checks(checks)?.into_iter().unzip();
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let answer = self.resolver.sets(&tenant, &users, freshness).await?;
        Ok(Response::new(convert::batch_check(answer, &grants)))
    }

    async fn explain_roles(
        &self,
        request: Request<ExplainRolesRequest>,
    ) -> Result<Response<ExplainRolesResponse>, Status> {
        let caller = Caller::of(&request);
        let ExplainRolesRequest { tenant, user, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let user = convert::who(user)?;
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let (id, explanation, token) = self.resolver.explain(&tenant, &user, freshness).await?;
        Ok(Response::new(reports::explanation(id, explanation, token)))
    }

    async fn list_role_holders(
        &self,
        request: Request<ListRoleHoldersRequest>,
    ) -> Result<Response<Self::ListRoleHoldersStream>, Status> {
        let caller = Caller::of(&request);
        let ListRoleHoldersRequest { tenant, grant, consistency, after_user_id } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let grant = convert::grant(grant)?;
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let holders = Holders::new(tenant.clone(), grant, freshness, reports::after(&after_user_id)?);
        let start = (holders, self.clone(), caller, tenant);
        let answers = try_unfold(start, async |(mut holders, service, caller, tenant)| {
            // A caller may take its time, and its token may end meanwhile.
            service.authoriser.tenant(&caller, tenant.as_str()).await?;
            let found = holders.next(&service.resolver).await?;
            Ok(found.map(|found| (reports::holders(found, holders.grant()), (holders, service, caller, tenant))))
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn watch_roles(
        &self,
        request: Request<WatchRolesRequest>,
    ) -> Result<Response<Self::WatchRolesStream>, Status> {
        let caller = Caller::of(&request);
        let WatchRolesRequest { tenant, after } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let after = convert::position_after(&after, &self.resolver.key, &tenant)?;
        let watch = Watch::begin(&self.resolver, tenant, after, self.watches).await?;
        let watching = Watching::new(watch, Arc::clone(&self.resolver));
        let answers = try_unfold((watching, self.clone(), caller), async |(mut watching, service, caller)| {
            let news = service.stop.run_until_cancelled(watching.next()).await;
            let stopping = || Error::new(Reason::SHUTTING_DOWN, "this process is stopping; watch on by another");
            let news = news.ok_or_else(stopping)??;
            // The token may have ended while there was nothing to tell.
            service.authoriser.tenant(&caller, watching.tenant().as_str()).await?;
            let messages = reports::news(news, |told| service.resolver.key.seal(watching.tenant(), told));
            Ok::<_, Status>(Some((messages, (watching, service, caller))))
        });
        Ok(Response::new(answers.map_ok(|messages| stream::iter(messages).map(Ok)).try_flatten().boxed()))
    }

    async fn preview_change(
        &self,
        request: Request<PreviewChangeRequest>,
    ) -> Result<Response<Self::PreviewChangeStream>, Status> {
        let caller = Caller::of(&request);
        let PreviewChangeRequest { tenant, change } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let change = reports::change(change)?;
        let turn = self.previews.turn(&tenant)?;
        let found = self.resolver.store.preview(&tenant, change).await?;
        let start = (found, turn, self.clone(), caller, tenant);
        let answers = try_unfold(start, async |(mut found, turn, service, caller, tenant)| {
            service.authoriser.tenant(&caller, tenant.as_str()).await?;
            let Some(page) = found.next().await? else { return Ok(None) };
            let token = service.resolver.key.seal(&tenant, page.position);
            Ok::<_, Status>(Some((reports::differences(page, token), (found, turn, service, caller, tenant))))
        });
        Ok(Response::new(answers.boxed()))
    }
}

#[tonic::async_trait]
impl LabelService for Service {
    async fn match_labels(
        &self,
        request: Request<MatchLabelsRequest>,
    ) -> Result<Response<MatchLabelsResponse>, Status> {
        require_peer(&request)?;
        let MatchLabelsRequest { tenant, labels, with_grants } = request.into_inner();
        let tenant = convert::tenant(&tenant)?;
        let labels = convert::labels(&labels)?;
        Ok(Response::new(convert::matched(self.resolver.matched(&tenant, labels, with_grants).await?)))
    }

    async fn list_labels(&self, request: Request<ListLabelsRequest>) -> Result<Response<ListLabelsResponse>, Status> {
        require_peer(&request)?;
        let request = request.into_inner();
        let tenant = convert::tenant(&request.tenant)?;
        let (list, asked) = List::asked(request, &tenant, &self.resolver.key, self.clock.now())?;
        Ok(Response::new(list.answer(self.resolver.offered(&tenant, asked).await?)))
    }
}
