-- severity: warning
-- reach: api
-- condition: A table has row security on and no policy, and a client role holds a grant on it, be it only to write.
-- effect: every request is answered with no rows, which reads like a denial and is a grant that the next policy opens
-- remedy: write the policies that are meant, or revoke the grants

select r.shown, format('%s grants %s and has no policy', r.shown, string_agg(distinct a.privilege || ' to ' || c.rolname, ', ')),
    format('REVOKE ALL ON TABLE %s FROM %s;', r.name, string_agg(distinct quote_ident(c.rolname), ', ')), null
from relation r
cross join client c
cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) a (privilege)
where r.exposed and r.relkind in ('r', 'p') and r.relrowsecurity
  and not exists (select from pg_policy p where p.polrelid = r.oid)
  and case a.privilege
      when 'DELETE' then has_table_privilege(c.oid, r.oid, a.privilege)
      else has_any_column_privilege(c.oid, r.oid, a.privilege)
  end
group by r.shown, r.name
