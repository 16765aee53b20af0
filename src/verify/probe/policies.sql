-- The policies of the tables of the schemas $1, as one JSON array: their expressions, the texts of the functions that
-- they call, directly or not, and the tables and columns that they read; with which of the roles $2 may write there.
with recursive policies as (
    select p.oid, p.polname, p.polcmd, c.oid as relid, n.nspname, c.relname,
        concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) as expression
    from pg_policy p
    join pg_class c on c.oid = p.polrelid
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ($1)
),
-- functions outside PostgreSQL's own schemas; a word is what stands for itself in a text
functions as materialized (
    select f.oid, f.prosrc, f.prosqlbody is not null as parsed,
        '\m' || regexp_replace(f.proname, '([^[:alnum:]_])', '\\\1', 'g') || '\M' as word
    from pg_proc f
    join pg_namespace n on n.oid = f.pronamespace
    where n.nspname not in ('pg_catalog', 'information_schema') and f.prokind = 'f'
      and not exists (
          select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
      )
),
called(policy, function) as (
    select d.objid, d.refobjid
    from pg_depend d
    join policies on policies.oid = d.objid
    where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass
  union
    select called.policy, callee.oid
    from called
    join functions caller on caller.oid = called.function
    join functions callee on callee.oid <> caller.oid and case
        when caller.parsed then exists (
            select from pg_depend d
            where d.classid = 'pg_proc'::regclass and d.objid = caller.oid
              and d.refclassid = 'pg_proc'::regclass and d.refobjid = callee.oid
        )
        else caller.prosrc ~ callee.word end
),
relations as materialized (
    select c.oid, '\m' || regexp_replace(c.relname, '([^[:alnum:]_])', '\\\1', 'g') || '\M' as word
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_%'
),
-- by the policy's own expression, or by what it calls
read(policy, relation, attnum, itself) as (
    select d.objid, d.refobjid, d.refobjsubid, true
    from pg_depend d
    join policies on policies.oid = d.objid
    where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass
  union
    select called.policy, d.refobjid, d.refobjsubid, false
    from called
    join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = called.function
        and d.refclassid = 'pg_class'::regclass
  union
    -- a body that is text: the tables and columns whose names stand in it
    select called.policy, relations.oid, a.attnum, false
    from called
    join functions f on f.oid = called.function and not f.parsed
    join relations on f.prosrc ~ relations.word
    join pg_attribute a on a.attrelid = relations.oid and a.attnum > 0 and not a.attisdropped
        and f.prosrc ~ ('\m' || regexp_replace(a.attname, '([^[:alnum:]_])', '\\\1', 'g') || '\M')
  union
    -- what stands behind a view
    select read.policy, d.refobjid, d.refobjsubid, read.itself
    from read
    join pg_rewrite w on w.ev_class = read.relation
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid <> w.ev_class
)
select coalesce(json_agg(json_build_object(
    'schema', p.nspname,
    'table', p.relname,
    'name', p.polname,
    'command', p.polcmd,
    'expression', p.expression,
    'sources', coalesce((
        select json_agg(distinct coalesce(pg_get_function_sqlbody(f.oid), f.prosrc))
        from called
        join functions f on f.oid = called.function
        where called.policy = p.oid
    ), '[]'::json),
    'reads', coalesce((
        select json_agg(json_build_object('schema', r.nspname, 'table', r.relname, 'columns', r.columns,
            'by_function', r.by_function, 'writers', r.writers))
        from (
            select n.nspname, c.relname,
                coalesce(json_agg(distinct a.attname) filter (where a.attname is not null), '[]'::json) as columns,
                bool_or(not read.itself) as by_function,
                (
                    select coalesce(json_agg(w.rolname), '[]'::json)
                    from pg_roles w
                    where w.rolname = any ($2) and has_schema_privilege(w.oid, n.oid, 'USAGE')
                      and c.relkind in ('r', 'p', 'v')
                      and (has_any_column_privilege(w.oid, c.oid, 'INSERT, UPDATE')
                           or has_table_privilege(w.oid, c.oid, 'DELETE'))
                ) as writers
            from read
            join pg_class c on c.oid = read.relation and c.relkind in ('r', 'p', 'v', 'm', 'f')
            join pg_namespace n on n.oid = c.relnamespace
            left join pg_attribute a on a.attrelid = c.oid and a.attnum = read.attnum and a.attnum > 0
            where read.policy = p.oid
            group by n.oid, n.nspname, c.oid, c.relname, c.relkind
        ) r
    ), '[]'::json)
) order by p.nspname, p.relname, p.polname), '[]'::json)::text
from policies p
