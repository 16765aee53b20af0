-- severity: warning
-- reach: api
-- condition: Several permissive policies hold for one role and one command, and their conditions differ.
-- effect: a row passes where any one of them does: together they give more than each says, and all are reckoned for every row
-- remedy: write one policy with OR, or make the one that narrows RESTRICTIVE

select o.table_shown, format('%s of %s by %s is given by %s policies', o.command, o.table_shown, string_agg(o.role, ', ' order by o.role), o.times), '',
    o.names
from (
    select p.table_shown, k.command, case when role.oid = 0 then 'PUBLIC' else role.oid::regrole::text end as role,
        count(*) as times, string_agg(p.polname, ', ' order by p.polname) as names
    from policy p
    cross join lateral unnest(case when p.polcmd = '*' then '{r,a,w,d}'::"char"[] else array[p.polcmd] end) c (cmd)
    cross join lateral (select case c.cmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' else 'DELETE' end) k (command)
    cross join lateral (select unnest(p.polroles)) role (oid)
    where p.polpermissive and p.relrowsecurity
    group by p.table_shown, k.command, role.oid
    having count(*) > 1 and count(distinct (p.using_text, p.check_text)) > 1
) o
group by o.table_shown, o.command, o.times, o.names
