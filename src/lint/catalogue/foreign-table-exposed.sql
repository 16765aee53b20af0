-- severity: error
-- reach: api
-- condition: A client role holds a right on a foreign table of an exposed schema.
-- effect: a foreign table has no row security: the other server answers for whoever it is mapped to
-- remedy: move it to a schema that is not exposed, and revoke the right

select r.shown, format('foreign table %s is within reach', r.shown),
    format('REVOKE ALL ON TABLE %s FROM PUBLIC, %s;', r.name, string_agg(quote_ident(c.rolname), ', ' order by c.rolname)),
    format('of %s', string_agg(c.rolname, ', ' order by c.rolname))
from relation r
join client c on has_any_column_privilege(c.oid, r.oid, 'SELECT, INSERT, UPDATE') or has_table_privilege(c.oid, r.oid, 'DELETE')
where r.exposed and r.relkind = 'f'
group by r.shown, r.name
