-- The nodes of all policies' parse trees that lints ask for, as JSON in a setting of the transaction: they are cut once,
-- and every lint's query reads them from there. $1 and $2 are not used.
-- A node, its fields and its end have one level; `queries` is how many queries stand around it, itself included.
with tree as (
    select p.oid as policy, t.part, t.tree
    from pg_catalog.pg_policy p, lateral (values ('USING', p.polqual::text), ('WITH CHECK', p.polwithcheck::text)) t (part, tree)
    where t.tree is not null
),
piece as (
    select t.policy, t.part, m.n, m.v[1] as kind, m.v[2] is not null as closes, m.v[3] as field, m.v[4] as value
    from tree t
    cross join regexp_matches(
        t.tree,
        '(?<!\\)\{([A-Z_]+)|(?<!\\)(\})|:(funcid|opfuncid|aggfnoid|varattno|varlevelsup|subLinkType|rtable|nulltesttype) ([^\s{}]+)',
        'g'
    ) with ordinality m (v, n)
),
levelled as (
    select p.*, sum(case when kind is not null then 1 when closes then -1 else 0 end)
        over (partition by policy, part order by n) + case when closes then 1 else 0 end as level
    from piece p
),
placed as (
    select l.*,
        max(n) filter (where kind is not null)
            over (partition by policy, part, level order by n rows between unbounded preceding and current row) as node,
        min(n) filter (where closes)
            over (partition by policy, part, level order by n rows between current row and unbounded following) as last
    from levelled l
),
named as (
    select p.*, first_value(kind) over (partition by policy, part, node order by n) as of_kind from placed p
),
counted as (
    select n.*, sum(case when kind = 'QUERY' then 1 when closes and of_kind = 'QUERY' then -1 else 0 end)
        over (partition by policy, part order by n) as queries
    from named n
),
node as (
    select policy, part, node as n, min(last) as last, min(level) as level, min(of_kind) as kind,
        min(queries) filter (where kind is not null) as queries,
        max(value) filter (where field in ('funcid', 'opfuncid', 'aggfnoid') and value <> '0') as function,
        coalesce(bool_or(field = 'opfuncid'), false) as is_operator,
        max(value) filter (where field = 'varattno') as attnum,
        max(value) filter (where field = 'varlevelsup') as up,
        max(value) filter (where field = 'subLinkType') as link,
        coalesce(bool_or(field = 'rtable' and value <> '<>'), false) as has_from,
        max(value) filter (where field = 'nulltesttype') as null_test
    from counted
    group by policy, part, node
)
select coalesce(json_agg(json_build_array(length(set_config('chartchek_db.lint_nodes', (
    select coalesce(json_agg(row_to_json(entry)), '[]') from node entry
    where entry.function is not null
       or entry.kind in ('QUERY', 'VAR', 'SUBLINK', 'OPEXPR', 'SCALARARRAYOPEXPR', 'DISTINCTEXPR', 'NULLTEST', 'SQLVALUEFUNCTION')
)::text, true)) > 0)), '[]')::text
