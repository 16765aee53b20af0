-- What the lints' queries may name. $1 are the schemas of the contract, $2 the roles that row security is to hold.
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
-- The parse trees of policies, cut into nodes' beginnings, nodes' ends and those fields that matter. A node, its fields
-- and its end have one level.
tree as (
    select p.oid as policy, t.part, t.tree
    from policy p, lateral (values ('USING', p.polqual::text), ('WITH CHECK', p.polwithcheck::text)) t (part, tree)
    where t.tree is not null
),
piece as (
    select t.policy, t.part, m.n, m.v[1] as kind, m.v[2] is not null as closes, m.v[3] as field, m.v[4] as value
    from tree t
    cross join regexp_matches(
        t.tree,
        '(?<!\\)\{([A-Z_]+)|(?<!\\)(\})|:(funcid|opfuncid|aggfnoid|varattno|varlevelsup|subLinkType|rtable|nulltesttype) ([^\s{}]+)',
        'g'
    ) with ordinality m (v, n)
),
levelled as (
    select p.*, sum(case when kind is not null then 1 when closes then -1 else 0 end)
        over (partition by policy, part order by n) + case when closes then 1 else 0 end as level
    from piece p
),
token as materialized (
    select l.*,
        max(n) filter (where kind is not null)
            over (partition by policy, part, level order by n rows between unbounded preceding and current row) as node,
        min(n) filter (where closes)
            over (partition by policy, part, level order by n rows between current row and unbounded following) as last
    from levelled l
),
-- Queries inside policies. `link` is the kind of the expression that they stand in: 0 EXISTS, 2 ANY, 4 a value, 6 ARRAY.
query as materialized (
    select q.policy, q.part, q.n as first, q.last,
        (select f.value::int from token f where f.policy = q.policy and f.part = q.part and f.field = 'subLinkType'
            and f.level = q.level - 1 and f.n < q.n order by f.n desc limit 1) as link,
        exists (select from token f where f.policy = q.policy and f.part = q.part and f.node = q.n and f.field = 'rtable'
            and f.value <> '<>') as has_from,
        (select count(*) from token o where o.policy = q.policy and o.part = q.part and o.kind = 'QUERY'
            and o.n < q.n and o.last > q.last) as outer_queries
    from token q
    where q.kind = 'QUERY'
),
-- Columns in policies. `up` 0 is of the row that the policy judges, more is of the query that stands so deep.
variable as materialized (
    select v.policy, v.part, v.n, v.last,
        (select f.value::int from token f where f.policy = v.policy and f.part = v.part and f.node = v.n and f.field = 'varattno')
            as attnum,
        (select count(*) from query q where q.policy = v.policy and q.part = v.part and q.first < v.n and q.last > v.last)
        - (select f.value::int from token f where f.policy = v.policy and f.part = v.part and f.node = v.n and f.field = 'varlevelsup')
            as up
    from token v
    where v.kind = 'VAR'
),
-- Functions that policies call, operators' among them.
call as materialized (
    select t.policy, t.part, t.node as first, t.last, t.value::oid as function, t.field = 'opfuncid' as is_operator
    from token t
    where t.field in ('funcid', 'opfuncid', 'aggfnoid') and t.value <> '0'
)
