-- severity: warning
-- reach: sql
-- condition: A foreign key leads to a table of schema auth by other columns than its primary key.
-- effect: Supabase owns these tables and may drop such a constraint with an upgrade, or fail to upgrade
-- remedy: refer to the primary key

select format('%s.%s', r.shown, k.conname), format('foreign key %s of %s leads to %s by other columns than its key', k.conname, r.shown, k.confrelid::regclass),
    format('ALTER TABLE %s DROP CONSTRAINT %I;', r.name, k.conname), null
from pg_constraint k
join relation r on r.oid = k.conrelid
join pg_class c on c.oid = k.confrelid and c.relnamespace = to_regnamespace('auth')
where k.contype = 'f' and not exists (
    select from pg_index i where i.indexrelid = k.conindid and i.indisprimary
)
