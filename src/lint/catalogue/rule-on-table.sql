-- severity: warning
-- reach: api
-- condition: A table of an exposed schema has a rewrite rule.
-- effect: what the rule does runs with the rights of the table's owner, past row security of the tables that it names
-- remedy: write a trigger instead

select r.shown || '.' || w.rulename, format('rule %s rewrites statements on %s', w.rulename, r.shown),
    format('DROP RULE %I ON %s;', w.rulename, r.name), null
from pg_rewrite w
join relation r on r.oid = w.ev_class
where r.exposed and r.relkind in ('r', 'p')
