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
-- Every type with what its domains are over, however deep: the type below, its modifier, and the domains on the way.
domains(oid, base, typmod, not_null, way) as (
    select t.oid, t.oid, -1, false, '{}'::oid[] from pg_type t
  union all
    select d.oid, t.typbasetype, greatest(d.typmod, t.typtypmod), d.not_null or t.typnotnull, d.way || t.oid
    from domains d
    join pg_type t on t.oid = d.base and t.typtype = 'd'
),
plain as (
    select distinct on (oid) * from domains order by oid, cardinality(way) desc
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
            'is_array', w.typcategory = 'A',
            'cast_type', format_type(b.oid, -1) || case when w.typcategory = 'A' then '[]' else '' end,
            'checks', coalesce((
                select json_agg(pg_get_expr(k.conbin, 0) order by k.oid) from pg_constraint k where k.contypid = any (whole.way) and k.contype = 'c'
            ), '[]'::json),
            'element_checks', coalesce((
                select json_agg(pg_get_expr(k.conbin, 0) order by k.oid)
                from pg_constraint k
                where w.typcategory = 'A' and k.contypid = any (part.way) and k.contype = 'c'
            ), '[]'::json),
            'subtype', (
                select s.typname from pg_range r join pg_type s on s.oid = r.rngsubtype where b.oid in (r.rngtypid, r.rngmultitypid)
            ),
            'multirange', b.typtype = 'm',
            'fields', case when b.typtype = 'c' then (
                select count(*) from pg_attribute f where f.attrelid = b.typrelid and f.attnum > 0 and not f.attisdropped
            ) end,
            'enum_labels', coalesce((
                select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = b.oid
            ), '[]'::json),
            'max_length', case
                when m.typmod > 4 and b.typname in ('varchar', 'bpchar') then m.typmod - 4
                when m.typmod > 0 and b.typname in ('bit', 'varbit') then m.typmod
            end,
            'digits', case
                when m.typmod > 4 and b.typname = 'numeric' then greatest(((m.typmod - 4) >> 16 & 65535) - ((m.typmod - 4) & 2047), 0)
            end,
            'not_null', a.attnotnull or whole.not_null,
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
        -- the type below the column's domains; where that is an array, the one below its elements' domains
        join plain whole on whole.oid = a.atttypid
        join pg_type w on w.oid = whole.base
        join plain part on part.oid = case when w.typcategory = 'A' then w.typelem else w.oid end
        join pg_type b on b.oid = part.base
        cross join lateral (select greatest(a.atttypmod, whole.typmod, part.typmod) as typmod) m
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
    -- the columns of exclusion constraints, and of unique indexes with a predicate or an expression
    'kept_apart', coalesce((
        select json_agg(u.columns)
        from (
            select json_agg(distinct a.attname) as columns
            from pg_index i
            left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = c.oid and k.contype = 'x'
            join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
                and ((d.classid = 'pg_class'::regclass and d.objid = i.indexrelid)
                    or (d.classid = 'pg_constraint'::regclass and d.objid = k.oid))
            join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid and a.attnum > 0
            where i.indrelid = c.oid
              and (i.indisexclusion or (i.indisunique and (i.indpred is not null or i.indexprs is not null)))
            group by i.indexrelid
        ) u
    ), '[]'::json),
    'checks', coalesce((
        select json_agg(json_build_object('name', k.conname, 'text', pg_get_expr(k.conbin, c.oid)) order by k.conname)
        from pg_constraint k
        where k.conrelid = c.oid and k.contype = 'c' and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
    ), '[]'::json),
    -- what a row must be for the partition, or for one of the partitions
    'bound', case
        when c.relkind = 'p' then (
            select case when count(*) = count(leaf.text) then string_agg('(' || leaf.text || ')', ' or ') end
            from (select pg_get_partition_constraintdef(p.relid) as text from pg_partition_tree(c.oid) p where p.isleaf) leaf
        )
        when c.relispartition then pg_get_partition_constraintdef(c.oid)
    end,
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
