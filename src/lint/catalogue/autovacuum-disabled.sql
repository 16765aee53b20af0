-- severity: warning
-- reach: sql
-- condition: Autovacuum is switched off for a table.
-- effect: dead rows stay, the table grows, plans rest on old statistics, and the wraparound vacuum comes all at once
-- remedy: switch it on; tune its scale factor where it comes too often

select r.shown, format('autovacuum is off for %s', r.shown), format('ALTER TABLE %s RESET (autovacuum_enabled);', r.name), null
from relation r
join lateral pg_options_to_table(r.reloptions) o on o.option_name = 'autovacuum_enabled' and o.option_value in ('false', 'off', '0', 'no')
