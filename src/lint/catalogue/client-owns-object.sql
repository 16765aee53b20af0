-- severity: error
-- reach: api
-- condition: A client role, or a role that it is a member of, owns a relation or function of the project.
-- effect: an owner is not held by row security, and can grant, alter and drop
-- remedy: give the object to the role that migrates

select o.shown, format('%s belongs to %s', o.shown, o.owner::regrole), format('ALTER %s %s OWNER TO CURRENT_USER;', o.kind, o.name),
    'reached by ' || string_agg(c.rolname, ', ' order by c.rolname)
from (
    select shown, name, relowner as owner, case relkind when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW'
        when 'S' then 'SEQUENCE' when 'f' then 'FOREIGN TABLE' else 'TABLE' end as kind
    from relation
  union all
    select shown, name, proowner, upper(kind) from function
) o
join client c on pg_has_role(c.oid, o.owner, 'MEMBER')
group by o.shown, o.name, o.owner, o.kind
