//! Three ways to a page: by an index alone, by an index with the evaluator beside it, and by looking at everything.
//!
//! Each is bounded. A page by position that would take a look at too many resources is refused; a page by place ends
//! early instead, for the next one goes on from there. Whom a filter names and who should be few are read at once; if they
//! are not few after all, the walk begins anew as one among many.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use domain::id::TenantId;
use scim::filter::Reach;
use scim::sort::Sort;
use serde_json::{Map, Value as Json};
use sql::{Row, Tx, Value, params};

use super::super::filter::Criterion;
use super::Listed;
use super::memberships::{self, Memberships};
use super::order::{By, Order};
use crate::failure::Failure;
use crate::model::{Page, Spot, Start};

/// About how much one page holds, in bytes of documents: what fits in a message with room to spare.
const BYTES: usize = 8 << 20;
/// How many rows are fetched at a time.
const ROWS: usize = 250;
/// The most resources looked at for a page by position, or by an order without an index.
const SCANNED: usize = 100_000;
/// The most resources looked at for a page by place.
const LOOKED: usize = 10_000;

/// A page to be read.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) criterion: Criterion,
    /// How those are read that the criterion leaves: [`Reach::Many`] for those who should have been few.
    pub(super) reach: Reach,
    pub(super) order: Order,
    pub(super) start: &'a Start,
    pub(super) count: usize,
    pub(super) base_url: &'a str,
    /// How many match in all, if that is known without counting.
    pub(super) kept: Option<u64>,
    /// Whether the groups that users are in are wanted.
    pub(super) with_groups: bool,
}

/// How many match in all, where that is known.
type Total = Option<u64>;

