-- severity: error
-- reach: api
-- condition: An EXISTS in a policy names no column of the row that the policy is for: seen in the parse tree.
-- effect: its answer is the same for every row; mostly an unqualified name was bound to a column of the inner table, and one row of one's own opens all
-- remedy: qualify the outer column with its table's name

select p.shown, format('an EXISTS in policy %s does not depend on the row', p.name), '', format('%s: %s', q.part,
    case q.part when 'USING' then p.using_text else p.check_text end)
from query q
join policy p on p.oid = q.policy
where q.link = 0 and q.has_from and p.polpermissive
  -- a column of the row itself, or of a query around this one
  and not exists (
      select from variable v
      where v.policy = q.policy and v.part = q.part and v.n > q.first and v.last < q.last and v.depth <= q.outer_queries
  )
  -- once for a condition that is written twice
  and not (q.part = 'WITH CHECK' and p.using_text is not distinct from p.check_text)
