//! Supabase's storage: its policies must bind bucket and folder, so that nobody lists, reads, overwrites, deletes or adds
//! to what is another's. Tried as the storage server does it, as the actor, on objects that are made for it.

use super::site::{Results, Site, Step, is_refused};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::literal;
use crate::db::sqlstate;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const PROBE: Probe = Probe {
    name: "storage",
    about: "nobody reads, overwrites, deletes or adds to objects in another's folder of Supabase's storage",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// The bucket that no policy can know of.
const BUCKET: &str = "chartchek-db-probe";

/// More constants than this are not taken for buckets.
const BUCKETS: usize = 20;

/// What `storage.sql` tells.
#[derive(Debug, Deserialize)]
struct Storage {
    there: bool,
    /// Which columns name an object's owner: `owner` (uuid), `owner_id` (text).
    owners: Vec<String>,
    constants: Vec<String>,
}

/// Something that must come to nothing.
struct Deed {
    bucket: String,
    persona: usize,
    /// `reads another's object`.
    verb: &'static str,
    /// A public bucket's objects are open to everyone who knows their names.
    unless_public: bool,
    /// How many of the steps make what it is done to.
    prepared: usize,
    steps: Vec<Step>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let storage: Storage = site.catalogue(include_str!("storage.sql")).await?;
    let mut probed = Probed::default();
    if !storage.there {
        return Ok(probed);
    }
    let mut buckets = vec![BUCKET.to_owned()];
    buckets.extend(storage.constants.iter().filter(|constant| *constant != BUCKET).take(BUCKETS).cloned());
    for constant in storage.constants.iter().skip(BUCKETS) {
        let why = format!("its policies mention more than {BUCKETS} constants");
        probed.not_run.push(NotRun { what: format!("bucket {constant}"), why });
    }
    probed.tried = buckets.len();
    // Bucket -> whether it is public, of those that are there.
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let list: Vec<String> = buckets.iter().map(|bucket| literal(bucket)).collect();
    let sql = format!(
        "SELECT CASE WHEN public THEN 'public ' ELSE 'private ' END || id FROM storage.buckets WHERE id IN ({})",
        list.join(", ")
    );
    let asked = site.run(&[Step::privileged(0, sql)]).await;
    for text in asked.iter().flatten().flat_map(|result| result.keys.iter().flatten()) {
        if let Some((kind, bucket)) = text.split_once(' ') {
            known.insert(bucket.to_owned(), kind == "public");
        }
    }
    let deeds: Vec<Deed> = buckets
        .iter()
        .flat_map(|bucket| site.knockers().map(move |persona| (bucket, persona)))
        .flat_map(|(bucket, persona)| deeds(site, &storage, bucket, known.contains_key(bucket), persona))
        .collect();
    let scripts: Vec<Vec<Step>> = deeds.iter().map(|deed| deed.steps.clone()).collect();
    let answers = site.run_all(&scripts).await;
    let unprepared = |(deed, results): (&Deed, &Results)| results.iter().take(deed.prepared).any(is_refused);
    if asked.iter().any(is_refused) || deeds.iter().zip(&answers).any(unprepared) {
        let why = "the role that verifies may make no buckets and objects for others to reach".to_owned();
        probed.not_run.push(NotRun { what: "storage.objects".to_owned(), why });
        return Ok(probed);
    }
    let mut done: Vec<Deed> = Vec::new();
    for (deed, results) in deeds.into_iter().zip(answers) {
        match came_of(&deed, results) {
            Ok(true) if deed.unless_public && known.get(&deed.bucket) == Some(&true) => {}
            Ok(true) => done.push(deed),
            Ok(false) => {}
            Err(why) => {
                let what = format!("bucket {}/{}/{}", deed.bucket, site.persona(deed.persona).name, deed.verb);
                probed.doubts.push(NotRun { what, why });
            }
        }
    }
    for bucket in &buckets {
        let of_bucket = done.iter().filter(|deed| deed.bucket == *bucket);
        // What can be done in a bucket that no policy knows of can be done in all.
        let news = of_bucket.filter(|deed| {
            *bucket == BUCKET
                || !done.iter().any(|any| any.bucket == BUCKET && (any.persona, any.verb) == (deed.persona, deed.verb))
        });
        probed.holes.extend(hole(site, bucket, &news.collect::<Vec<_>>()));
    }
    Ok(probed)
}

/// Whether the deed did something; an error that refuses nothing says why it is not known.
fn came_of(deed: &Deed, results: Results) -> Result<bool, String> {
    let steps = results.len();
    for (index, (result, step)) in results.into_iter().zip(&deed.steps).enumerate() {
        match result {
            Ok(result) if index + 1 == steps => return Ok(result.count > 0),
            Ok(_) => {}
            Err(error) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE && index + 1 == steps => return Ok(false),
            Err(error) => return Err(format!("{}: {error}", step.sql)),
        }
    }
    Err("no answer".to_owned())
}

/// What one persona tries in one bucket, each with another's object, and the bucket unless it is `there`, made before it.
fn deeds(site: &Site<'_>, storage: &Storage, bucket: &str, there: bool, persona: usize) -> Vec<Deed> {
    let own = site.persona(persona).uid.clone();
    let others = site.setting.personas.iter().filter_map(|other| other.uid.clone());
    let Some(other) = others.rev().find(|uid| Some(uid) != own.as_ref()) else { return Vec::new() };
    let object = |file: &str, owner: Option<&String>| {
        let owner = owner.map_or_else(|| "NULL".to_owned(), |uid| literal(uid));
        let columns: String = storage.owners.iter().map(|column| format!(", {column}")).collect();
        let values = format!(", {owner}").repeat(storage.owners.len());
        format!(
            "INSERT INTO storage.objects (bucket_id, name{columns}) VALUES ({}, {}{values})",
            literal(bucket),
            literal(&format!("{other}/{file}"))
        )
    };
    let (id, file) = (literal(bucket), "chartchek-db-probe.txt");
    let its = format!("WHERE bucket_id = {id} AND name = {}", literal(&format!("{other}/{file}")));
    let deed = |verb: &'static str, statements: Vec<String>| {
        let made = (!there).then(|| format!("INSERT INTO storage.buckets (id, name) VALUES ({id}, {id})"));
        let first = made.into_iter().chain([object(file, Some(&other))]);
        let mut steps: Vec<Step> = first.map(|sql| Step::privileged(persona, sql)).collect();
        let prepared = steps.len();
        steps.extend(statements.into_iter().map(|sql| Step::by(persona, sql)));
        let unless_public = verb == "reads another's object";
        Deed { bucket: bucket.to_owned(), persona, verb, unless_public, prepared, steps }
    };
    let mut deeds = vec![
        deed("reads another's object", vec![format!("SELECT name::text FROM storage.objects {its}")]),
        deed("overwrites another's object", vec![format!("UPDATE storage.objects SET metadata = '{{}}' {its}")]),
        deed(
            "deletes another's object",
            vec![
                // The storage server says so before it deletes; without it a trigger refuses everyone.
                "SELECT set_config('storage.allow_delete_query', 'true', true)".to_owned(),
                format!("DELETE FROM storage.objects {its}"),
            ],
        ),
        deed("adds to another's folder", vec![object("chartchek-db-probe-new.txt", own.as_ref())]),
    ];
    // Buckets that are there already are left alone on a target, whoever may change them.
    if !there || !site.target {
        let sql = format!("UPDATE storage.buckets SET public = true WHERE id = {id}");
        deeds.push(deed("makes a bucket public", vec![sql]));
    }
    if bucket == BUCKET {
        let new = literal("chartchek-db-probe-new");
        let sql = format!("INSERT INTO storage.buckets (id, name) VALUES ({new}, {new})");
        deeds.push(deed("makes a bucket", vec![sql]));
    }
    deeds
}

fn hole(site: &Site<'_>, bucket: &str, deeds: &[&Deed]) -> Option<Hole> {
    let first = deeds.first()?;
    let mut verbs: Vec<&str> = Vec::new();
    for deed in deeds {
        if !verbs.contains(&deed.verb) {
            verbs.push(deed.verb);
        }
    }
    let (object, which) = if bucket == BUCKET {
        ("storage.objects".to_owned(), "any bucket".to_owned())
    } else {
        (format!("bucket {bucket}"), format!("bucket {bucket}"))
    };
    Some(Hole {
        finding: Finding {
            check: String::new(),
            what: format!("in {which} {} {}", site.persona(first.persona).name, verbs.join(", ")),
            object,
            place: None,
            why: "tried as the storage server does it, with the actor's role and claims, in a folder named by another's id"
                .to_owned(),
            remedy: format!(
                "let every policy of storage.objects say bucket_id = '{}' AND (storage.foldername(name))[1] = \
                 (SELECT auth.uid())::text, and none be on storage.buckets",
                if bucket == BUCKET { "…" } else { bucket }
            ),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: first.steps.clone(),
    })
}