impl Walk<'_> {
    /// The page; `None` if those who should be few are not.
    pub(super) async fn page<T: Listed>(&self, tx: &mut Tx<'_>) -> Result<Option<Page<T>>, Failure> {
        let read = match self.order.by {
            By::Attribute(sort) => self.sorted(tx, sort).await?,
            By::Id | By::Name(_) if self.criterion.is_exact() => Some(self.indexed(tx).await?),
            By::Id | By::Name(_) => self.evaluated(tx).await?,
        };
        let Some((mut page, total)) = read else { return Ok(None) };
        if self.with_groups {
            T::add_groups(tx, self.tenant, &mut page.items).await?;
            page.shortened();
        }
        Ok(Some(page.end(self.start, total)))
    }

    /// The database decides what matches, and an index knows the order.
    async fn indexed<T: Listed>(&self, tx: &mut Tx<'_>) -> Result<(Filling<T>, Total), Failure> {
        let mut page = Filling::new(self.count);
        let (mut after, mut ended) = match self.skipped() {
            0 => (self.after(), false),
            skipped => {
                let last = self.skip::<T>(tx, skipped).await?;
                let beyond = last.is_none();
                (last, beyond)
            }
        };
        while self.count > 0 && !ended && !page.more {
            // One more than is wanted tells whether there are more.
            let limit = ROWS.min(self.count + 1 - page.items.len());
            let rows = self.rows::<T>(tx, after.as_ref(), limit).await?;
            ended = rows.len() < limit;
            for row in &rows {
                let place = self.order.place(row, T::WIDTH)?;
                page.take(T::read(row)?, &place);
                after = Some(place);
            }
        }
        Ok((page, self.kept))
    }

    /// The database narrows down, the evaluator decides, and an index knows the order.
    async fn evaluated<T: Listed>(&self, tx: &mut Tx<'_>) -> Result<Option<(Filling<T>, Total)>, Failure> {
        let by_place = matches!(self.start, Start::After(_));
        let mut page = Filling::new(self.count);
        let mut look = self.look::<T>(self.after());
        let mut matched = 0_u64;
        while !look.ended() && !(by_place && (page.is_full() || look.looked >= LOOKED)) {
            let Some(seen) = self.some(tx, &mut look).await? else { return Ok(None) };
            if !by_place {
                look.check()?;
            }
            for (place, item, whole) in seen {
                if self.criterion.matches(&whole) {
                    matched += 1;
                    if matched > self.skipped() {
                        page.take(item, &place);
                    }
                }
            }
        }
        if by_place && !look.ended() && !page.more {
            // What was looked at and does not match need not be looked at again.
            page.looked = look.after;
            page.more = true;
        }
        Ok(Some((page, (!by_place).then_some(matched))))
    }

    /// No index knows the order: everything that matches is looked at.
    async fn sorted<T: Listed>(&self, tx: &mut Tx<'_>, sort: Sort) -> Result<Option<(Filling<T>, Total)>, Failure> {
        let by_id = Self { order: Order { by: By::Id, descending: false }, criterion: self.criterion.clone(), ..*self };
        let mut places = Vec::new();
        let mut look = by_id.look::<T>(None);
        while !look.ended() {
            let Some(seen) = by_id.some::<T>(tx, &mut look).await? else { return Ok(None) };
            look.check()?;
            for (place, _, whole) in seen {
                if self.criterion.matches(&whole) {
                    places.push(Spot { key: Some(sort.key(&whole)), ..place });
                }
            }
        }
        let total = places.len() as u64;
        places.sort_unstable_by(|a, b| if self.order.descending { b.cmp(a) } else { a.cmp(b) });
        let first = match self.start {
            Start::Index(_) => usize::try_from(self.skipped()).unwrap_or(usize::MAX),
            Start::After(None) => 0,
            Start::After(Some(place)) => {
                places.partition_point(|other| if self.order.descending { other >= place } else { other <= place })
            }
        };
        let rest = places.get(first..).unwrap_or_default();
        let mut page = Filling::new(self.count);
        for wanted in rest[..rest.len().min(self.count)].chunks(ROWS) {
            let mut found = self.named::<T>(tx, wanted).await?;
            for place in wanted {
                page.take(found.remove(&place.id).ok_or(Failure::Internal)?, place);
            }
            if page.is_full() {
                break;
            }
        }
        page.more |= rest.len() > self.count;
        Ok(Some((page, Some(total))))
    }

    /// Begins to look at what can match, from a place on.
    fn look<T: Listed>(&self, after: Option<Spot>) -> Look<T> {
        let memberships = Memberships::of(self.criterion.query(), T::KIND);
        let (named, read) = (VecDeque::new(), VecDeque::new());
        Look { named, all_named: false, read, all_read: false, memberships, after, looked: 0 }
    }

    /// Looks at some more: resources with their places, and as clients see them. `None` if there are too many to be read
    /// as few.
    async fn some<T: Listed>(&self, tx: &mut Tx<'_>, look: &mut Look<T>) -> Result<Option<Vec<Seen<T>>>, Failure> {
        if look.read.is_empty() {
            match self.reach {
                Reach::Many => self.read_named(tx, look).await?,
                Reach::Few | Reach::All => self.read_rows(tx, look).await?,
            }
        }
        if self.reach == Reach::Few && !look.all_read {
            return Ok(None);
        }
        let mut count = look.within_bounds();
        let (wholes, told) = loop {
            let some = look.read.iter().take(count);
            let ids: Vec<_> = some.clone().map(|(item, _)| item.id()).collect();
            let mut wholes = some.map(|(item, _)| item.whole(self.base_url)).collect::<Result<Vec<_>, _>>()?;
            match look.memberships.tell(tx, self.tenant, self.base_url, &ids, &mut wholes).await? {
                Some(told) => break (wholes, told),
                // One resource alone has more of them than may be looked at.
                None if count <= 1 => return Err(too_many()),
                None => count /= 2,
            }
        };
        let found: Vec<_> = look.read.drain(..count).collect();
        look.looked += found.len() + told;
        if let Some((_, place)) = found.last() {
            look.after = Some(place.clone());
        }
        Ok(Some(found.into_iter().zip(wholes).map(|((item, place), whole)| (place, item, whole)).collect()))
    }

    /// Reads the next few rows.
    async fn read_rows<T: Listed>(&self, tx: &mut Tx<'_>, look: &mut Look<T>) -> Result<(), Failure> {
        let rows = self.rows::<T>(tx, look.after.as_ref(), ROWS).await?;
        look.all_read = rows.len() < ROWS;
        for row in &rows {
            look.read.push_back((T::read(row)?, self.order.place(row, T::WIDTH)?));
        }
        Ok(())
    }

    /// Reads the next few of many whom an index names. Their places are read by the ten thousand: to find the next few, the
    /// database finds all of them again.
    async fn read_named<T: Listed>(&self, tx: &mut Tx<'_>, look: &mut Look<T>) -> Result<(), Failure> {
        if look.named.is_empty() {
            let (sql, values) = self.names::<T>(look.after.as_ref())?;
            let rows = tx.composed(&sql, values).await?;
            look.all_named = rows.len() < LOOKED;
            look.named = rows.iter().map(|row| self.order.place(row, 1)).collect::<Result<_, _>>()?;
        }
        let places: Vec<_> = look.named.drain(..ROWS.min(look.named.len())).collect();
        look.all_read = look.all_named && look.named.is_empty();
        let mut items = self.named::<T>(tx, &places).await?;
        look.read.extend(places.into_iter().filter_map(|place| Some((items.remove(&place.id)?, place))));
        Ok(())
    }

    /// How many resources come before the page.
    fn skipped(&self) -> u64 {
        match self.start {
            Start::Index(start) => u64::from(start.saturating_sub(1)),
            Start::After(_) => 0,
        }
    }

    fn after(&self) -> Option<Spot> {
        match self.start {
            Start::Index(_) | Start::After(None) => None,
            Start::After(Some(place)) => Some(place.clone()),
        }
    }

    /// The place of the last resource that comes before the page, of so many; `None` if there are fewer.
    async fn skip<T: Listed>(&self, tx: &mut Tx<'_>, skipped: u64) -> Result<Option<Spot>, Failure> {
        let (sql, values) = self.skipping::<T>(skipped)?;
        let rows = tx.composed(&sql, values).await?;
        rows.first().map(|row| self.order.place(row, 1)).transpose()
    }

    /// Rows in order, after a place.
    async fn rows<T: Listed>(&self, tx: &mut Tx<'_>, after: Option<&Spot>, limit: usize) -> Result<Vec<Row>, Failure> {
        let (sql, values) = self.select::<T>(after, limit)?;
        Ok(tx.composed(&sql, values).await?)
    }

    /// The statement that a page begins with.
    pub(super) fn first<T: Listed>(&self) -> Result<(String, Vec<Value>), Failure> {
        match self.reach {
            Reach::Many => self.names::<T>(self.after().as_ref()),
            Reach::Few | Reach::All if self.skipped() > 0 && self.criterion.is_exact() => {
                self.skipping::<T>(self.skipped())
            }
            Reach::Few | Reach::All => self.select::<T>(self.after().as_ref(), ROWS),
        }
    }

    /// The statement of [`Walk::skip`]: an index tells, without a look at the rows.
    fn skipping<T: Listed>(&self, skipped: u64) -> Result<(String, Vec<Value>), Failure> {
        let from = format!(" FROM {} r WHERE r.tenant = $1{}", T::TABLE, self.criterion.sql());
        let (mut sql, mut values) = self.ordered("r.id", &from, None, 1)?;
        values.push(Value::from(i64::try_from(skipped - 1).unwrap_or(i64::MAX)));
        let _ = write!(sql, " OFFSET ${}", values.len());
        Ok((sql, values))
    }

    /// The statement of [`Walk::rows`].
    fn select<T: Listed>(&self, after: Option<&Spot>, limit: usize) -> Result<(String, Vec<Value>), Failure> {
        let from = format!("{} WHERE r.tenant = $1{}", T::FROM, self.criterion.sql());
        self.ordered(T::COLUMNS, &from, after, limit)
    }

    /// The statement that reads the places of those whom an index names.
    fn names<T: Listed>(&self, after: Option<&Spot>) -> Result<(String, Vec<Value>), Failure> {
        let from = match (self.order.by, self.criterion.among()) {
            // The order needs no more of them than that, so nobody else is looked at.
            (By::Id, Some(among)) => format!(" FROM ({among}) AS r WHERE r.id IS NOT NULL"),
            _ => format!(" FROM {} r WHERE r.tenant = $1{}", T::TABLE, self.criterion.sql()),
        };
        self.ordered("DISTINCT r.id", &from, after, LOOKED)
    }

    /// A statement that reads columns in order, and behind them the one that decides it.
    fn ordered(
        &self,
        columns: &str,
        from: &str,
        after: Option<&Spot>,
        limit: usize,
    ) -> Result<(String, Vec<Value>), Failure> {
        let mut values = params![self.tenant.as_str()];
        values.extend_from_slice(self.criterion.values());
        let mut sql = format!("SELECT {columns}");
        if let Some(column) = self.order.column() {
            let _ = write!(sql, ", {column}");
        }
        sql.push_str(from);
        if let Some(place) = after {
            sql.push_str(&self.order.after(place, &mut values)?);
        }
        sql.push_str(&self.order.clause());
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        let _ = write!(sql, " LIMIT ${}", values.len());
        Ok((sql, values))
    }

    /// The resources at these places.
    async fn named<T: Listed>(&self, tx: &mut Tx<'_>, places: &[Spot]) -> Result<BTreeMap<[u8; 16], T>, Failure> {
        let sql = format!("SELECT {}{} WHERE {{by ids:$1 r.id=$2}}", T::COLUMNS, T::FROM);
        let ids = Value::ids(places.iter().map(|place| &place.id[..]));
        let rows = tx.composed(&sql, params![self.tenant.as_str(), ids]).await?;
        rows.iter().map(|row| Ok((row.bytes(0)?.try_into().map_err(|_| Failure::Internal)?, T::read(row)?))).collect()
    }
}

