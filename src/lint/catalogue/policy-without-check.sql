-- severity: warning
-- reach: api
-- condition: A permissive policy for UPDATE or ALL has USING and no WITH CHECK.
-- effect: USING is taken for new rows too: who reads the policy does not see what may be written, and who later widens USING for reading widens writing with it
-- remedy: write WITH CHECK out, even where it repeats USING

select p.shown, format('policy %s does not say what a new row must be', p.name),
    format('ALTER POLICY %s WITH CHECK (%s);', p.name, p.using_text), format('FOR %s', p.command)
from policy p
where p.polcmd in ('w', '*') and p.polpermissive and p.polwithcheck is null
