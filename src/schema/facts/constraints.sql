-- Constraints, and the indexes that belong to none.
select 'constraint', format('%I on %s', k.conname, rel.name), rel.kind || ' ' || rel.name, '', pg_get_constraintdef(k.oid),
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', rel.name, k.conname, pg_get_constraintdef(k.oid)),
    format('ALTER TABLE %s DROP CONSTRAINT %I', rel.name, k.conname)
from rel
join pg_constraint k on k.conrelid = rel.oid
-- a constraint trigger is a trigger; NOT NULL is the column's
where k.contype in ('p', 'u', 'f', 'c', 'x')
union all
select 'index', format('%s.%I', rel.schema, c.relname), rel.kind || ' ' || rel.name, p.property, p.value, p.mend, p.undo
from rel
join pg_index i on i.indrelid = rel.oid
join pg_class c on c.oid = i.indexrelid
cross join lateral (values
    ('', pg_get_indexdef(i.indexrelid), pg_get_indexdef(i.indexrelid), format('DROP INDEX %s.%I', rel.schema, c.relname)),
    ('valid', case when i.indisvalid then 'yes' else 'no' end, format('REINDEX INDEX CONCURRENTLY %s.%I', rel.schema, c.relname), ''),
    ('comment', obj_description(c.oid, 'pg_class'), format('COMMENT ON INDEX %s.%I IS %L', rel.schema, c.relname, obj_description(c.oid, 'pg_class')),
        format('COMMENT ON INDEX %s.%I IS NULL', rel.schema, c.relname))
) p (property, value, mend, undo)
where p.value is not null and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
