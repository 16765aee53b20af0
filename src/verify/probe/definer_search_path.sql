-- For each SECURITY DEFINER function whose body is text, the tables and views whose names stand in it, or in a function
-- that it calls by name, without their schema; as one JSON array. `read` is whether the name stands there in its own text as
-- a table does. None where no role of $2 may make a temporary table.
with recursive functions as materialized (
    select p.oid, p.prosecdef, p.proconfig, p.proname, lower(x.text) as text
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang
    cross join lateral (select regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', ' ', 'g') as text) x
    where p.prosqlbody is null and l.lanname not in ('c', 'internal') and p.prokind in ('f', 'p')
      and n.nspname not in ('pg_catalog', 'information_schema')
      and not exists (
          select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
      )
),
-- what is called and has no path of its own looks along its caller's
called(outer_oid, oid) as (
    select oid, oid from functions where prosecdef
  union
    select called.outer_oid, callee.oid
    from called
    join functions caller on caller.oid = called.oid
    join functions callee on callee.oid <> caller.oid and not callee.prosecdef
        and not exists (select from unnest(callee.proconfig) c where c like 'search_path=%')
        and caller.text ~ ('\m' || regexp_replace(lower(callee.proname), '([^[:alnum:]_])', '\\\1', 'g') || '\M')
),
relations as materialized (
    select c.oid, n.nspname, c.relname, regexp_replace(lower(c.relname), '([^[:alnum:]_])', '\\\1', 'g') as word
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_(toast|temp)'
),
shadowed as (
    select called.outer_oid, r.oid as relation, bool_or(
        f.oid = called.outer_oid
        and f.text ~ ('\m(from|join|into|update|only|table|using)\s+"?' || r.word || '(?!\w)')
    ) as read
    from called
    join functions f on f.oid = called.oid
    join relations r on f.text ~ ('(^|[^.\w"])"?' || r.word || '(?!\w)')
    group by called.outer_oid, r.oid
)
select coalesce(json_agg(json_build_object(
    'function', s.outer_oid::bigint,
    'name', r.relname,
    'read', s.read and r.nspname <> 'pg_catalog',
    'columns', (
        select string_agg(format('NULL::%I.%I AS %I', tn.nspname, t.typname, a.attname), ', ' order by a.attnum)
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        join pg_namespace tn on tn.oid = t.typnamespace
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped and t.typtype <> 'p'
    )
) order by s.outer_oid, r.nspname <> 'pg_catalog' desc, r.nspname, r.relname), '[]'::json)::text
from shadowed s
join relations r on r.oid = s.relation
where exists (
    select from pg_roles r where r.rolname = any ($2) and has_database_privilege(r.oid, current_database(), 'TEMP')
)
