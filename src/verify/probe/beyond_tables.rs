//! What stands beside the application's tables: accounts, secrets, scheduled jobs, requests to other servers, queues,
//! other servers' passwords, Realtime's channels. What is there is tried, or judged by right, or listed as not tried.

use super::rights::{Held, Told, describe};
use super::site::{Site, Step, is_refused};
use super::{Fault, Probe, Probed};
use crate::db::quote::{literal, readable_identifier, table as quote_table};
use crate::db::sqlstate;
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use crate::model::report::{Accepted, NotRun};
use serde::Deserialize;

pub(super) const PROBE: Probe = Probe {
    name: "beyond-tables",
    about: "accounts, secrets, jobs, queues, other servers' passwords and Realtime's channels are open to nobody",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// check_violation: what the server says of a row that fits no partition.
const NO_PARTITION: &str = "23514";

/// What `beyond_tables.sql` tells.
#[derive(Debug, Deserialize)]
struct Beyond {
    /// The schemas, of those that are known here, that the database has.
    there: Vec<String>,
    /// Relations that somebody may do something with.
    relations: Vec<Relation>,
    functions: Vec<Function>,
    /// Whether `realtime.messages` is there.
    messages: bool,
    /// The roles that may ask by GraphQL.
    graphql: Vec<String>,
    /// How many user mappings there are.
    mappings: u64,
    /// The roles that may read subscriptions' connection strings.
    subscriptions: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Relation {
    schema: String,
    name: String,
    exposed: bool,
    held: Vec<Held>,
}

#[derive(Debug, Deserialize)]
struct Function {
    schema: String,
    name: String,
    exposed: bool,
    roles: Vec<String>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let beyond: Beyond = site.catalogue(include_str!("beyond_tables.sql")).await?;
    let mut probed = Probed { tried: beyond.there.len(), ..Probed::default() };
    for relation in &beyond.relations {
        judge(relation.told(), is_supabases(&relation.schema, relation.exposed), &mut probed);
    }
    for function in &beyond.functions {
        judge(function.told(), is_supabases(&function.schema, function.exposed), &mut probed);
    }
    if !beyond.subscriptions.is_empty() {
        let told = Told {
            what: format!("{} may read the connection strings of subscriptions", beyond.subscriptions.join(", ")),
            object: "pg_subscription.subconninfo".to_owned(),
            access: None,
            why: "they hold the other server's password",
            remedy: "REVOKE SELECT (subconninfo) ON pg_catalog.pg_subscription FROM PUBLIC and from these".to_owned(),
            reach: Reach::Sql,
            shown_by: "SELECT subconninfo FROM pg_subscription".to_owned(),
        };
        probed.holes.push(told.hole());
    }
    if beyond.mappings > 0 {
        probed.tried += 1;
        mappings(site, &mut probed).await;
    }
    if beyond.messages {
        channels(site, &mut probed).await;
    }
    if !beyond.graphql.is_empty() {
        let why = "GraphQL asks the same tables by the same roles' rights: what the attempts say of these holds there";
        probed
            .not_tried
            .push(NotRun { what: format!("GraphQL by {}", beyond.graphql.join(", ")), why: why.to_owned() });
    }
    Ok(probed)
}

/// Whether pg_net, Realtime or Supabase itself opens what is in that schema to everybody, behind the API.
fn is_supabases(schema: &str, exposed: bool) -> bool {
    matches!(schema, "net" | "realtime" | "supabase_functions") && !exposed
}

fn judge(told: Told<'_>, supabases: bool, probed: &mut Probed) {
    if !supabases {
        probed.holes.push(told.hole());
        return;
    }
    probed.accepted.push(Accepted {
        id: format!("beyond-tables/{}", told.object),
        what: told.what,
        reason: "by rule: Supabase grants it itself, and only SQL text reaches it".to_owned(),
    });
}

fn reach(exposed: bool) -> Reach {
    if exposed { Reach::Api } else { Reach::Sql }
}

impl Relation {
    fn told(&self) -> Told<'static> {
        let name = TableName { schema: self.schema.clone(), name: self.name.clone() };
        let from: Vec<String> = self.held.iter().map(|held| readable_identifier(&held.role)).collect();
        Told {
            what: format!("{name} is open: {}", describe(&self.held)),
            object: name.to_string(),
            access: None,
            why: "it holds accounts, secrets, jobs or messages, which are no user's",
            remedy: format!("REVOKE ALL ON {} FROM PUBLIC, {}", quote_table(&name), from.join(", ")),
            reach: reach(self.exposed),
            shown_by: format!("SELECT relacl FROM pg_class WHERE oid = '{}'::regclass", quote_table(&name)),
        }
    }
}

impl Function {
    fn told(&self) -> Told<'static> {
        let name = format!("{}.{}", readable_identifier(&self.schema), readable_identifier(&self.name));
        Told {
            what: format!("{} may call {name}", self.roles.join(", ")),
            object: format!("function {}.{}", self.schema, self.name),
            access: None,
            why: "it works on secrets, jobs, queues or other servers, which are no user's",
            remedy: format!("REVOKE EXECUTE ON ROUTINE {name} FROM PUBLIC, {}", self.roles.join(", ")),
            reach: reach(self.exposed),
            shown_by: format!("SELECT proacl FROM pg_proc WHERE oid = '{name}'::regproc"),
        }
    }
}