/// A resource with its place, and as clients see it.
type Seen<T> = (Spot, T, Map<String, Json>);

/// A look at one resource after the other.
#[derive(Debug)]
struct Look<T> {
    /// Whom an index names, if it names many: some of those who have not been read.
    named: VecDeque<Spot>,
    /// Whether these are the last.
    all_named: bool,
    /// Those who were read and not looked at.
    read: VecDeque<(T, Spot)>,
    /// Whether there are no more to read.
    all_read: bool,
    /// What the filter has to see of memberships.
    memberships: Memberships,
    /// The place of the last one looked at.
    after: Option<Spot>,
    /// How many resources and members were looked at.
    looked: usize,
}

impl<T: Listed> Look<T> {
    /// Whether all were looked at.
    fn ended(&self) -> bool {
        self.all_read && self.read.is_empty()
    }

    /// Refused once more was looked at than may be for one page that must see everything.
    fn check(&self) -> Result<(), Failure> {
        if self.looked > SCANNED { Err(too_many()) } else { Ok(()) }
    }

    /// How many of those who were read have no more members than may be seen at once; at least one if there is any.
    fn within_bounds(&self) -> usize {
        if self.memberships != Memberships::Members {
            return self.read.len();
        }
        let mut members = 0_u64;
        let fits = |(item, _): &&(T, Spot)| {
            members = members.saturating_add(item.members());
            members <= memberships::MOST as u64
        };
        self.read.iter().take_while(fits).count().max(1).min(self.read.len())
    }
}

