-- What the lints' queries may name, in a transaction in which `trees.sql` has run. $1 are the schemas of the contract, $2 the roles that row security is to hold.
-- What a query does not name costs it nothing.
with recursive
-- The schemas that a request can name: the contract's, and what the server is set to expose. `public` where neither
-- says anything: never none.
exposed as (
    select n.oid, n.nspname
    from pg_catalog.pg_namespace n
    where n.nspname = any ($1)
       or n.nspname in (
           select trim(both ' "' from s)
           from pg_catalog.pg_db_role_setting d
           join pg_catalog.pg_roles r on r.oid = d.setrole and r.rolname = 'authenticator'
           cross join unnest(d.setconfig) setting
           cross join regexp_split_to_table(substr(setting, length('pgrst.db_schemas=') + 1), ',') s
           where setting like 'pgrst.db\_schemas=%' and d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
       )
       or (n.nspname = 'public' and cardinality($1) = 0)
),
client as (
    select r.oid, r.rolname from pg_catalog.pg_roles r where r.rolname = any ($2)
),
-- The schemas that are the project's: neither PostgreSQL's nor Supabase's.
own as (
    select n.oid, n.nspname
    from pg_catalog.pg_namespace n
    where n.nspname !~ '^pg_' and n.nspname not in (
        'information_schema', 'auth', 'storage', 'realtime', '_realtime', 'extensions', 'graphql', 'graphql_public', 'vault',
        'pgsodium', 'pgsodium_masks', 'supabase_functions', 'supabase_migrations', '_supavisor', '_analytics', 'net', 'cron',
        'pgbouncer', 'pgmq', 'pgtle', 'tiger', 'tiger_data', 'topology', 'dbdev', 'etl'
    )
),
-- What extensions brought is theirs.
extended as (
    select d.classid, d.objid from pg_catalog.pg_depend d
    where d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::regclass
),
-- Relations of the project. `shown` is for people, `name` for SQL.
relation as (
    select c.oid, c.relname, n.nspname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl, c.reloptions,
        c.relispartition, c.relreplident, c.relpages,
        exists (select from exposed e where e.oid = n.oid) as exposed,
        format('%I.%I', n.nspname, c.relname) as name,
        case n.nspname when 'public' then c.relname::text else n.nspname || '.' || c.relname end as shown
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where (n.oid in (select oid from own) or n.oid in (select oid from exposed))
      and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and not exists (select from extended x where x.classid = 'pg_catalog.pg_class'::regclass and x.objid = c.oid)
),
-- Functions and procedures of the project.
function as (
    select p.oid, p.proname, n.nspname, p.prosecdef, p.proconfig, p.provolatile, p.proleakproof, p.prokind, p.prosrc, p.proacl,
        p.proowner, p.pronargs, l.lanname,
        p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype) as is_trigger,
        exists (select from exposed e where e.oid = n.oid) as exposed,
        case p.prokind when 'p' then 'procedure' else 'function' end as kind,
        format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) as name,
        format('%s%s(%s)', case n.nspname when 'public' then '' else n.nspname || '.' end, p.proname,
            pg_catalog.oidvectortypes(p.proargtypes)) as shown,
        coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', ' ', 'g')) as source
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    join pg_catalog.pg_language l on l.oid = p.prolang
    where (n.oid in (select oid from own) or n.oid in (select oid from exposed)) and p.prokind in ('f', 'p')
      and not exists (select from extended x where x.classid = 'pg_catalog.pg_proc'::regclass and x.objid = p.oid)
),
-- Policies on relations of the project.
policy as (
    select p.oid, p.polname, p.polcmd, p.polpermissive, p.polroles, p.polqual, p.polwithcheck, p.polrelid,
        r.name as table_name, r.shown || '.' || p.polname as shown, r.shown as table_shown,
        format('%I on %s', p.polname, r.name) as name, r.relrowsecurity,
        case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end
            as command,
        pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using_text,
        pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as check_text,
        -- whether anyone of the clients is held by it
        exists (
            select from client c, unnest(p.polroles) role where role = 0 or pg_catalog.pg_has_role(c.oid, role, 'USAGE')
        ) as for_clients
    from pg_catalog.pg_policy p
    join relation r on r.oid = p.polrelid
),
-- The nodes of policies' parse trees, as `trees.sql` left them: each from n to last.
node as materialized (
    select * from json_to_recordset(current_setting('chartchek_db.lint_nodes')::json) as nodes (
        policy oid, part text, n bigint, last bigint, level bigint, kind text, queries bigint, function oid, is_operator boolean,
        attnum int, up int, link int, has_from boolean, null_test int
    )
),
-- Queries inside policies. `link` is the kind of the expression that they stand in: 0 EXISTS, 2 ANY, 4 a value, 6 ARRAY.
query as materialized (
    select q.policy, q.part, q.n as first, q.last, s.link, q.has_from, q.queries - 1 as outer_queries
    from node q
    left join node s on s.policy = q.policy and s.part = q.part and s.kind = 'SUBLINK' and s.level = q.level - 1
        and s.n < q.n and s.last > q.last
    where q.kind = 'QUERY'
),
-- Columns in policies. `depth` 0 is of the row that the policy judges, more is of the query that stands so deep.
variable as materialized (
    select v.policy, v.part, v.n, v.last, v.level, v.attnum, v.queries - v.up as depth from node v where v.kind = 'VAR'
),
-- Functions that policies call, operators' among them.
call as materialized (
    select c.policy, c.part, c.n as first, c.last, c.function, c.is_operator from node c where c.function is not null
)
