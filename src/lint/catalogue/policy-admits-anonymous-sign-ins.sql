-- severity: warning
-- reach: api
-- condition: A permissive policy for authenticated reads no column of the row, and neither it nor a function it calls looks at is_anonymous.
-- effect: whoever taps "continue as guest" has the role authenticated and passes like a registered person
-- remedy: ask for is_anonymous = false in the token, or name the owner in the condition

select p.shown, format('policy %s lets anonymous sign-ins pass', p.name), '', coalesce(p.using_text, p.check_text)
from policy p
where p.polpermissive and p.relrowsecurity
  and exists (select from unnest(p.polroles) role where role = 0 or role = to_regrole('authenticated'))
  -- A condition that is the same for everybody is policy-always-true's.
  and (exists (select from query q where q.policy = p.oid) or exists (
      select from call c join pg_proc f on f.oid = c.function where c.policy = p.oid and f.provolatile <> 'i'
  ))
  and not exists (select from variable v where v.policy = p.oid and v.depth = 0)
  and concat(p.using_text, p.check_text) !~ 'is_anonymous'
  and not exists (
      select from call c join function f on f.oid = c.function where c.policy = p.oid and f.source ~ 'is_anonymous'
  )
