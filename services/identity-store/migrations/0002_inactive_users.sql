-- Who is inactive: few, in most tenants. So these are listed and counted without a look at all the others, and the others
-- are counted by what is left of the tenant's own count.
CREATE INDEX users_inactive ON users (tenant, id) WHERE active = 0;
