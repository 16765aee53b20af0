-- What every query of this folder begins with: the schemas looked at, role names, relations, functions and types.
-- Each query gives rows (kind, object, parent, property, value, mend, undo), all text: mend makes it so, undo takes it
-- away. '@migrator@' is the role that runs migrations, whatever its name is here; '@owner@' an object's own owner,
-- '@database@' this database.
-- The search_path is empty, so that every name is qualified in the same way on every server.
with managed as (
    select n.oid, n.nspname, quote_ident(n.nspname) as name, n.nspowner, n.nspacl
    from pg_namespace n
    where n.nspname = any (current_setting('chartchek_db.schemas')::text[])
),
who as (
    select 0::oid as oid, 'PUBLIC' as name
    union all
    select r.oid, case when r.rolname = current_setting('chartchek_db.migrator') then '@migrator@' else quote_ident(r.rolname) end
    from pg_roles r
),
rel as (
    select c.oid, m.nspname, m.name as schema, format('%s.%I', m.name, c.relname) as name, c.relname, c.relkind, c.relowner, c.relacl,
        c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relreplident, c.relispartition,
        c.relpartbound,
        case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
            when 'f' then 'foreign table' else 'table' end as kind
    from pg_class c
    join managed m on m.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      -- an extension's, and an identity column's own sequence
      and not exists (
          select from pg_depend d
          where d.classid = 'pg_class'::regclass and d.objid = c.oid
            and (d.deptype = 'e' or (d.deptype = 'i' and c.relkind = 'S'))
      )
),
fun as (
    select p.*, m.name as schema, p.oid::regprocedure::text as name,
        case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind
    from pg_proc p
    join managed m on m.oid = p.pronamespace
    where not exists (
        select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
),
typ as (
    select t.*, m.name as schema, format('%s.%I', m.name, t.typname) as name,
        case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range' when 'c' then 'composite type' else 'type' end as kind
    from pg_type t
    join managed m on m.oid = t.typnamespace
    where t.typtype in ('e', 'd', 'r', 'c', 'b') and t.typelem = 0
      and (t.typrelid = 0 or exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
      and not exists (
          select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
      )
)
