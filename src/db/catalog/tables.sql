-- The relations of the schemas $1, and the tables that foreign keys reach from there, as one JSON array; with what the
-- roles $2 may do on each.
with recursive reached(oid) as (
    select c.oid
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ($1)
      and c.relkind in ('r', 'p', 'v', 'm', 'f')
  union
    select k.confrelid
    from reached
    join pg_constraint k on k.conrelid = reached.oid and k.contype = 'f'
),
asked as (
    select oid, rolname from pg_roles where rolname = any ($2)
),
-- What each policy asks, and which relations and functions it names.
asks as (
    select p.oid, p.polrelid,
           concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) as text
    from pg_policy p
),
-- The policies of each relation, and those of others that read it, with the columns that they name.
asked_of as materialized (
    select pairs.relation, json_agg(json_build_object('text', asks.text, 'columns', named.columns) order by asks.oid) as list
    from (
        select asks.oid as policy, asks.polrelid as relation from asks
      union
        select d.objid, d.refobjid
        from asks
        join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = asks.oid
        where d.refclassid = 'pg_class'::regclass
    ) pairs
    join asks on asks.oid = pairs.policy
    cross join lateral (
        select coalesce(json_agg(distinct a.attname) filter (where a.attname is not null), '[]'::json) as columns
        from pg_depend d
        left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid and d.refobjsubid > 0
        where d.classid = 'pg_policy'::regclass and d.objid = asks.oid
          and d.refclassid = 'pg_class'::regclass and d.refobjid = pairs.relation
    ) named
    group by pairs.relation
),
-- The functions that policies call, but for the platform's, with the policies' tables.
called as (
    select f.oid, array_agg(distinct asks.polrelid) as relations,
           coalesce(pg_get_function_sqlbody(f.oid), f.prosrc) as text
    from asks
    join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = asks.oid and d.refclassid = 'pg_proc'::regclass
    join pg_proc f on f.oid = d.refobjid
    join pg_namespace n on n.oid = f.pronamespace
    where n.nspname not in ('auth', 'pg_catalog')
    group by f.oid
)
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'table', c.relname,
    'kind', c.relkind,
    'rls_enabled', c.relrowsecurity,
    'rls_forced', c.relforcerowsecurity,
    'estimated_rows', c.reltuples,
    'columns', (
        select coalesce(json_agg(json_build_object(
            'name', a.attname,
            'type_name', format_type(a.atttypid, a.atttypmod),
            'base_type', b.typname,
            'is_array', t.typcategory = 'A',
            'enum_labels', coalesce((
                select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = b.oid
            ), '[]'::json),
            'max_length', case when a.atttypmod > 4 and b.typname in ('varchar', 'bpchar') then a.atttypmod - 4 end,
            'not_null', a.attnotnull or t.typnotnull,
            'has_default', a.atthasdef or a.attidentity <> '',
            'generated', a.attgenerated <> '',
            'identity_always', a.attidentity = 'a',
            'grants', case when a.attacl is null then '{}'::json else (
                select coalesce(json_object_agg(g.rolname, g.commands), '{}'::json)
                from (
                    select asked.rolname, json_agg(lower(p.privilege)) as commands
                    from asked, unnest(array['SELECT', 'INSERT', 'UPDATE']) p(privilege)
                    where has_column_privilege(asked.oid, c.oid, a.attnum, p.privilege)
                    group by asked.rolname
                ) g
            ) end
        ) order by a.attnum), '[]'::json)
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        -- a domain's base type, or an array's element: one step is enough for both
        join pg_type b on b.oid = case
            when t.typtype = 'd' then t.typbasetype
            when t.typcategory = 'A' and t.typelem <> 0 then t.typelem
            else t.oid end
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ),
    'primary_key', coalesce((
        select json_agg(a.attname order by k.ord)
        from pg_constraint p, unnest(p.conkey) with ordinality k(attnum, ord)
        join pg_attribute a on a.attnum = k.attnum and a.attrelid = c.oid
        where p.conrelid = c.oid and p.contype = 'p'
    ), '[]'::json),
    'uniques', coalesce((
        select json_agg(u.columns)
        from (
            select json_agg(a.attname order by k.ord) as columns
            from pg_index i, unnest(i.indkey::int2[]) with ordinality k(attnum, ord)
            join pg_attribute a on a.attnum = k.attnum and a.attrelid = c.oid
            where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
              and k.ord <= i.indnkeyatts
            group by i.indexrelid
        ) u
    ), '[]'::json),
    'foreign_keys', coalesce((
        select json_agg(json_build_object(
            'name', k.conname,
            'columns', (
                select json_agg(a.attname order by x.ord)
                from unnest(k.conkey) with ordinality x(attnum, ord)
                join pg_attribute a on a.attnum = x.attnum and a.attrelid = k.conrelid
            ),
            'target_schema', tn.nspname,
            'target_table', tc.relname,
            'target_columns', (
                select json_agg(a.attname order by x.ord)
                from unnest(k.confkey) with ordinality x(attnum, ord)
                join pg_attribute a on a.attnum = x.attnum and a.attrelid = k.confrelid
            )
        ) order by k.conname)
        from pg_constraint k
        join pg_class tc on tc.oid = k.confrelid
        join pg_namespace tn on tn.oid = tc.relnamespace
        where k.conrelid = c.oid and k.contype = 'f'
    ), '[]'::json),
    'asks', coalesce(asked_of.list, '[]'::json),
    'called', coalesce((
        select json_agg(called.text order by called.oid)
        from called
        where c.oid = any (called.relations) or position(lower(c.relname) in lower(called.text)) > 0
    ), '[]'::json),
    'grants', (
        select coalesce(json_object_agg(g.rolname, g.commands), '{}'::json)
        from (
            select asked.rolname, json_agg(lower(p.privilege)) as commands
            from asked, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p(privilege)
            where has_table_privilege(asked.oid, c.oid, p.privilege)
            group by asked.rolname
        ) g
    ),
    'schema_usage', coalesce((
        select json_agg(asked.rolname) from asked where has_schema_privilege(asked.oid, n.oid, 'USAGE')
    ), '[]'::json)
) order by n.nspname, c.relname), '[]'::json)::text
from reached
join pg_class c on c.oid = reached.oid
join pg_namespace n on n.oid = c.relnamespace
left join asked_of on asked_of.relation = c.oid
