-- severity: warning
-- reach: api
-- condition: A table's policies for a command are all restrictive.
-- effect: restrictive policies only take away from what permissive ones give: nobody sees or changes a row
-- remedy: add the permissive policy that is meant

select p.table_shown, format('all policies of %s are restrictive', p.table_shown), '',
    string_agg(p.polname, ', ' order by p.polname)
from policy p
where p.relrowsecurity
group by p.table_shown, p.polrelid
having not bool_or(p.polpermissive)
