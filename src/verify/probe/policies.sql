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
    select f.oid, f.proname::text, f.prosrc, f.prosqlbody is not null as parsed,
        '\m' || regexp_replace(f.proname, '([^[:alnum:]_])', '\\\1', 'g') || '\M' as word
    from pg_proc f
    join pg_namespace n on n.oid = f.pronamespace
    where n.nspname not in ('pg_catalog', 'information_schema') and f.prokind = 'f'
      and not exists (
          select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
      )
),
-- each pair of functions, and further below each function with each relation, is looked at once and not for every policy
calls(caller, callee) as materialized (
    select d.objid, d.refobjid
    from functions caller
    join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = caller.oid and d.refclassid = 'pg_proc'::regclass
    join functions callee on callee.oid = d.refobjid and callee.oid <> caller.oid
    where caller.parsed
  union
    select caller.oid, callee.oid
    from functions caller
    join functions callee on callee.oid <> caller.oid
        and position(callee.proname in caller.prosrc) > 0 and caller.prosrc ~ callee.word
    where not caller.parsed
),
called(policy, function) as (
    select d.objid, d.refobjid
    from pg_depend d
    join policies on policies.oid = d.objid
    where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass
  union
    select called.policy, calls.callee from called join calls on calls.caller = called.function
),
relations as materialized (
    select c.oid, c.relname::text, '\m' || regexp_replace(c.relname, '([^[:alnum:]_])', '\\\1', 'g') || '\M' as word
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_%'
),
-- what a function's body that is text names: the tables and columns whose names stand in it
named(function, relation, attnum) as materialized (
    select f.oid, relations.oid, a.attnum
    from functions f
    join relations on position(relations.relname in f.prosrc) > 0 and f.prosrc ~ relations.word
    join pg_attribute a on a.attrelid = relations.oid and a.attnum > 0 and not a.attisdropped
        and position(a.attname in f.prosrc) > 0
        and f.prosrc ~ ('\m' || regexp_replace(a.attname, '([^[:alnum:]_])', '\\\1', 'g') || '\M')
    where not f.parsed and f.oid in (select function from called)
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
    select called.policy, named.relation, named.attnum, false
    from called
    join named on named.function = called.function
  union
    -- what stands behind a view
    select read.policy, d.refobjid, d.refobjsubid, read.itself
    from read
    join pg_rewrite w on w.ev_class = read.relation
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid <> w.ev_class
),
read_by_policy as (
    select r.policy, json_agg(json_build_object('schema', r.nspname, 'table', r.relname, 'columns', r.columns,
        'by_function', r.by_function, 'writers', r.writers) order by r.nspname, r.relname) as reads
    from (
        select read.policy, n.nspname, c.relname,
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
        group by read.policy, n.oid, n.nspname, c.oid, c.relname, c.relkind
    ) r
    group by r.policy
),
sources_by_policy as (
    select s.policy, json_agg(s.source order by s.source) as sources
    from (
        select distinct called.policy, coalesce(pg_get_function_sqlbody(f.oid), f.prosrc) as source
        from called
        join functions f on f.oid = called.function
    ) s
    group by s.policy
)
select coalesce(json_agg(json_build_object(
    'schema', p.nspname,
    'table', p.relname,
    'name', p.polname,
    'command', p.polcmd,
    'expression', p.expression,
    'sources', coalesce(sources_by_policy.sources, '[]'::json),
    'reads', coalesce(read_by_policy.reads, '[]'::json)
) order by p.nspname, p.relname, p.polname), '[]'::json)::text
from policies p
left join sources_by_policy on sources_by_policy.policy = p.oid
left join read_by_policy on read_by_policy.policy = p.oid