/// A page being filled.
struct Filling<T> {
    items: Vec<T>,
    /// Where the items stand.
    places: Vec<Spot>,
    /// Where the look ended, if beyond the last item.
    looked: Option<Spot>,
    count: usize,
    bytes: usize,
    /// Whether something may belong to a page after this one.
    more: bool,
}

impl<T: Listed> Filling<T> {
    fn new(count: usize) -> Self {
        Self { items: Vec::new(), places: Vec::new(), looked: None, count, bytes: 0, more: false }
    }

    /// Whether what comes next belongs to the next page: there are as many items as are wanted, or they are large.
    fn is_full(&self) -> bool {
        self.items.len() >= self.count || self.bytes >= BYTES
    }

    fn take(&mut self, item: T, place: &Spot) {
        if self.more || self.is_full() {
            self.more = true;
            return;
        }
        self.bytes += item.document().len();
        self.items.push(item);
        self.places.push(place.clone());
    }

    /// To be called when items were dropped from the end: they belong to the next page.
    fn shortened(&mut self) {
        if self.items.len() < self.places.len() {
            self.places.truncate(self.items.len());
            self.looked = None;
            self.more = true;
        }
    }

    fn end(self, start: &Start, total: Total) -> Page<T> {
        let Self { items, mut places, looked, count, bytes: _, more } = self;
        let goes_on = matches!(start, Start::After(_)) && count > 0 && more;
        Page { items, total, next: looked.or(places.pop()).filter(|_| goes_on) }
    }
}

fn too_many() -> Failure {
    Failure::TooMany(format!(
        "more than {SCANNED} resources would have to be looked at; narrow the filter down, name what has an index, or \
         read by cursor"
    ))
}
