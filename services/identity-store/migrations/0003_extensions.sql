-- The SCIM extensions a tenant defines: resource type and definition, one after the other, as a JSON list. NULL for none.
ALTER TABLE tenants ADD COLUMN extensions TEXT;
