-- severity: warning
-- reach: sql
-- condition: A column's type is one of those that name a catalogue's object by its number, other than regclass, regrole and regtype.
-- effect: pg_upgrade refuses the database
-- remedy: store the name as text

select format('%s.%s', r.shown, a.attname), format('%s.%s is of type %s', r.shown, a.attname, format_type(a.atttypid, null)),
    format('ALTER TABLE %s ALTER COLUMN %I TYPE text USING %I::text;', r.name, a.attname, a.attname), null
from relation r
join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where r.relkind in ('r', 'p', 'm')
  and coalesce(nullif(t.typelem, 0), t.oid)::regtype::text in
      ('regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator', 'regproc', 'regprocedure')
