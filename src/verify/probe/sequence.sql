-- The sequences of the schemas $1 with the tables whose defaults draw from them, and what the roles $2 may do with each,
-- as one JSON array. Identity columns draw from theirs without any right.
with asked as (
    select oid, rolname from pg_roles where rolname = any ($2)
)
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'feeds', (
        select coalesce(json_agg(json_build_array(tn.nspname, t.relname)), '[]'::json)
        from pg_depend d
        join pg_attrdef def on def.oid = d.objid
        join pg_class t on t.oid = def.adrelid
        join pg_namespace tn on tn.oid = t.relnamespace
        where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
    ),
    'held', (
        select coalesce(json_agg(json_build_object('role', roles.rolname, 'rights', roles.rights)
                                 order by roles.rolname), '[]'::json)
        from (
            select asked.rolname, json_agg(p.privilege order by p.privilege) as rights
            from asked, unnest(array['SELECT', 'UPDATE', 'USAGE']) p(privilege)
            where has_schema_privilege(asked.oid, n.oid, 'USAGE')
              and has_sequence_privilege(asked.oid, c.oid, p.privilege)
            group by asked.rolname
        ) roles
    )
) order by n.nspname, c.relname), '[]'::json)::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1)
  and c.relkind = 'S'
  and not exists (
      select from pg_depend e
      where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
