-- What of the schemas $1 leads the roles $2 to the server's own faults, as one JSON object: the fault's name -> names of
-- objects.
with asking as (
    select oid from pg_roles where rolname = any ($2)
),
callable as (
    select p.oid, p.prosrc, p.proretset, p.prosecdef, l.lanname,
        'function ' || n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang
    where n.nspname = any ($1)
      and exists (select 1 from asking a
                  where has_schema_privilege(a.oid, n.oid, 'usage') and has_function_privilege(a.oid, p.oid, 'execute'))
),
-- The text of a function, in whichever form it was written.
texts as (
    select oid, proretset, prosecdef, lanname, name, coalesce(nullif(prosrc, ''), pg_get_functiondef(oid)) as body
    from callable
),
views as (
    select c.oid, 'view ' || n.nspname || '.' || c.relname as name,
        coalesce('security_invoker=true' = any (c.reloptions) or 'security_invoker=on' = any (c.reloptions), false) as invoker,
        pg_get_viewdef(c.oid) ~* '\mwhere\M' as filters,
        (pg_relation_is_updatable(c.oid, true) & 8) <> 0 as takes_rows,
        exists (select 1 from asking a where has_table_privilege(a.oid, c.oid, 'insert')
                                          or has_any_column_privilege(a.oid, c.oid, 'insert')) as may_insert,
        exists (select 1 from asking a where has_table_privilege(a.oid, c.oid, 'update')
                                          or has_any_column_privilege(a.oid, c.oid, 'update')) as may_update,
        exists (select 1 from asking a where has_any_column_privilege(a.oid, c.oid, 'select')) as may_select
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'v' and n.nspname = any ($1)
),
leads (fault, name) as (
    select 'CVE-2023-2455', name from texts where proretset and lanname = 'sql' and not prosecdef
    union all
    select 'CVE-2023-39418', name from texts where body ~* '\mmerge\s+into\M' and not prosecdef
    union all
    select 'CVE-2024-4317', 'statistics ' || n.nspname || '.' || s.stxname
    from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where n.nspname = any ($1)
    union all
    select 'CVE-2024-10976', name from views where invoker and may_select
    union all
    select 'CVE-2024-10976', name from texts where lanname = 'sql' and not prosecdef
    union all
    select 'CVE-2025-8713', 'operator ' || n.nspname || '.' || o.oprname
    from pg_operator o
    join pg_namespace n on n.oid = o.oprnamespace
    join pg_proc p on p.oid = o.oprcode
    where n.nspname = any ($1) and o.oprrest <> 0 and not p.proleakproof
    union all
    select 'CVE-2026-16237', name from views where filters and takes_rows and may_insert and may_update
    union all
    select 'CVE-2026-120154', name from texts where body ~* '\mon\s+conflict\M.*\mdo\s+update\M.*\mwhere\M' and not prosecdef
)
select coalesce(json_object_agg(fault, names), '{}'::json)::text
from (select fault, json_agg(name order by name) as names from leads group by fault) grouped
