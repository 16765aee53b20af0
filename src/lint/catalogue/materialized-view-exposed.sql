-- severity: error
-- reach: api
-- condition: A client role can read a materialized view of an exposed schema.
-- effect: a materialized view has no row security: whoever may read it reads all of it
-- remedy: revoke the right, and show it through a security_invoker view or a function that filters

select r.shown, format('materialized view %s is read whole', r.shown),
    format('REVOKE ALL ON TABLE %s FROM PUBLIC, %s;', r.name, string_agg(quote_ident(c.rolname), ', ' order by c.rolname)),
    format('by %s', string_agg(c.rolname, ', ' order by c.rolname))
from relation r
join client c on has_any_column_privilege(c.oid, r.oid, 'SELECT')
where r.exposed and r.relkind = 'm'
group by r.shown, r.name
