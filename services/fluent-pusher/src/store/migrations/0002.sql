-- The Fluent in which an entry was made: in another, its id may be anybody's. Empty where it is not known.
ALTER TABLE push_ledger ADD COLUMN fluent TEXT NOT NULL DEFAULT '';
-- Whose profile the account bears; null where it is not known.
ALTER TABLE push_ledger ADD COLUMN profile_of {blob};