/// Whether anybody sees the options of a user mapping: another server's password.
async fn mappings(site: &Site<'_>, probed: &mut Probed) {
    let roles = site.roles();
    let ask = |role: usize| {
        vec![Step::by(role, "SELECT srvname::text FROM pg_user_mappings WHERE umoptions IS NOT NULL LIMIT 1")]
    };
    let scripts: Vec<Vec<Step>> = roles.iter().map(|&role| ask(role)).collect();
    for (&role, results) in roles.iter().zip(site.run_all(&scripts).await) {
        let name = &site.persona(role).actor.role;
        match results.into_iter().last() {
            Some(Ok(result)) if result.count == 0 => {}
            Some(Ok(_)) => {
                let told = Told {
                    what: format!("{name} sees the options of a user mapping"),
                    object: "pg_user_mappings".to_owned(),
                    access: None,
                    why: "they hold the other server's password, and a role reads those of its own mapping",
                    remedy:
                        "DROP USER MAPPING FOR the role; let a function of a role that is mapped ask the other server"
                            .to_owned(),
                    reach: Reach::Sql,
                    shown_by: String::new(),
                };
                let mut hole = told.hole();
                hole.steps = ask(role);
                probed.holes.push(hole);
                return;
            }
            other => {
                let why = other.and_then(Result::err).map_or("no answer".to_owned(), |error| error.to_string());
                probed.doubts.push(NotRun { what: format!("pg_user_mappings/{name}"), why });
            }
        }
    }
}

/// Whether anybody may listen or send on a channel whose name nobody was told: asked as Realtime asks, by a row of
/// `realtime.messages` under that topic.
async fn channels(site: &Site<'_>, probed: &mut Probed) {
    let topic = literal(&format!("chartchek-db:{}", crate::verify::persona::stable_id("a channel of nobody")));
    let insert = format!("INSERT INTO realtime.messages (topic, extension) VALUES ({topic}, 'broadcast')");
    let on_topic = format!("SELECT set_config('realtime.topic', {topic}, true)");
    let mut deeds = Vec::new();
    for persona in site.knockers() {
        let select = format!("SELECT topic::text FROM realtime.messages WHERE topic = {topic}");
        let listens = vec![
            Step::privileged(persona, insert.clone()),
            Step::by(persona, on_topic.clone()),
            Step::by(persona, select),
        ];
        let sends = vec![Step::by(persona, on_topic.clone()), Step::by(persona, insert.clone())];
        deeds.extend([(persona, "listens", listens), (persona, "sends", sends)]);
    }
    let scripts: Vec<Vec<Step>> = deeds.iter().map(|(.., steps)| steps.clone()).collect();
    let mut told_of = Vec::new();
    for ((persona, verb, steps), results) in deeds.into_iter().zip(site.run_all(&scripts).await) {
        let complete = results.iter().rev().skip(1).all(Result::is_ok);
        let unwritten = verb == "listens" && results.first().is_some_and(is_refused);
        let unparted = results.iter().any(|result| result.as_ref().is_err_and(|error| error.code == NO_PARTITION));
        match results.into_iter().last() {
            Some(Ok(result)) if result.count == 0 => {}
            Some(Err(error)) if complete && error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {}
            Some(Ok(_)) => told_of.push((persona, verb, steps)),
            _ if unparted => {
                let why = "it has no partition for today's messages: nothing can be sent at this moment".to_owned();
                probed.not_tried.push(NotRun { what: "realtime.messages".to_owned(), why });
                return;
            }
            _ if unwritten => {
                let why = "the role that verifies may put no message there for others to listen to".to_owned();
                probed.not_run.push(NotRun { what: "realtime.messages".to_owned(), why });
                return;
            }
            other => {
                let why = other.and_then(Result::err).map_or("no answer".to_owned(), |error| error.to_string());
                let what = format!("realtime.messages/{}/{verb}", site.persona(persona).name);
                probed.doubts.push(NotRun { what, why });
            }
        }
    }
    let Some((persona, _, steps)) = told_of.first() else { return };
    let mut verbs: Vec<&str> = told_of.iter().map(|(_, verb, _)| *verb).collect();
    verbs.sort_unstable();
    verbs.dedup();
    let told = Told {
        what: format!("{} {} on any private channel of Realtime", site.persona(*persona).name, verbs.join(" and ")),
        object: "realtime.messages".to_owned(),
        access: None,
        why: "a policy of realtime.messages lets the role through whatever the channel's name",
        remedy: "bind every policy of realtime.messages to realtime.topic() and to what the user belongs to".to_owned(),
        reach: Reach::Api,
        shown_by: String::new(),
    };
    let mut hole = told.hole();
    hole.steps.clone_from(steps);
    probed.holes.push(hole);
}
